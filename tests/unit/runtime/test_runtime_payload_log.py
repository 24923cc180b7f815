"""The payload log: which events a sink gets, what they hide, and that no sink is ever in the way of a request."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from modelway_runtime import settings
from modelway_runtime.observation.events import Event, Events, Origin
from modelway_runtime.observation.payload_log import MOST_HELD, PayloadLog
from modelway_runtime.observation.record import Record
from modelway_runtime.observation.settings import observation
from modelway_runtime.observation.sink import Sink
from modelway_runtime.protocol.codec import Codec, Request
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.tensors import Arrays, TensorSpec
from modelway_runtime.reasons import UsageError
from modelway_runtime.rpc.messages import SERVICE, message
from modelway_runtime.server.metrics import Metrics
from modelway_runtime.server.state import Serving, State

Eventually = Callable[[Callable[[], Any]], Any]

VALUES = [5.125, 3.5, 1.25, 0.25]
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": VALUES}]}
REQUEST, RESPONSE = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"
ORIGIN = Origin(service="fraud", namespace="risk", revision="abc123", model="iris", version="v1")


@dataclass(slots=True)
class Taken:
    """A sink, and the events that it took."""

    port: int = 0
    events: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 202
    closes: bool = False
    """Whether it ends each connection after an answer without saying so."""
    is_open: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?from=runtime"

    def of(self, request_id: str) -> dict[str, tuple[dict[str, str], Any]]:
        """A request's events by their type."""
        own = [(heads, json.loads(body)) for heads, body in self.events if heads["ce-id"] == request_id]
        return {heads["ce-type"]: (heads, body) for heads, body in own}


class Handler(BaseHTTPRequestHandler):
    held: Taken
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.held.is_open.wait()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/events?from=runtime"
        self.held.events.append(({name.lower(): value for name, value in self.headers.items()}, content))
        self.send_response(self.held.status)
        if self.held.status == 302:
            self.send_header("Location", self.held.url)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = self.held.closes


@pytest.fixture
def sink() -> Iterator[Taken]:
    held = Taken()
    held.is_open.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"held": held}))
    server.daemon_threads = True
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield held
    held.is_open.set()
    server.shutdown()
    server.server_close()
    thread.join()


def logging_to(sink: Taken, **more: str) -> dict[str, str]:
    return {"payload_log_url": sink.url, "model_version": "v1", "revision": "abc123", **more}


def events(runtime: Any) -> dict[str, float]:
    name = 'modelway_runtime_payload_events_total{model="iris",outcome="%s",version="v1"}'
    figures = runtime.metrics()
    return {outcome: figures[name % outcome] for outcome in ("sent", "failed", "dropped")}


@pytest.mark.parametrize("backend", ["grpcio", "native"])
def test_a_prediction_is_two_events_with_its_id_in_whatever_protocol_it_was_asked(
    serve: Any, models: Path, sink: Taken, eventually: Eventually, backend: str
) -> None:
    named = {"payload_log_service": "fraud", "payload_log_namespace": "risk"}
    runtime = serve(models / "iris", grpc=backend, **logging_to(sink, **named)).wait_until_ready()
    runtime.infer({**ROW, "id": "v2", "parameters": {"binary_data_output": True}})
    for request_id, path, body in (
        ("v1", "/v1/models/iris:predict", {"instances": [VALUES]}),
        ("invocations", "/invocations", {"inputs": [VALUES]}),
    ):
        assert runtime.post(path, json.dumps(body).encode(), {"X-Request-Id": request_id}).status == 200
    asked = message("ModelInferRequest")(model_name="iris", id="grpc")
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    asked.raw_input_contents.append(np.array(VALUES, np.float32).tobytes())
    with grpc.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel:
        channel.unary_unary(f"/{SERVICE}/ModelInfer", lambda item: item.SerializeToString(), bytes)(asked, timeout=60)
    answer = runtime.infer({**ROW, "id": "plain"}, headers={"Authorization": "Bearer secret"}).json
    eventually(lambda: len(sink.events) == 10)
    for request_id in ("v2", "v1", "invocations", "grpc", "plain"):
        both = sink.of(request_id)
        heads, body = both[REQUEST]
        assert body == {"id": request_id, "inputs": ROW["inputs"]}
        assert both[RESPONSE][1] == {**answer, "id": request_id}
        assert datetime.fromisoformat(heads.pop("ce-time")) == datetime.fromisoformat(both[RESPONSE][0].pop("ce-time"))
        assert {name: value for name, value in heads.items() if name.startswith(("ce-", "content-type"))} == {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-type": REQUEST,
            "ce-source": "/v2/models/iris",
            "ce-id": request_id,
            "ce-inferenceservicename": "fraud",
            "ce-namespace": "risk",
            "ce-component": "predictor",
            "ce-endpoint": "abc123",
        }
    assert "secret" not in str(sink.events)
    assert eventually(lambda: events(runtime)["sent"] == 10)
    assert events(runtime) == {"sent": 10, "failed": 0, "dropped": 0}


