"""Traces: what a receiver of OTLP gets from a server, and that there are none unless the environment asks for them."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from modelway_runtime.observation import trace_context
from modelway_runtime.observation.settings import observation
from modelway_runtime.reasons import UsageError
from modelway_runtime.rpc.messages import SERVICE, message

Eventually = Callable[[Callable[[], Any]], Any]

ROWS = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 4], "data": [5.1, 3.5, 1.4, 0.2] * 2}]}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@dataclass(slots=True)
class Receiver:
    """A collector that takes OTLP over HTTP."""

    port: int = 0
    resources: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    heads: list[Mapping[str, str]] = field(default_factory=list)

    def of(self, request_id: str) -> list[Span]:
        """A request's span and those below it, once they are there."""
        roots = [span for span in self.spans if attributes(span.attributes).get("modelway.request.id") == request_id]
        ids = {span.span_id for span in roots}
        return [*roots, *(span for span in self.spans if span.parent_span_id in ids)]


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Handler(BaseHTTPRequestHandler):
    held: Receiver

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            self.held.resources.append(attributes(resource.resource.attributes))
            self.held.spans.extend(span for scope in resource.scope_spans for span in scope.spans)
        self.held.heads.append(dict(self.headers.items()))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    held = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"held": held}))
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


def sending(receiver: Receiver, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "model_version": "v1",
        "revision": "abc123",
        **more,
    }


