"""The server's figures for Prometheus; children are bound once, so that a request pays for an addition only."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modelway_runtime.server.figures import (
    ROWS,
    SECONDS,
    Histogram,
    Labels,
    Value,
    counters,
    gauges,
    histograms,
)

_PREFIX = "modelway_runtime_"
_MODEL = ("model", "version")


class Metrics(Collector):
    """All figures of one model. The event loop's thread is the only writer."""

    def __init__(self, model: str, version: str) -> None:
        self._model: Labels = (model, version)
        self._requests: dict[Labels, Histogram] = {}
        self._rejected: dict[Labels, Value] = {}
        self.answered = self.request("200")
        self.queued = Histogram(SECONDS)
        self.decoded = Histogram(SECONDS)
        self.inferred = Histogram(SECONDS)
        self.encoded = Histogram(SECONDS)
        self.batch_rows = Histogram(ROWS)
        self.rows = Value()
        self.executions = Value()
        self.inflight = Value()
        self.queue_depth = Value()
        self.ready = Value()
        self.load_seconds = Value()

    def request(self, code: str) -> Histogram:
        """The durations of requests that ended with a status code."""
        labels = (*self._model, "rest", code)
        return self._requests.setdefault(labels, Histogram(SECONDS))

    def rejected(self, reason: str) -> None:
        """Counts a request that a limit refused."""
        self._rejected.setdefault((*self._model, reason), Value()).value += 1

    def collect(self) -> Iterator[Metric]:
        """Everything, for a scrape."""
        phases = {"input": self.decoded, "infer": self.inferred, "output": self.encoded}
        compute = {(*self._model, phase): child for phase, child in phases.items()}
        yield from histograms(
            f"{_PREFIX}request_duration_seconds",
            "Time from the first byte of an inference request to its answer",
            (*_MODEL, "protocol", "code"),
            self._requests,
        )
        yield from histograms(
            f"{_PREFIX}queue_duration_seconds",
            "Time a request waited for the model",
            _MODEL,
            {self._model: self.queued},
        )
        yield from histograms(
            f"{_PREFIX}compute_duration_seconds",
            "Time of decoding, inference and encoding",
            (*_MODEL, "phase"),
            compute,
        )
        yield from histograms(f"{_PREFIX}batch_rows", "Rows that ran together", _MODEL, {self._model: self.batch_rows})
        yield from self._values()

    def _values(self) -> Iterator[Metric]:
        for name, text, child in (
            ("inference", "Rows inferred", self.rows),
            ("execution", "Calls of the model", self.executions),
        ):
            yield from counters(f"{_PREFIX}{name}", text, _MODEL, {self._model: child})
        yield from counters(f"{_PREFIX}rejected", "Requests refused by a limit", (*_MODEL, "reason"), self._rejected)
        for name, text, child in (
            ("inflight_requests", "Inference requests being answered", self.inflight),
            ("queue_depth", "Requests waiting for the model", self.queue_depth),
            ("model_ready", "1 when the model is ready", self.ready),
            ("model_load_seconds", "Time from opening the model to ready", self.load_seconds),
        ):
            yield from gauges(f"{_PREFIX}{name}", text, _MODEL, {self._model: child.value})


def registry(metrics: Metrics) -> CollectorRegistry:
    """What /metrics shows: our figures and those of the process."""
    collected = CollectorRegistry()
    collected.register(metrics)
    ProcessCollector(registry=collected)
    PlatformCollector(registry=collected)
    return collected
