"""Makes of whatever the API server answers to the watching framework something that it survives.

At half a line, at an ERROR event other than 410 and at most refusals kopf ends one watch, leaves the process
without it, and kills the process half a minute later. A watch that ends it begins again at once. So a middleware of
its session stands between: what cannot be read is a lost connection, what cannot be continued is an expired watch,
and no watch begins too soon after the one before.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType

from modelway.cluster import paths
from modelway.cluster.jitter import spread
from modelway.cluster.transport import retry_after
from modelway.cluster.watched import Watched
from modelway.kinds import Kind

CALM_SECONDS = 60.0
"""A watch that lived so long was a good one."""
LARGEST_PAUSE_SECONDS = 5.0
MOST_RETRY_AFTER_SECONDS = 20.0
"""Shorter than kopf's patience with a request."""

SETTLE_SECONDS = 5.0
"""kopf begins with all kinds in the same moment."""

_EXPIRED_EVENT = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'
_EXPIRED_LIST = b'{"metadata":{"resourceVersion":"0"},"items":[]}'
"""A last page after which kopf watches from 0 on, and such a watch begins with every object."""
_PASSES = frozenset({HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""What kopf knows how to live with, beside 5xx."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pace:
    """How soon a watch may begin after the one before: 1, 2, 4, 5, 5 … seconds while they are short."""

    began: float = float("-inf")
    short: int = 0

    def pause(self, now: float) -> float:
        """Seconds from now."""
        self.short = 0 if now - self.began > CALM_SECONDS else self.short + 1
        pause = min(2.0 ** (self.short - 1), LARGEST_PAUSE_SECONDS) if self.short else 0.0
        return max(0.0, self.began + spread(pause, 0.3) - now)


class Streams:
    """What lies between kopf and the API server."""

    def __init__(self, watched: Watched, *, begun: Callable[[Kind], None], ended: Callable[[int, str], None]) -> None:
        """`begun` is called when a kind is read anew: nothing tells then of deletions before that.

        `ended` is called with an exit code and the reason when a kind cannot be watched any more by this process.
        """
        self._kinds = {(paths.group(kind), kind.plural): kind for kind in watched.kinds}
        self._begun = begun
        self._ended = ended
        self._paces: dict[str, _Pace] = {}
        self._unasked: set[Kind] = set(watched.kinds)
        self._first = asyncio.Event()

    async def settle(self, *, pause: float = SETTLE_SECONDS) -> None:
        """Return when kopf has begun with every kind, or has left one out for good, which ends the process.

        kopf watches what it finds when it starts, and a kind may have gone, or not quite come, in that moment.
        """
        await self._first.wait()
        await asyncio.sleep(pause)
        for kind in self._unasked:
            self._ended(0, f"{kind} was not served a moment ago; a new start looks again")

    async def guard(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """The middleware. What it raises, kopf takes for a lost connection and tries again after a pause."""
        kind, is_watch = self._kind(request.url.path), "watch" in request.url.query
        if kind is not None:
            self._unasked.discard(kind)
            self._first.set()
        if is_watch:
            await self._pace(request.url.path)
        response = await handler(request)
        if response.status == HTTPStatus.GONE:
            return _told(response, _EXPIRED_EVENT if is_watch else _EXPIRED_LIST)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(min(retry_after(response.headers), MOST_RETRY_AFTER_SECONDS))
            raise _lost(response)
        if kind is not None and response.status not in _PASSES and response.status < 500:
            await self._give_up(kind, response)
            raise _lost(response)
        if response.status != HTTPStatus.OK:
            return response
        await self._receive(response, is_watch=is_watch)
        begins = not is_watch or "sendInitialEvents" in request.url.query
        if kind is not None and begins and "continue" not in request.url.query:
            self._begun(kind)
        return response

    async def _pace(self, path: str) -> None:
        clock = asyncio.get_running_loop().time
        pace = self._paces.setdefault(path, _Pace())
        await asyncio.sleep(pace.pause(clock()))
        pace.began = clock()

    async def _give_up(self, kind: Kind, response: aiohttp.ClientResponse) -> None:
        """The kind is gone, or the server cannot do what is asked of it: asking again does not help."""
        if response.status == HTTPStatus.NOT_FOUND:
            self._ended(0, f"{kind} is not served any more; a new start looks what is")
            return
        said = (await response.text())[:200]
        self._ended(1, f"A watch of {kind} was refused with {response.status}: {said}")

    @staticmethod
    async def _receive(response: aiohttp.ClientResponse, *, is_watch: bool) -> None:
        if is_watch:
            _replace(response, response.content.iter_any())
            return
        try:
            json.loads(await response.read())
        except (aiohttp.ClientPayloadError, ValueError) as failure:
            raise aiohttp.ClientConnectionError("an answer ended too soon") from failure

    def _kind(self, path: str) -> Kind | None:
        """The kind of a list or watch; None for discovery."""
        parts = path.split("/")
        depth = 3 if path.startswith("/api/") else 4
        return self._kinds.get(("/".join(parts[:depth]), parts[-1]))


class _Lines:
    """The content of a watch, whole line by whole line."""

    def __init__(self, content: aiohttp.StreamReader, chunks: AsyncIterator[bytes]) -> None:
        self._content = content
        self._chunks = chunks

    def __getattr__(self, name: str) -> Any:
        """All else is what it was: the response itself looks at its content's end."""
        return getattr(self._content, name)

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """Complete events. Raises ClientPayloadError at anything else."""
        rest = b""
        async for chunk in self._chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield _checked(line)
        if rest:
            raise aiohttp.ClientPayloadError("a watch ended in the middle of a line")

    async def read(self) -> bytes:
        """All of it."""
        return b"".join([chunk async for chunk in self._chunks])


def _checked(line: bytes) -> bytes:
    """The line; whatever error it tells of, the watch is to begin anew."""
    if not (line.startswith(b'{"type":"') and line.endswith(b"}")):
        raise aiohttp.ClientPayloadError("a watch told of something that is no event")
    if not line.startswith(b'{"type":"ERROR"'):
        return line + b"\n"
    log.info("A watch ended with an error: %s", line[:300].decode(errors="replace"))
    return _EXPIRED_EVENT


def _told(response: aiohttp.ClientResponse, content: bytes) -> aiohttp.ClientResponse:
    """The response with other content, as if it were good."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    response.release()
    response.status = HTTPStatus.OK
    _replace(response, chunks())
    return response


def _replace(response: aiohttp.ClientResponse, chunks: AsyncIterator[bytes]) -> None:
    response.content = _Lines(response.content, chunks)  # type: ignore[assignment]  # has what is asked of it


def _lost(response: aiohttp.ClientResponse) -> aiohttp.ClientConnectionError:
    response.release()
    return aiohttp.ClientConnectionError(f"{response.status} {response.reason}")
