"""The server's figures; children are bound once, so that a request pays for an addition only."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import time

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modelway_runtime.protocol.statistics import Spent, Statistics
from modelway_runtime.server.feedback import Labelled
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
_ANSWERED = "200"
REST, GRPC = "rest", "grpc"
"""Protocols, as labels."""
_MOST_BATCH_SIZES = 1024
"""A request may have any number of rows, and each number that is counted takes room."""
FAULT_OF_CALLER = 400
"""The status of a request that is wrong by itself."""
_NO_FAILURES = {_ANSWERED, str(FAULT_OF_CALLER)}

LATENCIES = tuple(1.05**bucket / 1e6 for bucket in range(501))
"""Upper bounds in seconds of the buckets that analysis reads: 1 µs, then each 5 % above the one before, to 11 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Requests of callers since the start: all that ended, those that were errors, the durations of those answered.

    An error is what callers suffer from this revision: 5xx, a refusal by one of its limits, an answer later than its
    `requestTimeout`. Its limits are the body's size and the time for it, too, so 413 and 408 are errors: a revision
    with a smaller `maxBodyBytes` must not look harmless. A request that is wrong by itself counts as nothing.
    """

    requests: int
    errors: int
    latency: tuple[int, ...]


class Batches:
    """Calls of the model with the same number of rows."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0


