"""Rows held out of training, to see when to end it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError


def held_out(items: Sequence[Any], y: np.ndarray, share: float, random_state: int) -> np.ndarray:
    """Return which rows are held out, bool of shape (n,): about a share of all, and of each class.

    Who is drawn depends on what a row is and on the seed, not on where it stands. Each class keeps a row to train on.

    Parameters
    ----------
    items : sequence
        Texts, paths or pictures; of a path its name counts, not what is in the file.
    y : int array of shape (n,)
    share : float
        Between 0 and 1.
    random_state : int

    Raises
    ------
    InputError
        When the share is none, or no class has a row to spare.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> held = held_out(list("abcdefgh"), y, 0.5, 0)
    >>> np.bincount(y[held]).tolist()
    [2, 2]
    """
    if not 0 < share < 1:
        raise InputError(f"validation must be a share between 0 and 1, or None, not {share}")
    seed = str(random_state).encode()
    keys = [sha256(seed + key_of(item)).digest() for item in items]
    order = np.array(sorted(range(len(keys)), key=lambda i: (y[i], keys[i])), dtype=int)
    # Every so many rows one is held out, over all classes: their shares then differ by less than a row.
    before = np.floor((np.arange(len(order)) + 0.5) * share)
    drawn = np.floor((np.arange(len(order)) + 1.5) * share) > before
    held = np.zeros(len(order), dtype=bool)
    held[order] = drawn
    for one in np.unique(y):
        rows = order[y[order] == one]
        if held[rows].all():
            held[rows[0]] = False
    if not held.any():
        raise InputError(f"validation={share} of {len(order)} rows holds out none; raise it, or leave it out")
    return held


def rows_hash(items: Sequence[Any], y: np.ndarray) -> str:
    """Return SHA-256 over the rows in their order: names or texts, and classes; of a file its name alone."""
    found = sha256(np.asarray(y, dtype=np.int64).tobytes())
    for item in items:
        found.update(key_of(item))
    return found.hexdigest()


def key_of(item: Any) -> bytes:
    """Return what tells an item from others: a path or text itself, of a picture in memory the hash of its pixels."""
    if isinstance(item, str | Path):
        content, kind = str(item).encode("utf-8", "surrogatepass"), "name"
    elif isinstance(item, bytes):
        content, kind = item, "bytes"
    else:
        pixels = np.asarray(item)
        content, kind = pixels.tobytes(), f"pixels {pixels.dtype.str} {pixels.shape}"
    return sha256(kind.encode() + b"\0" + content).digest()
