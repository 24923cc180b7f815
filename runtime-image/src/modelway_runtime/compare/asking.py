"""Asks a revision over HTTP/1.1.

Each time on a connection of its own: so a Service spreads the asks over its pods, and an answer that comes too late is
never taken for that to another ask. The parser is the server's own, httptools.
"""

import asyncio
from dataclasses import dataclass

import httptools

from modelway_runtime.compare.mirrored import Mirrored
from modelway_runtime.protocol import payloads
from modelway_runtime.server.answers import Headers

_PIECE = 64 * 1024
_HEAD_BYTES = 64 * 1024


class AskFailed(Exception):
    """No answer with status 200 came; `reason` is a word for metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a revision's Service listens."""

    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """As the header `host` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode()


class _Answer:
    """Collects what the parser reads."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = bytearray()
        self.json_length = b""
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        if name.lower() == payloads.JSON_LENGTH:
            self.json_length = value

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        self.body += piece

    def on_message_complete(self) -> None:
        """The end, but for interim answers such as 103."""
        self.is_whole = self.parser.get_status_code() >= 200


async def ask(place: Place, request: Mirrored, *, patience: float, limit: int) -> tuple[bytes, int | None]:
    """The body of the answer, and how many of its bytes are JSON where binary tensors follow.

    Raises AskFailed, also after `patience` seconds or `limit` bytes.
    """
    try:
        async with asyncio.timeout(patience):
            answer = await _answer(place, request, limit)
    except TimeoutError:
        raise AskFailed("timeout") from None
    except OSError as error:
        raise AskFailed("connection") from error
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise AskFailed("protocol") from error
    if answer.parser.get_status_code() != 200:
        raise AskFailed("status")
    return bytes(answer.body), payloads.length(answer.json_length)


async def _answer(place: Place, request: Mirrored, limit: int) -> _Answer:
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        writer.write(_head(place, request) + request.body)
        await writer.drain()
        return await _read(reader, limit)
    finally:
        # Not an orderly close, which would keep what a dead revision never reads.
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, limit: int) -> _Answer:
    answer, received = _Answer(), 0
    while not answer.is_whole:
        piece = await reader.read(_PIECE)
        received += len(piece)
        if not piece:
            raise AskFailed("connection")
        if received > limit + _HEAD_BYTES:
            raise AskFailed("size")
        answer.parser.feed_data(piece)
    return answer


def _head(place: Place, request: Mirrored) -> bytes:
    own: Headers = (
        (b"host", place.authority),
        (b"connection", b"close"),
        (b"accept-encoding", b"identity"),
        (b"content-length", str(len(request.body)).encode()),
    )
    lines = (b"%s: %s\r\n" % header for header in (*own, *request.headers))
    return b"POST %s HTTP/1.1\r\n%s\r\n" % (request.target, b"".join(lines))
