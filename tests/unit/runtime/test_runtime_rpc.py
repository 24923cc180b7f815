"""The protocol over gRPC, through each library that can bring the calls: the same answers and limits as over REST."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest

from modelway_runtime.protocol import binary
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.reference import file
from modelway_runtime.reference.bins import Categories, Numbers
from modelway_runtime.reference.file import Reference
from modelway_runtime.rpc.messages import SERVICE, message

Serve = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
BACKENDS = ("grpcio", "native")
WHOLE: dict[str, Any] = {
    "FP32": [[0.5, -1.25]],
    "FP64": [[1e300, -0.0]],
    "FP16": [[0.5, 2.0]],
    "INT64": [[-(2**63), 2**63 - 1]],
    "INT8": [[-128, 127]],
    "UINT64": [[0, 2**64 - 1]],
    "BOOL": [[True, False]],
    "BYTES": [["zürich", ""]],
}


class Client:
    """Calls of the service, by the messages of the protocol."""

    def __init__(self, port: int) -> None:
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)

    def call(self, method: str, asked: Any = None, *, timeout: float = 60.0, **fields: Any) -> Any:
        """The answer to a message, or to one with some fields."""
        asked = asked if asked is not None else message(f"{method}Request")(**fields)
        answer, call = self._asking(method).with_call(asked, timeout=timeout)
        self.metadata = dict(call.trailing_metadata())
        return answer

    def begin(self, method: str, asked: Any) -> Any:
        """A call that nobody waits for yet."""
        return self._asking(method).future(asked)

    def stream(self, method: str, messages: Any) -> Any:
        """A call whose messages come by and by."""
        return self._channel.stream_unary(f"/{SERVICE}/{method}").future(messages)

    def _asking(self, method: str) -> Any:
        return self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda item: item.SerializeToString(),
            response_deserializer=message(f"{method}Response").FromString,
        )

    def refusal(self, method: str, asked: Any = None, **fields: Any) -> tuple[grpc.StatusCode, str]:
        """How a call ends that has no answer."""
        with pytest.raises(grpc.RpcError) as raised:
            self.call(method, asked, **fields)
        error: Any = raised.value
        return error.code(), error.details()

    def checked(self) -> bytes:
        """What the health protocol answers."""
        answer: bytes = self._channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)
        return answer


def row(values: Any = (5.1, 3.5, 1.4, 0.2), *, is_raw: bool = True, **fields: Any) -> Any:
    """One request of the iris model."""
    array = np.array([values], dtype=np.float32)
    asked = message("ModelInferRequest")(model_name="iris", **fields)
    tensor = asked.inputs.add(name="X", datatype="FP32", shape=array.shape)
    if is_raw:
        asked.raw_input_contents.append(array.tobytes())
    else:
        tensor.contents.fp32_contents.extend(array.ravel())
    return asked


def one(value: float = 21.0) -> Any:
    """One request of the gated model."""
    asked = message("ModelInferRequest")(model_name="iris")
    asked.inputs.add(name="input", datatype="FP64", shape=[1, 1]).contents.fp64_contents.append(value)
    return asked


@pytest.fixture(scope="module", params=BACKENDS)
def iris(
    request: Any, models: Path, tmp_path_factory: pytest.TempPathFactory, serve_in: Callable[[Path], Any]
) -> Iterator[Any]:
    """One server for all tests that only ask."""
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        settings = {"model_version": "v1", "revision": "abc123", "max_body_bytes": "100k", "grpc": request.param}
        yield start(models / "iris", **settings).wait_until_ready()


@pytest.fixture
def client(iris: Any) -> Client:
    return Client(iris.grpc_port)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@pytest.mark.parametrize("is_raw", [True, False])
def test_a_prediction_is_that_of_rest(iris: Any, client: Client, *, is_raw: bool) -> None:
    answer = client.call("ModelInfer", row(is_raw=is_raw, id="42"))
    assert (answer.model_name, answer.model_version, answer.id) == ("iris", "v1", "42")
    assert client.metadata["modelway-revision"] == "abc123"
    label, probabilities = iris.infer(ROW).json["outputs"]
    assert [(item.name, item.datatype, list(item.shape)) for item in answer.outputs] == [
        (item["name"], item["datatype"], item["shape"]) for item in (label, probabilities)
    ]
    if is_raw:
        found = np.frombuffer(answer.raw_output_contents[1], np.float32)
        assert not answer.outputs[0].HasField("contents")
    else:
        found = np.array(answer.outputs[1].contents.fp32_contents, dtype=np.float32)
        assert not answer.raw_output_contents
    assert found == pytest.approx(probabilities["data"], abs=1e-7)


def test_outputs_come_as_they_were_asked_for(client: Client) -> None:
    asked = row()
    for name in ("probabilities", "label"):
        asked.outputs.add(name=name)
    assert [item.name for item in client.call("ModelInfer", asked).outputs] == ["probabilities", "label"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_datatype_comes_back_as_it_was_sent(serve: Serve, models: Path, backend: str) -> None:
    client = Client(serve(models / "identity", grpc=backend).wait_until_ready().grpc_port)
    arrays = {name: np.array(values, dtype=DTYPES[name]) for name, values in WHOLE.items()}
    raw = message("ModelInferRequest")(model_name="iris")
    for name, array in arrays.items():
        raw.inputs.add(name=name, datatype=name, shape=array.shape)
        raw.raw_input_contents.append(bytes(binary.packed(array)))
    assert client.call("ModelInfer", raw).raw_output_contents == raw.raw_input_contents
    typed = message("ModelInferRequest").FromString(raw.SerializeToString())
    del typed.raw_input_contents[:]
    code, text = client.refusal("ModelInfer", typed)
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "inputs[0].contents.fp32_contents: 0 values, but shape [1, 2] needs 2",
    )


def wrong(change: Callable[[Any], Any]) -> Any:
    """A request with a mistake."""
    asked = row()
    change(asked)
    return asked


def _both(asked: Any) -> None:
    asked.inputs[0].contents.fp32_contents.append(1)


WRONG: list[Any] = [
    pytest.param(
        lambda asked: asked.inputs[0].shape.append(1), "inputs[0].shape: [1, 4, 1] does not fit [-1, 4]", id="shape"
    ),
    pytest.param(
        lambda asked: setattr(asked.inputs[0], "datatype", "FP64"),
        "inputs[0].datatype: FP64, but 'X' takes FP32",
        id="datatype",
    ),
    pytest.param(
        lambda asked: setattr(asked.inputs[0], "datatype", "FP31"),
        "inputs[0].datatype: 'FP31' is not one of",
        id="no-datatype",
    ),
    pytest.param(
        lambda asked: setattr(asked.inputs[0], "name", "Y"),
        "inputs[0].name: 'Y' is unknown; the model has 'X'",
        id="name",
    ),
    pytest.param(lambda asked: asked.inputs.pop(), "raw_input_contents: 1 of them, but 0 inputs", id="more-contents"),
    pytest.param(
        lambda asked: asked.inputs.append(asked.inputs[0]),
        "raw_input_contents: 1 of them, but 2 inputs",
        id="fewer-contents",
    ),
    pytest.param(
        lambda asked: (asked.inputs.pop(), asked.raw_input_contents.pop()), "inputs: 'X' missing", id="nothing"
    ),
    pytest.param(_both, "inputs[0].contents: give it or raw_input_contents, not both", id="both"),
    pytest.param(
        lambda asked: asked.raw_input_contents.__setitem__(0, b"123"), "raw_input_contents[0]: 3 bytes", id="bytes"
    ),
    pytest.param(lambda asked: asked.outputs.add(name="Z"), "outputs[0].name: 'Z' is unknown", id="output"),
]


@pytest.mark.parametrize(("change", "text"), WRONG)
def test_a_wrong_request_is_told_what_is_wrong(client: Client, change: Callable[[Any], Any], text: str) -> None:
    code, said = client.refusal("ModelInfer", wrong(change))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert said.startswith(text)


def test_other_models_and_versions_are_not_found(client: Client) -> None:
    for fields in ({"name": "other"}, {"name": "iris", "version": "v2"}):
        for name in ("ModelReady", "ModelMetadata"):
            code, text = client.refusal(name, **fields)
            assert code is grpc.StatusCode.NOT_FOUND
            assert "the model served here is iris, version v1" in text
    asked = row()
    asked.model_name = "other"
    assert client.refusal("ModelInfer", asked)[0] is grpc.StatusCode.NOT_FOUND


def test_bytes_that_are_no_message_are_refused(iris: Any) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(b"\xff\xff", timeout=60)
    error: Any = raised.value
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the message is no ModelInferRequest",
    )


def test_what_the_server_does_not_have_is_unimplemented(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client._channel.unary_unary(f"/{SERVICE}/Explain")(b"", timeout=60)
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused(client: Client) -> None:
    asked = row()
    asked.id = "x" * 200_000
    assert client.refusal("ModelInfer", asked)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.call("ModelInfer", row()).outputs


def test_health_and_metadata(client: Client) -> None:
    assert client.call("ServerLive").live
    assert client.call("ServerReady").ready
    assert client.call("ModelReady", name="iris", version="v1").ready
    assert client.checked() == b"\x08\x01"
    assert client.call("ServerMetadata").name == "modelway-runtime"
    found = client.call("ModelMetadata", name="iris")
    assert (found.name, found.platform, list(found.versions)) == ("iris", "onnx_onnxv1", ["v1"])
    assert [(item.name, item.datatype, list(item.shape)) for item in found.inputs] == [("X", "FP32", [-1, 4])]
    assert [item.name for item in found.outputs] == ["label", "probabilities"]
    config = client.call("ModelConfig", name="iris").config
    assert (config.name, config.max_batch_size, config.backend) == ("iris", 32, "onnx")
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [("X", 11, [4])]


def test_statistics_and_the_index_of_the_repository(client: Client) -> None:
    client.call("ModelInfer", row())
    for asked in ({}, {"name": "iris"}, {"name": "iris", "version": "v1"}):
        (found,) = client.call("ModelStatistics", **asked).model_stats
        assert (found.name, found.version) == ("iris", "v1")
        assert found.inference_count >= 1
        assert found.inference_stats.success.count >= 1
        assert found.inference_stats.success.ns > found.inference_stats.compute_infer.ns > 0
    assert client.refusal("ModelStatistics", name="other")[0] is grpc.StatusCode.NOT_FOUND
    (model,) = client.call("RepositoryIndex").models
    assert (model.name, model.version, model.state) == ("iris", "v1", "READY")
    for name in ("RepositoryModelLoad", "RepositoryModelUnload"):
        code, text = client.refusal(name, model_name="iris")
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "loaded when its server starts" in text


def test_calls_are_evidence_and_metrics_like_requests(iris: Any, client: Client) -> None:
    before, figures = iris.metrics(), iris.get("/internal/figures", internal=True).json
    client.call("ModelInfer", row())
    client.refusal("ModelInfer", wrong(_both))
    after, now = iris.metrics(), iris.get("/internal/figures", internal=True).json
    count = 'modelway_runtime_request_duration_seconds_count{{code="{}",model="iris",protocol="grpc",version="v1"}}'
    assert after[count.format(200)] - before.get(count.format(200), 0) == 1
    assert after[count.format(400)] - before.get(count.format(400), 0) == 1
    assert (now["requests"] - figures["requests"], now["errors"]) == (1, figures["errors"])
    assert sum(now["latency"].values()) - sum(figures["latency"].values()) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_are_held_against_the_reference(serve: Serve, models: Path, tmp_path: Path, backend: str) -> None:
    folder = tmp_path / "iris"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((models / "iris/model.onnx").read_bytes())
    reference = Reference(
        features={"X[0]": Numbers((1.0, 5.0), (1, 1, 1, 0))}, predictions={"label": Categories(("0",), (1, 1))}
    )
    (folder / "reference.json").write_text(file.text(reference))
    runtime = serve(folder, grpc=backend).wait_until_ready()
    Client(runtime.grpc_port).call("ModelInfer", row())
    told = runtime.get("/internal/figures", internal=True).json["drift"]
    assert [one["counts"] for one in told.values()] == [[0, 0, 1, 0], [1, 0]]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file without which the gated model does not answer."""
    path = tmp_path / "gate"
    path.touch()
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_full_queue_and_a_slow_model_are_told_apart(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually, backend: str
) -> None:
    settings = {"max_queue": "1", "request_timeout": "1500ms", "test_gate": str(gate), "grpc": backend}
    runtime = serve(models / "gated", **settings).wait_until_ready()
    client = Client(runtime.grpc_port)
    gate.unlink()
    running = pool.submit(client.refusal, "ModelInfer", one())
    eventually(lambda: _inflight(runtime) == 1 and _depth(runtime) == 0)
    waiting = pool.submit(client.refusal, "ModelInfer", one())
    eventually(lambda: _depth(runtime) == 1)
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests wait for the model")
    assert client.refusal("ModelInfer", one()) == full
    assert running.result() == (grpc.StatusCode.DEADLINE_EXCEEDED, "the model did not answer in time")
    assert waiting.result() == (grpc.StatusCode.UNAVAILABLE, "the request waited too long for the model")
    gate.touch()
    eventually(lambda: _depth(runtime) == 0)
    assert client.call("ModelInfer", one()).outputs[0].contents.fp64_contents == [42.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_whose_caller_left_are_not_run(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually, backend: str
) -> None:
    runtime = serve(models / "gated", test_gate=str(gate), grpc=backend).wait_until_ready()
    client = Client(runtime.grpc_port)
    gate.unlink()
    busy = pool.submit(client.call, "ModelInfer", one())
    eventually(lambda: _inflight(runtime) == 1 and _depth(runtime) == 0)
    leaving = client.begin("ModelInfer", one())
    eventually(lambda: _inflight(runtime) == 2)
    leaving.cancel()
    eventually(lambda: _inflight(runtime) == 1)
    gate.touch()
    assert busy.result().outputs[0].contents.fp64_contents == [42.0]
    assert runtime.metrics()['modelway_runtime_inference_total{model="iris",version=""}'] == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_raises_ends_the_call_and_nothing_else(serve: Serve, models: Path, backend: str) -> None:
    client = Client(serve(models / "gated", grpc=backend).wait_until_ready().grpc_port)
    code, text = client.refusal("ModelInfer", one(13.0))
    assert (code, text) == (grpc.StatusCode.INTERNAL, "the model failed: RuntimeError: thirteen")
    assert client.call("ModelInfer", one()).outputs[0].contents.fp64_contents == [42.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_until_it_is_ready_it_says_so_and_what_runs_at_the_end_is_answered(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually, backend: str
) -> None:
    gate.unlink()
    runtime = serve(models / "gated", test_gate=str(gate), grpc=backend)
    client = Client(runtime.grpc_port)
    assert client.call("ServerLive").live
    assert not client.call("ServerReady").ready
    assert client.checked() == b"\x08\x02"
    assert client.refusal("ModelInfer", one())[0] is grpc.StatusCode.UNAVAILABLE
    gate.touch()
    runtime.wait_until_ready()
    gate.unlink()
    last = pool.submit(client.call, "ModelInfer", one())
    eventually(lambda: _inflight(runtime) == 1)
    runtime.process.terminate()
    eventually(lambda: any(line["message"] == "Draining" for line in runtime.lines))
    gate.touch()
    assert last.result().outputs[0].contents.fp64_contents == [42.0]
    assert runtime.process.wait(60) == 0


def test_what_still_runs_when_the_time_for_the_end_is_over_is_ended(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", test_gate=str(gate), request_timeout="1s").wait_until_ready()
    gate.unlink()
    channel = Client(runtime.grpc_port)
    unread = channel.stream("ModelInfer", Messages())
    last = pool.submit(channel.refusal, "ModelInfer", one())
    eventually(lambda: _inflight(runtime) == 1)
    runtime.process.terminate()
    assert last.result()[0] in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert unread.code() is not grpc.StatusCode.OK
    assert runtime.process.wait(60) == 0


class Messages:
    """What a caller sends, until it is stopped."""

    def __init__(self, *items: bytes) -> None:
        self._items = list(items)
        self._is_stopped = Event()

    def __iter__(self) -> "Messages":
        return self

    def __next__(self) -> bytes:
        if self._items:
            return self._items.pop(0)
        self._is_stopped.wait(60)
        raise StopIteration

    def stop(self) -> "Messages":
        """No more will come."""
        self._is_stopped.set()
        return self


def test_a_message_that_does_not_come_ends_the_call(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", request_timeout="1s").wait_until_ready()
    client = Client(runtime.grpc_port)
    late = [client.stream("ModelInfer", Messages()) for _ in range(20)]
    assert client.call("ModelInfer", row()).model_name == "iris"
    for call in late:
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call.details() == "the message did not come in time"
    assert _late(runtime) == 20


def test_of_too_many_calls_without_a_message_the_oldest_end(serve: Serve, models: Path, eventually: Eventually) -> None:
    runtime = serve(models / "iris", max_queue="10", request_timeout="60s").wait_until_ready()
    client = Client(runtime.grpc_port)
    assert client.call("ServerLive").live
    calls = [client.stream("ModelInfer", Messages()) for _ in range(25)]
    eventually(lambda: sum(call.done() for call in calls) == 15)
    assert {call.code() for call in calls if call.done()} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert _late(runtime) == 15
    assert client.call("ModelInfer", row()).model_name == "iris"
    eventually(lambda: _late(runtime) == 16)


def test_callers_that_leave_before_their_message_leave_nothing_behind(
    serve: Serve, models: Path, eventually: Eventually
) -> None:
    runtime = serve(models / "iris", request_timeout="1s").wait_until_ready()
    client = Client(runtime.grpc_port)
    for _ in range(20):
        client.stream("ModelInfer", Messages()).cancel()
    # Later than those that left would be ended.
    last = client.stream("ModelInfer", Messages())
    assert last.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert _late(runtime) == 1
    assert client.call("ModelInfer", row()).model_name == "iris"


@pytest.mark.parametrize("count", [0, 2])
def test_a_call_has_one_message(iris: Any, count: int) -> None:
    client = Client(iris.grpc_port)
    call = client.stream("ModelInfer", Messages(*[row().SerializeToString()] * count).stop())
    assert (call.code() is grpc.StatusCode.OK) == (count > 0)
    assert client.call("ModelInfer", row()).model_name == "iris"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_port_that_is_taken_is_named(serve: Serve, models: Path, iris: Any, backend: str) -> None:
    runtime = serve(models / "iris", grpc=backend, grpc_port=str(iris.grpc_port))
    assert runtime.process.wait(60) == 2
    assert "--grpc-port" in runtime.termination["message"]


def test_it_can_be_turned_off(serve: Serve, models: Path) -> None:
    assert serve(models / "iris", grpc="off").wait_until_ready().grpc_port == 0


def _inflight(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_inflight_requests{model="iris",version=""}'])


def _depth(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_queue_depth{model="iris",version=""}'])


def _late(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_rejected_total{model="iris",reason="slow-body",version=""}'])
