"""One process of the operator in the simulation: the real reconciler, its cache and its queue."""

import random
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from modelway.cluster.api import ApiError
from modelway.cluster.snapshot import Key
from modelway.reconcile import Reconciler
from modelway.settings import Settings
from simulation.asker import Asker
from simulation.clock import Clock
from simulation.recorder import Recorder
from simulation.server import Server
from simulation.store import Store
from simulation.view import View

T = TypeVar("T")

FIRST_RETRY = timedelta(milliseconds=200)
MAX_RETRY = timedelta(seconds=300)


class Process:
    """Knows nothing but what it reads; a new one takes over when it dies."""

    def __init__(
        self,
        store: Store,
        server: Server,
        clock: Clock,
        recorder: Recorder,
        asker: Asker,
        *,
        has_gateway: bool,
        route_fields: frozenset[str],
        epoch: int,
        image: str,
    ) -> None:
        self.view = View(store, clock, has_gateway=has_gateway)
        self._clock = clock
        self._epoch = epoch
        self._reconciler = Reconciler(
            api=server,
            cache=self.view.cache,
            clock=clock,
            settings=Settings(gateway=has_gateway, runtime_image=image),
            route_fields=route_fields,
            events=recorder,
            asker=asker,
            counters=recorder,
        )
        self.asker = asker
        self._queue: set[Key] = set(self.view.cache.keys())
        self._wakes: dict[Key, datetime] = {}
        self._failures: dict[Key, int] = {}
        self.passes = 0
        self.errors: list[ApiError] = []

    def add(self, keys: set[Key]) -> None:
        """Something about these objects changed."""
        self._queue |= keys

    def next_due(self) -> datetime | None:
        """When the next pass is due by the clock, or the next figures are."""
        asked = self.asker.next_due()
        return min((*self._wakes.values(), *((asked,) if asked else ())), default=None)

    def read(self) -> bool:
        """Read the figures that are due. False: none are."""
        touched = self.asker.step()
        self._queue |= touched
        return bool(touched)

    def reconcile(self, order: random.Random | None) -> bool:
        """One pass over one object that is due. False: none is."""
        now = self._clock()
        self._queue |= {key for key, wake in self._wakes.items() if wake <= now}
        if not self._queue:
            return False
        waiting = sorted(self._queue)
        key = order.choice(waiting) if order else waiting[0]
        self._queue.discard(key)
        self._wakes.pop(key, None)
        self.passes += 1
        try:
            wake = run(self._reconciler.reconcile(key, self._epoch))
        except ApiError as error:
            self.errors.append(error)
            wake = now + self._back_off(key)
        else:
            self._failures.pop(key, None)
        if wake is not None:
            self._wakes[key] = wake
        return True

    def _back_off(self, key: Key) -> timedelta:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return min(FIRST_RETRY * (1 << min(failures - 1, 16)), MAX_RETRY)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine to its end; nothing in the simulation ever waits for I/O."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("a pass waited for something that is not simulated")
