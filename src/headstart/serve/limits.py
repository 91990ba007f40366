"""What a service lets in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a service lets in.

    Parameters
    ----------
    max_rows : int
        Rows of one request, and events of a history.
    max_bytes : int
        Of a request's body.
    max_k : int
        Items that are recommended at once.
    concurrency : int
        Requests of one worker that are answered or wait; who comes beyond is told to come again.
    max_pixels : int
        Of all pictures of one request.
    seconds : float
        Until the head of a request, and then its body, must have come.
    """

    max_rows: int = 1000
    max_bytes: int = 1_000_000
    max_k: int = 1000
    concurrency: int = 64
    max_pixels: int = 50_000_000
    seconds: float = 10.0
