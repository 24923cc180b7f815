"""What became of a request, for those who are told of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any, Protocol

from prometheus_client.metrics_core import Metric

from modelway_runtime import logs
from modelway_runtime.observation.trace_context import trace_id
from modelway_runtime.protocol.tensors import Arrays
from modelway_runtime.server.jobs import Job

CALLER_GONE = 499
"""The status of a request whose caller left before the answer, as proxies write it."""


@dataclass(slots=True, eq=False, kw_only=True)
class Record:
    """One request. `ended` is in seconds since 1970, `started` on the clock of durations."""

    protocol: str
    method: str
    path: str
    """A template: callers put anything into a path, and it must not become a label or a line."""
    traceparent: str = ""
    tracestate: str = ""
    is_prediction: bool = False
    is_shadow: bool = False
    started: float = field(default_factory=perf_counter)
    id: str = ""
    status: int = 0
    bytes_in: int = 0
    """Of the body as it was read, before it is unpacked."""
    bytes_out: int = 0
    request: Any = None
    """As its dialect read it."""
    results: Arrays | None = None
    job: Job | None = None
    seconds: float = 0.0
    ended: float = 0.0
    trace_id: str = ""

    @property
    def queue_seconds(self) -> float:
        """How long it waited for the model, also where that never came."""
        job = self.job
        if job is None:
            return 0.0
        return job.queue_seconds if job.is_running else self.started + self.seconds - job.submitted


class Observer(Protocol):
    """Is told of requests in the event loop's thread, after their answers are out; must not wait."""

    def ended(self, record: Record) -> None:
        """A request has ended."""

    def families(self) -> Iterator[Metric]:
        """Its own figures, for a scrape."""

    def close(self) -> None:
        """Passes on what it holds, for three seconds at most; in any thread, when no request comes any more."""


def tell(observers: Sequence[Observer], record: Record, *, status: int, bytes_out: int) -> None:
    """Tells all of them; a fault of one of them harms no caller."""
    record.status, record.bytes_out = status, bytes_out
    record.seconds, record.ended = perf_counter() - record.started, time()
    if record.traceparent:
        record.trace_id = trace_id(record.traceparent)
    for observer in observers:
        try:
            observer.ended(record)
        except Exception:  # noqa: BLE001 - the request has its answer, and its connection must outlive this
            logs.LOGGER.exception("Observer failed by an error in the runtime itself")
