"""Takes keys from the queue and reconciles them while this process leads; all error handling is here."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeAlias, cast

from modelway import logs
from modelway.cluster.api import ApiError, Conflict, Fenced, Superseded, TooManyRequests
from modelway.cluster.queue import WorkQueue
from modelway.cluster.snapshot import Key
from modelway.metrics import Metrics

RECONCILE_SECONDS = 60.0

Reconcile: TypeAlias = Callable[[Key, int], Awaitable[datetime | None]]
"""Key and epoch → when to look again; None is: only on events."""

log = logging.getLogger(__name__)


class Leadership(Protocol):
    """What workers ask of the election."""

    @property
    def epoch(self) -> int | None:
        """The epoch in which this process leads."""
        ...

    async def leadership(self) -> int:
        """Wait until this process leads."""
        ...


class Workers:
    """A fixed number of tasks; a key is never reconciled by two at once."""

    def __init__(
        self,
        queue: WorkQueue,
        reconcile: Reconcile,
        *,
        leadership: Leadership,
        superseded: Callable[[str], None],
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`superseded` is called to end the process."""
        self._queue = queue
        self._reconcile = reconcile
        self._leadership = leadership
        self._superseded = superseded
        self._metrics = metrics
        self._now = now
        self._busy: dict[Key, float] = {}
        self._idle: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._count = 0

    async def run(self, workers: int) -> None:
        """Work until closed and what was begun is done."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(workers):
                self._idle.add(tasks.create_task(self._work()))

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closed = True
        for task in self._idle:
            task.cancel()

    def longest_seconds(self) -> float:
        """How long the reconciliation that runs longest has run."""
        return time.monotonic() - min(self._busy.values(), default=time.monotonic())

    async def _work(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while not self._is_closed:
            self._idle.add(task)
            await self._leadership.leadership()
            key = await self._queue.get()
            self._idle.discard(task)
            await self._reconcile_one(key)

    async def _reconcile_one(self, key: Key) -> None:
        self._busy[key] = started = time.monotonic()
        self._metrics.workers_busy.inc()
        self._count += 1
        try:
            with logs.context(namespace=key[0], name=key[1], reconcile=f"{self._count:x}"):
                result = await self._once(key)
        finally:
            del self._busy[key]
            self._metrics.workers_busy.dec()
            self._queue.done(key)
        self._metrics.reconciles.labels(result).inc()
        self._metrics.reconcile_seconds.observe(time.monotonic() - started)

    async def _once(self, key: Key) -> str:
        """Reconcile and put back as is due. Returns the result's name in metrics."""
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                wake = await self._reconcile(key, self._leadership.epoch or 0)
        except Superseded as failure:
            self._superseded(str(failure))
            return "superseded"
        except Fenced:
            self._queue.add_after(key, 1.0)
            return "fenced"
        except Conflict as failure:
            pause = self._queue.retry(key)
            log.info("Saw an old state: %s", failure, extra={"retry_in": round(pause, 2)})
            return "conflict"
        except (ApiError, TimeoutError) as failure:
            at_least = failure.retry_after if isinstance(failure, TooManyRequests) else 0.0
            pause = self._queue.retry(key, at_least=at_least)
            what = str(failure) or f"no end within {RECONCILE_SECONDS:.0f} s"
            log.warning("Did not reconcile: %s", what, extra={"retry_in": round(pause, 2)})
            return "refused"
        except Exception:
            pause = self._queue.retry(key)
            log.exception("Failed to reconcile", extra={"retry_in": round(pause, 2)})
            return "error"
        self._queue.forget(key)
        if wake is not None:
            self._queue.add_after(key, (wake - self._now()).total_seconds())
        return "done"
