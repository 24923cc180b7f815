"""Reads a request's body and holds its limit while it comes."""

from modelway_runtime import units
from modelway_runtime.server import answers
from modelway_runtime.server.answers import Receive, Refused, Scope
from modelway_runtime.server.deadlines import CallerGone


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
    return Refused(413, f"the body is larger than {units.text(limit)}", answers.CLOSE)