class Metrics(Collector):
    """All figures of one model. The event loop's thread is the only writer, and it also answers the scrapes."""

    def __init__(self, model: str, version: str, *, request_timeout: float = 30.0) -> None:
        self._model: Labels = (model, version)
        self._request_timeout = request_timeout
        self._requests: dict[Labels, Histogram] = {}
        self._rejected: dict[Labels, Value] = {}
        self.answered = Histogram(SECONDS, (*LATENCIES, request_timeout))
        self.answered_calls = Histogram(SECONDS, (*LATENCIES, request_timeout))
        self._requests[(*self._model, REST, _ANSWERED)] = self.answered
        self._requests[(*self._model, GRPC, _ANSWERED)] = self.answered_calls
        self.queued = Histogram(SECONDS)
        self.decoded = Histogram(SECONDS)
        self.inferred = Histogram(SECONDS)
        self.encoded = Histogram(SECONDS)
        self.batch_rows = Histogram(ROWS)
        self.rows = Value()
        self.executions = Value()
        self.inferred_seconds = Value()
        """The sum over requests of how long the call of the model took that answered them."""
        self.last_inference = 0.0
        """When the model last ran, in seconds since 1970."""
        self.batches: dict[int, Batches] = {}
        self.shadow = Value()
        self.worker_restarts = Value()
        self.workers: Callable[[], int] = _none
        self.feedback: Mapping[str, Labelled] = {}
        self.others: Sequence[Callable[[], Iterator[Metric]]] = ()
        """Figures that others keep."""
        self.drift: Callable[[], Mapping[str, float]] = dict
        self.inflight: Callable[[], int] = _none
        self.queue_depth: Callable[[], int] = _none
        self.ready = Value()
        self.load_seconds = Value()

    def request(self, code: str, protocol: str = REST) -> Histogram:
        """The durations of requests that ended with a status code, which for gRPC is that of the same end in REST."""
        return self._requests.setdefault((*self._model, protocol, code), Histogram(SECONDS))

    def rejected(self, reason: str) -> None:
        """Counts a request that a limit refused."""
        self._rejected.setdefault((*self._model, reason), Value()).value += 1

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        """Counts a call of the model for some requests together."""
        self.inferred.observe(seconds)
        self.batch_rows.observe(rows)
        self.rows.value += rows
        self.inferred_seconds.value += seconds * requests
        self.last_inference = time()
        batches = self.batches.get(rows)
        if batches is None:
            if len(self.batches) >= _MOST_BATCH_SIZES:
                return
            batches = self.batches[rows] = Batches()
        batches.count += 1
        batches.seconds += seconds

    def statistics(self) -> Statistics:
        """What the protocol tells of the model."""
        answered, failed = self._ended({_ANSWERED}), self._ended({code for *_, code in self._requests} - _NO_FAILURES)
        name, version = self._model
        requests = sum(self.queued.counts)
        return Statistics(
            name=name,
            version=version,
            last_inference_ms=round(self.last_inference * 1e3),
            rows=int(self.rows.value),
            executions=int(self.executions.value),
            success=_spent(*answered),
            fail=_spent(*failed),
            queue=_spent(self.queued),
            compute_input=_spent(self.decoded),
            compute_infer=Spent(count=requests, seconds=self.inferred_seconds.value),
            compute_output=_spent(self.encoded),
            batches={rows: Spent(count=one.count, seconds=one.seconds) for rows, one in self.batches.items()},
        )

    def failures(self) -> dict[str, int]:
        """Requests by the status with which they failed; what is wrong by itself is no failure."""
        found: Counter[str] = Counter()
        for labels, child in self._requests.items():
            if labels[-1] not in _NO_FAILURES:
                found[labels[-1]] += sum(child.counts)
        return dict(found)

    def _ended(self, codes: set[str]) -> Iterable[Histogram]:
        return (child for labels, child in self._requests.items() if labels[-1] in codes)

    def evidence(self) -> Evidence:
        """What analysis reads."""
        ended: Counter[str] = Counter()
        for labels, child in self._requests.items():
            ended[labels[-1]] += sum(child.counts)
        requests = ended.total() - ended[str(FAULT_OF_CALLER)]
        found = (self.answered, self.answered_calls)
        late = sum(child.counted((self._request_timeout,))[-1] for child in found)
        return Evidence(
            requests=requests,
            errors=requests - ended[_ANSWERED] + late,
            latency=tuple(map(sum, zip(*(child.counted(LATENCIES) for child in found), strict=True))),
        )

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
        for families in self.others:
            yield from families()

    def _values(self) -> Iterator[Metric]:
        for name, text, child in (
            ("inference", "Rows inferred", self.rows),
            ("execution", "Calls of the model", self.executions),
            ("shadow_requests", "Inference requests of a comparator, in no other figure of requests", self.shadow),
            ("worker_restarts", "Worker processes started again after one died", self.worker_restarts),
        ):
            yield from counters(f"{_PREFIX}{name}", text, _MODEL, {self._model: child})
        for name, text in (
            ("labels", "Predictions of a revision whose outcome was told"),
            ("right", "Those among them that came true"),
            ("numbers", "Those among them that were numbers"),
            ("off", "The sum of how far these were off"),
        ):
            values = {(*self._model, revision): _value(getattr(told, name)) for revision, told in self.feedback.items()}
            yield from counters(f"{_PREFIX}feedback_{name}", text, (*_MODEL, "revision"), values)
        yield from gauges(
            f"{_PREFIX}drift_psi",
            "Population stability index of a feature or prediction against the model's reference, less that of chance",
            (*_MODEL, "feature"),
            {(*self._model, name): value for name, value in self.drift().items()},
        )
        yield from counters(f"{_PREFIX}rejected", "Requests refused by a limit", (*_MODEL, "reason"), self._rejected)
        for name, text, value in (
            ("inflight_requests", "Inference requests being answered", self.inflight()),
            ("queue_depth", "Requests waiting for the model", self.queue_depth()),
            ("model_ready", "1 when the model is ready", self.ready.value),
            ("workers", "Worker processes that can run the model", self.workers()),
            ("model_load_seconds", "Time from opening the model to ready", self.load_seconds.value),
        ):
            yield from gauges(f"{_PREFIX}{name}", text, _MODEL, {self._model: value})


def _spent(*children: Histogram) -> Spent:
    return Spent(count=sum(sum(child.counts) for child in children), seconds=sum(child.total for child in children))


def _value(amount: float) -> Value:
    value = Value()
    value.value = amount
    return value


def _none() -> int:
    return 0
