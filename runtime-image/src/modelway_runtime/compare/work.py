"""The work behind the 202: asks both revisions, now and then stable twice, and counts what came of it."""

import asyncio
import random
from collections.abc import Callable
from types import TracebackType
from typing import Self

from modelway_runtime import logs
from modelway_runtime.compare import asking, comparison
from modelway_runtime.compare.backlog import Overload
from modelway_runtime.compare.mirrored import Mirrored
from modelway_runtime.compare.response import Outputs
from modelway_runtime.compare.settings import CompareSettings
from modelway_runtime.compare.tally import Tally
from modelway_runtime.exchange import AskFailed, Place
from modelway_runtime.server import compression
from modelway_runtime.server.answers import Refused

_Waiting = tuple[float, Mirrored, Callable[[], None]]
"""When it is due (seconds of the loop's clock), the request, and what gives its room back."""

_DELAY_SECONDS = 0.05
"""A copy comes at the very moment at which a pod answers its caller; asked at once, it would take the caller's CPU."""


class Work:
    """As many workers as asks may run at once, and the queue between them and the listener.

    Entered, they work. Left, what runs goes on to its end, which `request_timeout` bounds, and what waits is dropped.
    """

    def __init__(self, settings: CompareSettings, tally: Tally) -> None:
        self._settings = settings
        self._tally = tally
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._settings.max_concurrent)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
            self._tally.dropped(Overload.END)
        for _ in self._workers:
            self._queue.put_nowait(None)
        await asyncio.gather(*self._workers)

    def put(self, request: Mirrored, done: Callable[[], None]) -> None:
        """Queues a request whose room is taken already; `done` gives it back."""
        self._queue.put_nowait((asyncio.get_running_loop().time() + _DELAY_SECONDS, request, done))

    async def _work(self) -> None:
        while (waiting := await self._queue.get()) is not None:
            due, request, done = waiting
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            try:
                await self._compare(request)
            except Exception:  # noqa: BLE001 - a fault of ours must not end the worker
                logs.LOGGER.exception("Comparison failed by an error in the comparator itself")
                self._tally.ignored("internal-error")
            finally:
                done()

    async def _compare(self, request: Mirrored) -> None:
        if not await self._is_request(request):
            self._tally.ignored("malformed")
            return
        settings = self._settings
        # One after the other: callers of pods on the same node find a core free.
        stable = await self._asked(settings.stable, request)
        candidate = await self._asked(settings.candidate, request)
        again = await self._asked_again(request)
        if isinstance(stable, AskFailed) or isinstance(candidate, AskFailed):
            self._count_failure(stable, candidate)
        else:
            found = comparison.disagreements(stable, candidate, settings.tolerance)
            self._tally.compared(request.request_id, found)
        if isinstance(stable, dict) and isinstance(again, dict):
            found = comparison.disagreements(stable, again, settings.tolerance)
            self._tally.compared_with_itself(is_equal=not found)

    async def _is_request(self, request: Mirrored) -> bool:
        headers = dict(request.headers)
        try:
            encoding = headers.get(b"content-encoding", b"")
            body = await compression.unpacked(request.body, encoding, self._settings.max_body_bytes)
        except Refused:
            return False
        return request.dialect.is_request(body, headers)

    def _count_failure(self, stable: Outputs | AskFailed, candidate: Outputs | AskFailed) -> None:
        if isinstance(stable, dict) and isinstance(candidate, AskFailed):
            self._tally.failed("candidate", candidate.reason)
        elif isinstance(candidate, dict) and isinstance(stable, AskFailed):
            self._tally.failed("stable", stable.reason)
        else:
            # What both refuse is most often the caller's fault, and no revision is worse than the other.
            self._tally.ignored("both-failed")

    async def _asked_again(self, request: Mirrored) -> Outputs | AskFailed | None:
        """Stable's second answer, for a share of the requests: how much it disagrees with itself is the noise."""
        if random.random() * 100 >= self._settings.baseline_percent:
            return None
        return await self._asked(self._settings.stable, request)

    async def _asked(self, place: Place, request: Mirrored) -> Outputs | AskFailed:
        settings = self._settings
        try:
            limit = settings.max_body_bytes
            return await asking.ask(place, request, patience=settings.request_timeout, limit=limit)
        except AskFailed as failure:
            return failure
