"""Metrics that are read from the cache and the queue at each scrape: a deleted object vanishes by itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelway import kinds
from modelway.cluster.cache import Cache
from modelway.cluster.lanes import Lane
from modelway.cluster.queue import WorkQueue
from modelway.kinds import Manifest


class CacheCollector(Collector):
    """Sizes of the cache, and a few gauges of every ModelDeployment."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The present state."""
        objects = GaugeMetricFamily("modelway_cache_objects", "Objects in the cache", labels=("kind",))
        for kind, count in self._cache.counts().items():
            objects.add_metric((kind.name,), count)
        yield objects
        yield from _models(self._cache.objects(kinds.MODEL_DEPLOYMENT))


class QueueCollector(Collector):
    """Length, age and turnover of the queue."""

    def __init__(self, queue: WorkQueue, leading_seconds: Callable[[], float]) -> None:
        """`leading_seconds`: nothing waits for a process longer than it leads."""
        self._queue = queue
        self._leading_seconds = leading_seconds

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The present state."""
        depth = GaugeMetricFamily("modelway_queue_depth", "Objects that wait for a worker", labels=("lane",))
        adds = CounterMetricFamily("modelway_queue_adds", "Objects put into the queue", labels=("lane",))
        for lane in Lane:
            depth.add_metric((lane.name.lower(),), self._queue.depth(lane))
            adds.add_metric((lane.name.lower(),), self._queue.adds[lane])
        yield from (depth, adds)
        oldest = min(self._queue.oldest_seconds(), self._leading_seconds())
        text = "Age of the oldest of them; 0 without the lease"
        yield GaugeMetricFamily("modelway_queue_oldest_seconds", text, oldest)
        yield CounterMetricFamily("modelway_queue_retries", "Objects put back after an error", self._queue.retries)


def _models(models: Iterable[Manifest]) -> Iterator[Metric]:
    own = ("namespace", "name")
    info = GaugeMetricFamily("modelway_info", "Always 1", labels=(*own, "model", "version", "revision"))
    phase = GaugeMetricFamily("modelway_phase", "1 for the present phase", labels=(*own, "phase"))
    weight = GaugeMetricFamily("modelway_traffic_weight", "Percent of the traffic", labels=(*own, "revision", "role"))
    outdated = GaugeMetricFamily(
        "modelway_runtime_outdated", "1 when the runtime changed since the revision was born", labels=own
    )
    step = GaugeMetricFamily(
        "modelway_step_index", "Step of the rollout under way, from 0; absent without one", labels=own
    )
    for manifest in models:
        identity = (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        model, status = _part(manifest, "spec", "model"), _part(manifest, "status")
        stable = _part(status, "stableRevision").get("name") or ""
        model_name, version = model.get("name") or identity[1], model.get("version") or ""
        info.add_metric((*identity, model_name, version, stable), 1)
        if status.get("phase"):
            phase.add_metric((*identity, status["phase"]), 1)
        for share in status.get("traffic") or ():
            role = "stable" if share["revision"] == stable else "candidate"
            weight.add_metric((*identity, share["revision"], role), share.get("desiredWeight") or 0)
        outdated.add_metric(identity, int(bool(_part(status, "runtime").get("outdated"))))
        rollout = _part(status, "rollout")
        if "id" in rollout and "finishedAt" not in rollout:
            step.add_metric(identity, rollout.get("stepIndex") or 0)
    yield from (info, phase, weight, outdated, step)


def _part(manifest: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A part of an object, empty while it is absent."""
    for name in path:
        manifest = manifest.get(name) or {}
    return manifest
