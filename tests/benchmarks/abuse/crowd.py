"""Connections that cost the server something and bring it nothing: idle ones, and ones that send a byte a second."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from benchmarks.abuse import malformed

HOST = "127.0.0.1"
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """A slow caller: what the server answered, and how long it listened."""

    status: int
    seconds: float


async def idle(port: int, count: int) -> list[asyncio.StreamWriter]:
    """So many open connections on which nothing is sent; some at a time, for the backlog of the socket."""
    opened: list[asyncio.StreamWriter] = []
    while len(opened) < count:
        together = min(_AT_ONCE, count - len(opened))
        pairs = await asyncio.gather(*(asyncio.open_connection(HOST, port) for _ in range(together)))
        opened += [writer for _, writer in pairs]
    return opened


async def close(opened: list[asyncio.StreamWriter]) -> None:
    """All of them."""
    for writer in opened:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)


async def slow(port: int, *, in_body: bool, limit: float) -> Ended:
    """One caller that sends its head, or its body, a byte a second, until the server ends it or the limit is over."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(HOST, port)
    whole = malformed.good()
    start = whole.index(b"\r\n\r\n") + 4 if in_body else 0
    writer.write(whole[:start])
    answer = asyncio.ensure_future(reader.read(4096))
    try:
        for byte in whole[start:]:
            with contextlib.suppress(ConnectionError):
                writer.write(bytes((byte,)))
            done, _ = await asyncio.wait((answer,), timeout=1)
            if done or time.monotonic() - began > limit:
                break
        return Ended(status(answer.result()) if _is_read(answer) else 0, time.monotonic() - began)
    finally:
        answer.cancel()
        writer.transport.abort()


def _is_read(answer: "asyncio.Future[bytes]") -> bool:
    return answer.done() and answer.exception() is None


def status(content: bytes) -> int:
    """Of an answer's first line; 0 where there is none."""
    words = content[:20].split()
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else 0