def test_what_is_no_prediction_of_a_caller_is_not_sent(
    serve: Any, models: Path, sink: Taken, eventually: Eventually
) -> None:
    runtime = serve(models / "iris", **logging_to(sink)).wait_until_ready()
    runtime.infer({"inputs": []})
    runtime.infer(ROW, headers={"modelway-shadow": "1"})
    runtime.get("/v2/models/iris")
    runtime.infer({**ROW, "outputs": [{"name": "label"}], "id": "last"})
    both = eventually(lambda: len(found := sink.of("last")) == 2 and found)
    assert len(sink.events) == 2
    assert [output["name"] for output in both[RESPONSE][1]["outputs"]] == ["label"]
    assert both[REQUEST][0]["ce-inferenceservicename"] == "iris"
    assert "ce-namespace" not in both[REQUEST][0]


def test_redacted_tensors_and_large_ones_go_without_their_values(
    serve: Any, models: Path, sink: Taken, eventually: Eventually
) -> None:
    settings = logging_to(sink, payload_log_redact="X, probabilities, jane", payload_log_max_bytes="2k")
    runtime = serve(models / "iris", **settings).wait_until_ready()
    runtime.infer({**ROW, "id": "one"})
    both = eventually(lambda: len(found := sink.of("one")) == 2 and found)
    redacted = {"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"redacted": True}}
    assert both[REQUEST][1] == {"id": "one", "inputs": [redacted]}
    label, probabilities = both[RESPONSE][1]["outputs"]
    assert (label["data"], "data" in probabilities) == ([0], False)
    told = eventually(lambda: [line for line in runtime.lines if line["message"].startswith("Payload log redacts")])
    assert [line["names"] for line in told] == [["jane"]]
    many = {"inputs": [{**ROW["inputs"][0], "shape": [500, 4], "data": VALUES * 500}], "id": "many"}
    runtime.infer(many)
    both = eventually(lambda: len(found := sink.of("many")) == 2 and found)
    assert both[RESPONSE][1]["outputs"][0] == {
        "name": "label",
        "datatype": "INT64",
        "shape": [500],
        "parameters": {"omitted": True},
    }
    cut = 'modelway_runtime_payload_events_cut_total{model="iris",version="v1"}'
    assert eventually(lambda: runtime.metrics()[cut] == 2)


def test_no_request_is_sent_where_none_is_sampled(serve: Any, models: Path, sink: Taken) -> None:
    runtime = serve(models / "iris", **logging_to(sink, payload_log_fraction="0")).wait_until_ready()
    assert [runtime.infer(ROW).status for _ in range(10)] == [200] * 10
    assert runtime.end() == 0
    assert not sink.events


def test_a_sink_that_answers_nothing_delays_no_answer_and_not_the_end(
    serve: Any, models: Path, sink: Taken, eventually: Eventually
) -> None:
    sink.is_open.clear()
    runtime = serve(models / "iris", **logging_to(sink)).wait_until_ready()
    assert [runtime.infer(ROW).status for _ in range(20)] == [200] * 20
    assert events(runtime) == {"sent": 0, "failed": 0, "dropped": 0}
    assert runtime.end() == 0


def test_the_end_of_the_process_sends_what_is_held(serve: Any, models: Path, sink: Taken) -> None:
    runtime = serve(models / "iris", **logging_to(sink)).wait_until_ready()
    for _ in range(20):
        runtime.infer(ROW)
    assert runtime.end() == 0
    assert len(sink.events) == 40


@pytest.mark.parametrize("status", [302, 500])
def test_a_sink_that_refuses_is_counted_and_told_of_once(
    serve: Any, models: Path, sink: Taken, eventually: Eventually, status: int
) -> None:
    sink.status = status
    runtime = serve(models / "iris", **logging_to(sink)).wait_until_ready()
    for _ in range(3):
        runtime.infer(ROW)
    assert eventually(lambda: events(runtime)["failed"] == 6)
    assert len(sink.events) == 6
    assert runtime.end() == 0
    eventually(lambda: runtime.lines[-1]["message"] == "Ended")
    told = [line["error"] for line in runtime.lines if line["message"] == "Payload log was not taken by its sink"]
    assert told == [f"status {status}"]


def test_a_sink_that_is_not_there_is_counted(serve: Any, models: Path, eventually: Eventually) -> None:
    settings = {"payload_log_url": "http://127.0.0.1:1/", "model_version": "v1"}
    runtime = serve(models / "iris", **settings).wait_until_ready()
    assert runtime.infer(ROW).status == 200
    assert eventually(lambda: events(runtime)["failed"] == 2)


def test_a_connection_that_the_sink_has_ended_is_made_anew(sink: Taken) -> None:
    sink.closes = True
    sending = Sink(sink.url)
    for number in range(3):
        sending.send(Event(headers={"Ce-Id": str(number)}, body=b"{}", is_cut=False))
    sending.close()
    assert [heads["ce-id"] for heads, _ in sink.events] == ["0", "1", "2"]


def record(inputs: Arrays, results: Arrays | None = None, **fields: Any) -> Record:
    request = Request(inputs, None, None)
    return Record(protocol="v2", method="POST", path="", id="42", request=request, results=results, **fields)


class Doubling:
    """A model with a table whose columns have names."""

    platform = "none"
    is_batchable = True
    inputs = (TensorSpec(name="X", datatype="FP64", shape=(-1, 3), columns=("age", "income", "name"), is_open=True),)
    outputs = (TensorSpec(name="prediction", datatype="FP64", shape=(-1,)),)

    def predict(self, inputs: Mapping[str, Any]) -> Arrays:
        return {"prediction": inputs["X"][:, 0] * 2}


INTERFACE = Interface(Doubling.inputs, Doubling.outputs)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[30, 5.5, 7], [40, 6.5, 8]], np.float32), [None, 5.5, None, None, 6.5, None]),
        (np.array([[30, 5, 7], [40, 6, 8]], np.int64), [None, 5, None, None, 6, None]),
        (np.array([["30", "5", b"7"]], np.object_), [None, "5", None]),
    ],
)
def test_a_redacted_column_of_a_table_is_null(values: Any, expected: list[Any]) -> None:
    made = Events(ORIGIN, INTERFACE, redacted=frozenset(("age", "name")), most_bytes=1000)
    (event,) = made.of(record({"X": values}))
    (tensor,) = json.loads(event.body)["inputs"]
    assert (tensor["data"], tensor["parameters"]) == (expected, {"redacted": True})
    assert not made.unknown


