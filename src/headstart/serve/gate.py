"""What stands before the service: bodies are read whole, within limits; too many requests are sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from json import dumps
from typing import Any

from headstart.serve.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """A request that goes no further: its status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Gate:
    """An application around another: lets in what is JSON, small enough and not too much at once.

    A body counts while it comes, whatever its head says of its length. A request takes a place from the moment that
    its body is there, so that who sends slowly keeps nobody out.

    Parameters
    ----------
    inner : ASGI application
    limits : Limits
    """

    def __init__(self, inner: Application, limits: Limits) -> None:
        self.inner = inner
        self.limits = limits
        self.under_way = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.inner(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
            if body is None:
                return
            if self.under_way >= self.limits.concurrency:
                raise RefusedError(503, f"{self.under_way} requests are under way, which is as many as may; come again")
        except RefusedError as refused:
            await refuse(send, refused)
            return
        self.under_way += 1
        try:
            await self.inner(scope, _given(body, receive), send)
        finally:
            self.under_way -= 1

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes | None:
        """Return the body; None where the client went away."""
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise RefusedError(415, "send JSON, with the header Content-Type: application/json")
        said = headers.get(b"content-length", b"0")
        most = self.limits.max_bytes
        if not said.isdigit() or int(said) > most:
            raise RefusedError(413, f"the body is larger than {most} bytes; send fewer rows at once")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise RefusedError(413, f"the body is larger than {most} bytes; send fewer rows at once")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise RefusedError(408, f"the body did not come within {self.limits.seconds:g} seconds") from None


def _given(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives a body that has come already."""
    left = [body]

    async def given() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return given


async def refuse(send: Send, refused: RefusedError) -> None:
    """Send a refusal; the connection ends, for there may be more of the body."""
    body = dumps({"error": refused.why}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    headers.append((b"retry-after", b"1") if refused.status == 503 else (b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
