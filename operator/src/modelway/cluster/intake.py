"""The one way in for watch events: into the cache, and from there into the queue."""

from modelway import kinds
from modelway.cluster.cache import Cache
from modelway.cluster.lanes import Lane
from modelway.cluster.queue import WorkQueue
from modelway.kinds import Kind, Manifest
from modelway.metrics import Metrics

DEBOUNCE_SECONDS = 0.05
"""A rollout makes bursts of events of children; one reconciliation answers them all."""


class Intake:
    """Feeds the cache always, and the queue until it is closed."""

    def __init__(self, cache: Cache, queue: WorkQueue, metrics: Metrics) -> None:
        self._cache = cache
        self._queue = queue
        self._metrics = metrics
        self._is_open = True

    def observe(self, kind: Kind, event: str | None, manifest: Manifest) -> None:
        """Take one event; None is an item of a watch's first list."""
        self._metrics.watch_events.labels(kind.name, event or "LISTED").inc()
        self.wake(kind, event, self._cache.observe(kind, event, manifest))

    def wake(self, kind: Kind, event: str | None, keys: tuple[tuple[str, str], ...]) -> None:
        """Have these ModelDeployments reconciled, as urgently as the event asks for."""
        if not self._is_open:
            return
        lane = Lane.LOW if event is None or _is_shared(kind) else Lane.HIGH
        delay = 0.0 if kind == kinds.MODEL_DEPLOYMENT else DEBOUNCE_SECONDS
        for key in keys:
            self._queue.add_after(key, delay, lane)

    def close(self) -> None:
        """Put nothing into the queue any more."""
        self._is_open = False


def _is_shared(kind: Kind) -> bool:
    return kind in (kinds.MODEL_RUNTIME, kinds.CLUSTER_MODEL_RUNTIME)
