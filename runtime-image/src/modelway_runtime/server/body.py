"""Reads a request's body and holds its limit while it comes."""

import asyncio
from contextlib import suppress

from modelway_runtime import units
from modelway_runtime.server import answers
from modelway_runtime.server.answers import CallerGone, Headers, Receive, Refused, Scope, Send

TOO_LARGE = 413
_LINGER_SECONDS = 5.0


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; refused as soon as it is known to be too large, before it is stored."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    whole: bytes = message["body"]
    if len(whole) > limit:
        raise _too_large(limit)
    if not message["more_body"]:
        return whole
    if header(scope, b"content-length").isdigit() and int(header(scope, b"content-length")) > limit:
        raise _too_large(limit)
    return await _rest(whole, receive, limit)


def header(scope: Scope, name: bytes) -> bytes:
    """A request header, empty when it is absent."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


async def refuse(receive: Receive, send: Send, headers: Headers, answer: bytes) -> None:
    """Answers that the body is too large, and reads on for a while, storing nothing.

    A connection closed on a caller that still sends is reset, and the caller reads no answer.
    """
    await answers.send(send, TOO_LARGE, headers, answer, is_end=False)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})


async def _rest(first: bytes, receive: Receive, limit: int) -> bytes:
    pieces = bytearray(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        pieces += message["body"]
        if len(pieces) > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return bytes(pieces)


def _too_large(limit: int) -> Refused:
    # The rest of the body is not read, so the connection cannot be used again.
    return Refused(
        TOO_LARGE, f"the body is larger than {units.text(limit)}", answers.CLOSE, limit="body", is_unread=True
    )
