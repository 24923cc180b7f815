"""One request over HTTP/1.1 and its answer, on a connection of its own. The parser is the server's own, httptools."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

import httptools

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_PIECE = 64 * 1024
_HEAD_BYTES = 64 * 1024


class AskFailed(Exception):
    """No usable answer came; `reason` is a word for metrics: timeout, connection, protocol, size or status."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Place":
        """By a base URL inside the cluster; raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError(f"{url!r} is no base URL; write for example http://localhost:8000")
        return cls(host=parts.hostname, port=parts.port or 80)

    @property
    def authority(self) -> bytes:
        """As the header `host` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is asked; the headers of the connection are added."""

    method: bytes
    target: bytes
    headers: Headers = ()
    body: bytes = b""


class Answer:
    """Collects what the parser reads."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.is_whole = False

    @property
    def status(self) -> int:
        """Its status code."""
        return int(self.parser.get_status_code())

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        self.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        self.body += piece

    def on_message_complete(self) -> None:
        """The end, but for interim answers such as 103."""
        self.is_whole = self.status >= 200


async def exchange(place: Place, message: Message, *, patience: float, limit: int) -> Answer:
    """The answer, whatever its status; raises AskFailed, also after `patience` seconds or `limit` bytes."""
    try:
        async with asyncio.timeout(patience):
            return await _answer(place, message, limit)
    except TimeoutError:
        raise AskFailed("timeout") from None
    except OSError as error:
        raise AskFailed("connection") from error
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise AskFailed("protocol") from error


async def _answer(place: Place, message: Message, limit: int) -> Answer:
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        writer.write(_head(place, message) + message.body)
        await writer.drain()
        return await _read(reader, limit)
    finally:
        # Not an orderly close, which would keep what a dead server never reads.
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, limit: int) -> Answer:
    answer, received = Answer(), 0
    while not answer.is_whole:
        piece = await reader.read(_PIECE)
        received += len(piece)
        if not piece:
            raise AskFailed("connection")
        if received > limit + _HEAD_BYTES:
            raise AskFailed("size")
        answer.parser.feed_data(piece)
    return answer


def _head(place: Place, message: Message) -> bytes:
    own: Headers = (
        (b"host", place.authority),
        (b"connection", b"close"),
        (b"accept-encoding", b"identity"),
        (b"content-length", str(len(message.body)).encode()),
    )
    lines = (b"%s: %s\r\n" % header for header in (*own, *message.headers))
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (message.method, message.target, b"".join(lines))
