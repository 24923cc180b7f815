"""Whether this process still does its work, for the kubelet."""

import asyncio
from collections.abc import Callable, Iterator

from modelway.cluster.queue import WorkQueue
from modelway.cluster.workers import Workers
from modelway.metrics import Metrics

BEAT_SECONDS = 1.0
MOST_LAG_SECONDS = 5.0
MOST_RECONCILE_SECONDS = 120.0
MOST_WAIT_SECONDS = 300.0


class LoopLag:
    """How late the event loop wakes: a blocked loop serves nobody."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seconds = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self._seconds = loop.time() - due
            self._metrics.loop_lag_seconds.set(self._seconds)

    def problems(self) -> Iterator[str]:
        """A lag that only a restart can cure."""
        if self._seconds > MOST_LAG_SECONDS:
            yield f"The event loop woke {self._seconds:.1f} s late"


def work_problems(queue: WorkQueue, workers: Workers, leading_seconds: Callable[[], float]) -> Iterator[str]:
    """Reconciliations that do not end, and objects that nobody takes although this process leads.

    A process that did not lead until now has had objects in its queue since it started.
    """
    if workers.longest_seconds() > MOST_RECONCILE_SECONDS:
        yield f"A reconciliation has run for {workers.longest_seconds():.0f} s"
    waited = min(queue.oldest_seconds(), leading_seconds())
    if waited > MOST_WAIT_SECONDS:
        yield f"An object has waited for {waited:.0f} s"