@pytest.fixture(scope="module", params=["grpcio", "native"])
def iris(
    models: Path,
    serve_in: Any,
    receiver: Receiver,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        yield start(models / "iris", **sending(receiver, grpc=request.param)).wait_until_ready()


def test_a_prediction_is_a_span_with_its_queue_and_its_compute(
    iris: Any, receiver: Receiver, eventually: Eventually
) -> None:
    content = json.dumps(ROWS).encode()
    answer = iris.infer(content, headers={"X-Request-Id": f"one-{iris.grpc_port}"})
    spans = eventually(lambda: len(found := receiver.of(f"one-{iris.grpc_port}")) == 3 and found)
    root, queue, compute = spans[0], *sorted(spans[1:], key=lambda span: span.start_time_unix_nano)
    assert (root.name, root.kind) == ("POST /v2/models/{model}/infer", Span.SPAN_KIND_SERVER)
    assert (queue.name, compute.name) == ("queue", "compute")
    assert {span.trace_id for span in (root, queue, compute)} == {root.trace_id}
    assert (root.parent_span_id, root.status.code) == (b"", Status.STATUS_CODE_UNSET)
    assert root.start_time_unix_nano <= queue.start_time_unix_nano <= queue.end_time_unix_nano
    assert queue.end_time_unix_nano == compute.start_time_unix_nano < compute.end_time_unix_nano
    assert compute.end_time_unix_nano <= root.end_time_unix_nano
    assert attributes(root.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v2/models/{model}/infer",
        "http.response.status_code": 200,
        "http.request.body.size": len(content),
        "http.response.body.size": len(answer.body),
        "modelway.model": "iris",
        "modelway.version": "v1",
        "modelway.revision": "abc123",
        "modelway.protocol": "v2",
        "modelway.request.id": f"one-{iris.grpc_port}",
        "modelway.rows": 2,
    }
    assert attributes(compute.attributes) == {"modelway.batch.rows": 2}


def test_a_span_belongs_to_the_trace_of_its_caller_who_decides_whether_there_is_one(
    iris: Any, receiver: Receiver, eventually: Eventually
) -> None:
    sampled, not_sampled = f"sampled-{iris.grpc_port}", f"not-{iris.grpc_port}"
    iris.infer(ROWS, headers={"X-Request-Id": not_sampled, "traceparent": NOT_SAMPLED, "tracestate": "a=1"})
    iris.infer(ROWS, headers={"X-Request-Id": sampled, "traceparent": SAMPLED, "tracestate": "a=1"})
    root = eventually(lambda: receiver.of(sampled))[0]
    assert (root.trace_id.hex(), root.parent_span_id.hex(), root.trace_state) == (TRACE, PARENT, "a=1")
    assert not receiver.of(not_sampled)


def test_a_header_that_names_no_trace_begins_a_new_one(iris: Any, receiver: Receiver, eventually: Eventually) -> None:
    request_id = f"garbled-{iris.grpc_port}"
    iris.infer(ROWS, headers={"X-Request-Id": request_id, "traceparent": f"00-{'0' * 32}-{PARENT}-01"})
    root = eventually(lambda: receiver.of(request_id))[0]
    assert root.parent_span_id == b""
    assert set(root.trace_id) != {0}


def test_a_refused_request_is_a_span_and_reads_are_none(iris: Any, receiver: Receiver, eventually: Eventually) -> None:
    iris.get("/v2/models/iris")
    request_id = f"refused-{iris.grpc_port}"
    iris.infer({"inputs": []}, headers={"X-Request-Id": request_id})
    (root,) = eventually(lambda: receiver.of(request_id))
    assert attributes(root.attributes)["http.response.status_code"] == 400
    assert not [span for span in receiver.spans if span.name.startswith("GET")]


def test_a_call_is_a_span_of_its_caller_s_trace(iris: Any, receiver: Receiver, eventually: Eventually) -> None:
    request_id = f"call-{iris.grpc_port}"
    asked = message("ModelInferRequest")(model_name="iris", id=request_id)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:
        asking = channel.unary_unary(f"/{SERVICE}/ModelInfer", lambda item: item.SerializeToString(), bytes)
        asking(asked, timeout=60.0, metadata=(("traceparent", SAMPLED),))
    spans = eventually(lambda: len(found := receiver.of(request_id)) == 3 and found)
    assert {span.name for span in spans} == {f"POST /{SERVICE}/ModelInfer", "queue", "compute"}
    assert (spans[0].trace_id.hex(), spans[0].parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(spans[0].attributes)["modelway.protocol"] == "grpc"


def test_the_service_is_named_after_the_model_unless_the_environment_names_it(
    serve: Any, models: Path, receiver: Receiver
) -> None:
    for name, more in {"iris": {}, "fraud-eu": {"OTEL_SERVICE_NAME": "fraud-eu"}}.items():
        runtime = serve(models / "iris", **sending(receiver, OTEL_BSP_SCHEDULE_DELAY="600000", **more))
        runtime.wait_until_ready().infer(ROWS)
        before = len(receiver.resources)
        assert runtime.end() == 0
        assert [one["service.name"] for one in receiver.resources[before:]] == [name]


def test_a_sampler_that_takes_none_leaves_no_spans_and_settings_of_the_exporter_count(
    serve: Any, models: Path, receiver: Receiver, eventually: Eventually
) -> None:
    more = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    runtime = serve(
        models / "iris",
        **sending(receiver, OTEL_EXPORTER_OTLP_COMPRESSION="gzip", OTEL_EXPORTER_OTLP_HEADERS="x-team=risk", **more),
    ).wait_until_ready()
    runtime.infer(ROWS, headers={"X-Request-Id": "by chance"})
    runtime.infer(ROWS, headers={"X-Request-Id": "by caller", "traceparent": SAMPLED})
    eventually(lambda: receiver.of("by caller"))
    assert (receiver.heads[-1]["Content-Encoding"], receiver.heads[-1]["x-team"]) == ("gzip", "risk")
    assert not receiver.of("by chance")


def test_a_line_of_the_access_log_names_the_trace_that_began_here(
    serve: Any, models: Path, receiver: Receiver, eventually: Eventually
) -> None:
    runtime = serve(models / "iris", **sending(receiver, access_log="true")).wait_until_ready()
    runtime.infer(ROWS, headers={"X-Request-Id": "logged"})
    root = eventually(lambda: receiver.of("logged"))[0]
    assert runtime.end() == 0
    lines = [json.loads(line) for line in runtime.output.read_bytes().splitlines()]
    assert [line["trace"] for line in lines if line["id"] == "logged"] == [root.trace_id.hex()]


def test_without_a_receiver_requests_are_answered_and_the_process_ends(serve: Any, models: Path) -> None:
    runtime = serve(models / "iris", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1").wait_until_ready()
    assert [runtime.infer(ROWS).status for _ in range(3)] == [200, 200, 200]
    assert runtime.end() == 0


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "fraud"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            True,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_sent_where_somebody_says_who_takes_them(environ: Mapping[str, str], *, expected: bool) -> None:
    assert observation(environ).has_traces is expected


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(UsageError, match="OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not spoken here"):
        observation(environ)


def test_nothing_of_it_is_imported_unless_it_is_asked_for() -> None:
    program = "import sys, modelway_runtime.server.command, modelway_runtime.rpc.service; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "modelway_runtime.observation.observers" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.partition(".")[0] in ("opentelemetry", "requests")]


@pytest.mark.parametrize(
    ("parent", "trace", "unsampled"),
    [
        (SAMPLED, TRACE, False),
        (NOT_SAMPLED, TRACE, True),
        (f"00-{TRACE}-{PARENT}-02", TRACE, True),
        (f"cc-{TRACE}-{PARENT}-00-more", TRACE, True),
        (f"ff-{TRACE}-{PARENT}-00", "", False),
        (f"00-{'0' * 32}-{PARENT}-00", "", False),
        (f"00-{TRACE}-{'0' * 16}-00", "", False),
        (SAMPLED.upper(), "", False),
        ("", "", False),
    ],
)
def test_a_caller_s_choice_is_read_from_a_header_that_is_right(parent: str, trace: str, *, unsampled: bool) -> None:
    assert trace_context.trace_id(parent) == trace
    assert trace_context.is_unsampled(parent) is unsampled
