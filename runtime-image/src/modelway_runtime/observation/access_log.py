"""A line of JSON for each request, without headers and bodies.

The loop only keeps the lines, and a thread writes them a few times a second: a pipe that nobody reads stops neither
requests nor the end of the process. What does not fit meanwhile is dropped and counted.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from queue import SimpleQueue

import orjson
from prometheus_client.metrics_core import Metric

from modelway_runtime.observation.record import Record
from modelway_runtime.server.figures import Labels, Value, counters

MOST_LINES = 10_000
_PERIOD = 0.2
_PATIENCE_SECONDS = 1.0
_PROBES = frozenset(
    (
        "/v2/health/live",
        "/v2/health/ready",
        "/ping",
        "/health",
        "/grpc.health.v1.Health/Check",
    )
)
_FORM = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class AccessLog:
    """Writes to a file descriptor."""

    def __init__(self, descriptor: int, labels: Labels, *, most_lines: int = MOST_LINES) -> None:
        self._descriptor = descriptor
        self._labels = labels
        self._most_lines = most_lines
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._is_waiting = False
        self._is_writing = False
        self._dropped = Value()
        self._failed = Value()  # the thread's own: each figure has one writer
        self._bunches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_bunches, name="access-log", daemon=True)
        self._thread.start()

    def ended(self, record: Record) -> None:
        """A line, but for probes that were answered well: they would be most of the lines."""
        if record.status < 400 and record.path in _PROBES:
            return
        if len(self._lines) >= self._most_lines:
            self._dropped.value += 1
            return
        self._lines.append(line(record))
        if not self._is_waiting:
            self._is_waiting = True
            self._loop.call_later(_PERIOD, self._hand_over)

    def families(self) -> Iterator[Metric]:
        """What was not written."""
        return self.figures(self._labels, {"full": self._dropped, "failed": self._failed})

    @staticmethod
    def figures(labels: Labels, dropped: Mapping[str, Value]) -> Iterator[Metric]:
        """The same of any log; `full` are lines that came while as many as may be waited."""
        yield from counters(
            "modelway_runtime_access_log_dropped",
            "Lines of the access log that were not written",
            ("model", "version", "reason"),
            {(*labels, reason): value for reason, value in dropped.items()},
        )

    def close(self) -> None:
        """Writes what is held, unless nobody reads."""
        self._bunches.put(self._lines)
        self._bunches.put(None)
        self._thread.join(_PATIENCE_SECONDS)

    def _hand_over(self) -> None:
        if self._is_writing:
            self._loop.call_later(_PERIOD, self._hand_over)
            return
        self._is_waiting, self._is_writing = False, True
        self._bunches.put(self._lines)
        self._lines = []

    def _write_bunches(self) -> None:
        while (lines := self._bunches.get()) is not None:
            try:
                _write(self._descriptor, b"".join(lines))
            except OSError:
                self._failed.value += len(lines)
            self._is_writing = False


def line(record: Record) -> bytes:
    """A request as JSON; what has no meaning for it is left out."""
    fields = {
        "time": datetime.fromtimestamp(record.ended, UTC),
        "level": "info",
        "message": "Request",
        "id": record.id,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "protocol": record.protocol,
        "seconds": round(record.seconds, 6),
        "bytesIn": record.bytes_in,
        "bytesOut": record.bytes_out,
    }
    job = record.job
    if job is not None:
        fields["rows"] = job.rows
        fields["queueSeconds"] = round(record.queue_seconds, 6)
    if job is not None and job.batch_rows:
        fields["computeSeconds"] = round(job.compute_seconds, 6)
        fields["batchRows"] = job.batch_rows
    if record.trace_id:
        fields["trace"] = record.trace_id
    if record.is_shadow:
        fields["shadow"] = True
    return orjson.dumps(fields, option=_FORM)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
