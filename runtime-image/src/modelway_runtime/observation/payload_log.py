"""Sends some requests and their answers to a sink, as CloudEvents.

The loop only keeps what is sampled, and a thread makes and sends the events. What does not fit meanwhile is dropped and
counted: a sink that is slow or gone delays no answer and takes no memory beyond what is said here.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from random import random

from prometheus_client.metrics_core import Metric

from modelway_runtime import logs
from modelway_runtime.observation.events import Events, Origin
from modelway_runtime.observation.record import Record
from modelway_runtime.observation.settings import PayloadSettings
from modelway_runtime.observation.sink import Sink
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.server.figures import Labels, Value, counters
from modelway_runtime.server.state import State

MOST_HELD = 1000
MOST_HELD_BYTES = 32 * 1024 * 1024
_PATIENCE_SECONDS = 3.0
_LABELS = ("model", "version")


@dataclass(slots=True, kw_only=True)
class PayloadFigures:
    """What became of events. Each figure has one writer: `dropped` the loop, the others the thread."""

    sent: Value
    failed: Value
    dropped: Value
    cut: Value

    @classmethod
    def zero(cls) -> "PayloadFigures":
        """At the start."""
        return cls(sent=Value(), failed=Value(), dropped=Value(), cut=Value())

    def families(self, labels: Labels) -> Iterator[Metric]:
        """For a scrape."""
        outcomes: Mapping[Labels, Value] = {
            (*labels, "sent"): self.sent,
            (*labels, "failed"): self.failed,
            (*labels, "dropped"): self.dropped,
        }
        yield from counters(
            "modelway_runtime_payload_events",
            "Events of the payload log: taken by the sink, not taken, or dropped because too many waited",
            (*_LABELS, "outcome"),
            outcomes,
        )
        yield from counters(
            "modelway_runtime_payload_events_cut",
            "Events whose data was left out for its size",
            _LABELS,
            {labels: self.cut},
        )


class PayloadLog:
    """Samples requests of callers; those of a comparator are copies."""

    def __init__(self, state: State, wanted: PayloadSettings) -> None:
        self._state = state
        self._wanted = wanted
        self._labels: Labels = (state.settings.name, state.settings.version)
        self._figures = PayloadFigures.zero()
        self._held, self._held_bytes = 0, 0
        self._lock = threading.Lock()
        self._records: SimpleQueue[Record | None] = SimpleQueue()
        self._has_failed = False
        self._thread = threading.Thread(target=self._send_all, name="payload-log", daemon=True)
        self._thread.start()

    def ended(self, record: Record) -> None:
        """Keeps a request that is sampled, if it was understood."""
        if record.request is None or record.is_shadow or random() >= self._wanted.fraction:
            return
        size = _size(record)
        with self._lock:
            has_room = self._held < MOST_HELD and self._held_bytes + size <= MOST_HELD_BYTES
            if has_room:
                self._held += 1
                self._held_bytes += size
        if has_room:
            self._records.put(record)
        else:
            self._figures.dropped.value += 1 if record.results is None else 2

    def families(self) -> Iterator[Metric]:
        """What became of events."""
        return self._figures.families(self._labels)

    def close(self) -> None:
        """Sends what is held, unless the sink takes its time."""
        self._records.put(None)
        self._thread.join(_PATIENCE_SECONDS)

    def _send_all(self) -> None:
        sink = Sink(self._wanted.url)
        events: Events | None = None
        while (record := self._records.get()) is not None:
            events = events or self._events()
            try:
                self._send(sink, events, record)
            except Exception:  # noqa: BLE001 - the thread must live on, whatever a model answers
                self._figures.failed.value += 1
                logs.LOGGER.exception("Payload log failed by an error in the runtime itself")
            with self._lock:
                self._held -= 1
                self._held_bytes -= _size(record)
        sink.close()

    def _events(self) -> Events:
        """Once there is a model."""
        settings, wanted, serving = self._state.settings, self._wanted, self._state.serving
        assert serving is not None
        origin = Origin(
            service=wanted.service or settings.name,
            namespace=wanted.namespace,
            revision=settings.revision,
            model=settings.name,
            version=settings.version,
        )
        interface = Interface(serving.model.inputs, serving.model.outputs)
        events = Events(origin, interface, redacted=wanted.redacted, most_bytes=wanted.max_bytes)
        if events.unknown:
            names = sorted(events.unknown)
            logs.LOGGER.warning(
                "Payload log redacts names that the model does not have", extra={"fields": {"names": names}}
            )
        return events

    def _send(self, sink: Sink, events: Events, record: Record) -> None:
        figures = self._figures
        for event in events.of(record):
            figures.cut.value += event.is_cut
            try:
                sink.send(event)
            except OSError as error:
                figures.failed.value += 1
                self._tell(str(error))
            else:
                figures.sent.value += 1
                self._has_failed = False

    def _tell(self, error: str) -> None:
        """Once for each time that the sink ceases to take events."""
        if not self._has_failed:
            self._has_failed = True
            logs.LOGGER.warning("Payload log was not taken by its sink", extra={"fields": {"error": error}})


def _size(record: Record) -> int:
    """About what it holds in memory."""
    arrays = (*record.request.inputs.values(), *(record.results or {}).values())
    return record.bytes_in + record.bytes_out + sum(int(array.nbytes) for array in arrays)