def test_a_column_that_comes_as_a_tensor_is_redacted_too() -> None:
    made = Events(ORIGIN, INTERFACE, redacted=frozenset(("age",)), most_bytes=1000)
    (event,) = made.of(record({"age": np.array([[30.0]]), "income": np.array([[5.5]])}))
    age, income = json.loads(event.body)["inputs"]
    assert ("data" in age, income["data"]) == (False, [5.5])


def test_a_request_without_an_answer_is_one_event() -> None:
    made = Events(ORIGIN, INTERFACE, redacted=frozenset(), most_bytes=1000)
    assert [event.headers["Ce-type"] for event in made.of(record({"X": np.ones((1, 3))}))] == [REQUEST]


def test_a_header_holds_printable_signs_only() -> None:
    origin = Origin(service='zü"rich 1%', namespace="", revision="", model="a b", version="")
    (event,) = Events(origin, INTERFACE, redacted=frozenset(), most_bytes=1000).of(record({"X": np.ones((1, 3))}))
    assert event.headers["Ce-inferenceservicename"] == "z%C3%BC%22rich%201%25"
    assert event.headers["Ce-source"] == "/v2/models/a%2520b", (
        "a URI whose own percent sign is written as the binding asks"
    )
    assert "Ce-namespace" not in event.headers


async def test_as_many_wait_as_may_and_all_others_are_dropped_and_counted(sink: Taken, eventually: Eventually) -> None:
    sink.is_open.clear()
    state = State(settings.serve({"MODELWAY_MODEL_NAME": "iris"}), Metrics("iris", ""))
    model: Any = Doubling()
    state.serving = Serving(model, Codec("iris", "", model.inputs, model.outputs), scheduler=None)  # type: ignore[arg-type]  # not asked
    wanted = observation({"MODELWAY_PAYLOAD_LOG_URL": sink.url}).payloads
    assert wanted is not None
    log = PayloadLog(state, wanted)
    for _ in range(MOST_HELD + 3):
        log.ended(record({"X": np.ones((1, 3))}, {"prediction": np.ones(1)}))
    log.ended(record({"X": np.ones((1, 3))}, bytes_in=2**31))

    def found() -> dict[str, float]:
        family = next(iter(log.families()))
        return {sample.labels["outcome"]: sample.value for sample in family.samples}

    assert found() == {"sent": 0, "failed": 0, "dropped": 7}
    sink.is_open.set()
    assert eventually(lambda: found()["sent"] == 2 * MOST_HELD)
    log.ended(record({"X": np.ones((1, 3))}))
    log.close()
    assert found() == {"sent": 2 * MOST_HELD + 1, "failed": 0, "dropped": 7}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("URL", "ftp://sink/", "it is no URL with http or https"),
        ("URL", "file:///etc/passwd", "it is no URL with http or https"),
        ("URL", "http://", "it is no URL with http or https"),
        ("URL", "http://sink/\r\nx", "it is no URL with http or https"),
        ("URL", "http://jane:secret@sink/", "it holds a user or a password"),
        ("URL", "http://sink:99999/", "Port out of range"),
        ("FRACTION", "1.5", "'1.5' is not a fraction"),
        ("FRACTION", "nan", "'nan' is not a fraction"),
        ("FRACTION", "half", "could not convert"),
        ("MAX_BYTES", "large", "is not a size"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_shown(name: str, value: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"MODELWAY_PAYLOAD_LOG_{name}: .*{text}") as raised:
        observation({"MODELWAY_PAYLOAD_LOG_URL": "http://sink/", f"MODELWAY_PAYLOAD_LOG_{name}": value})
    assert "secret" not in str(raised.value)
