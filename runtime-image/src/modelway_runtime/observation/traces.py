"""Spans of predictions, sent as OpenTelemetry over OTLP. Imported only where the environment asks for it.

A span is made when the request has ended, from times that are taken anyway: its caller does not wait for it. The SDK
sends it from a thread, drops what is too much, and logs when nobody takes it. It reads its settings, the names that
begin with `OTEL_`, from the environment itself.
"""

import threading
from collections.abc import Iterator

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from prometheus_client.metrics_core import Metric

from modelway_runtime import __version__
from modelway_runtime.observation import trace_context
from modelway_runtime.observation.record import Record
from modelway_runtime.settings import ServeSettings

_PATIENCE_SECONDS = 3.0
_UNNAMED = "unknown_service"


class Traces:
    """A span for each prediction, with its time in the queue and in the model below it."""

    def __init__(self, settings: ServeSettings) -> None:
        self._model: dict[str, AttributeValue] = {
            "modelway.model": settings.name,
            "modelway.version": settings.version,
            "modelway.revision": settings.revision,
        }
        self._provider = TracerProvider(resource=_resource(settings.name), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._is_parent_s_choice = isinstance(self._provider.sampler, ParentBased)
        """Then most requests of callers that trace themselves need no look at the SDK, which takes its time."""
        self._tracer = self._provider.get_tracer("modelway_runtime", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def ended(self, record: Record) -> None:
        """The spans of a request that is sampled."""
        if not record.is_prediction or (self._is_parent_s_choice and trace_context.is_unsampled(record.traceparent)):
            return
        ended = round(record.ended * 1e9)
        span = self._tracer.start_span(
            f"{record.method} {record.path}",
            self._parent(record),
            SpanKind.SERVER,
            {**self._model, **_attributes(record)},
            start_time=ended - _nanoseconds(record.seconds),
        )
        if not span.is_recording():
            return
        record.trace_id = format_trace_id(span.get_span_context().trace_id)
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        self._add_parts(span, record, ended)
        span.end(ended)

    def families(self) -> Iterator[Metric]:
        """None: the SDK keeps no count of what it drops."""
        return iter(())

    def close(self) -> None:
        """Sends what waits, unless that takes long."""
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(_PATIENCE_SECONDS)

    def _parent(self, record: Record) -> Context:
        if not record.traceparent:
            return Context()
        carrier = {"traceparent": record.traceparent, "tracestate": record.tracestate}
        return self._propagator.extract(carrier, Context())

    def _add_parts(self, span: Span, record: Record, ended: int) -> None:
        job = record.job
        if job is None:
            return
        context = set_span_in_context(span, Context())
        submitted = ended - _nanoseconds(record.started + record.seconds - job.submitted)
        began = submitted + _nanoseconds(record.queue_seconds)
        self._tracer.start_span("queue", context, start_time=submitted).end(began)
        if job.is_running:
            has_ended = job.batch_rows > 0
            attributes: dict[str, AttributeValue] = {"modelway.batch.rows": job.batch_rows} if has_ended else {}
            finished = began + _nanoseconds(job.compute_seconds) if has_ended else ended
            self._tracer.start_span("compute", context, attributes=attributes, start_time=began).end(finished)


def _attributes(record: Record) -> dict[str, AttributeValue]:
    """By the conventions of OpenTelemetry where they have a name."""
    found: dict[str, AttributeValue] = {
        "http.request.method": record.method,
        "http.route": record.path,
        "http.response.status_code": record.status,
        "http.request.body.size": record.bytes_in,
        "http.response.body.size": record.bytes_out,
        "modelway.protocol": record.protocol,
        "modelway.request.id": record.id,
    }
    if record.job is not None:
        found["modelway.rows"] = record.job.rows
    if record.is_shadow:
        found["modelway.shadow"] = True
    return found


def _resource(name: str) -> Resource:
    """What the environment says of this process; without a name for it that of the model."""
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        return resource.merge(Resource({SERVICE_NAME: name}))
    return resource


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
