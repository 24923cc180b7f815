"""The gate as a pod runs it: a process of its own beside a server, which is ours in these tests or a small one."""

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime.gate import dialects, preparation
from modelway_runtime.gate.dialects import DIALECTS
from modelway_runtime.golden import Golden

Start = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

SETOSA = [5.1, 3.5, 1.4, 0.2]
INFER = "/v2/models/iris/infer"
METADATA = {"name": "iris", "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]}


def golden(label: int, name: str = "label") -> list[dict[str, Any]]:
    """One golden request: a flower, and what the model should say of it."""
    request = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": SETOSA}]}
    return [{"name": "setosa", "request": request, "expect": {"outputs": [{"name": name, "data": [label]}]}}]


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def url(server: Any) -> str:
    return f"http://localhost:{server.ports[0]}"


def state(gate: Any) -> str:
    return str(gate.get("/internal/state").json["state"])


def is_ready(gate: Any) -> bool:
    return bool(gate.get("/ready").status == 200)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


EVERY = pytest.mark.parametrize("protocol", DIALECTS)


@EVERY
def test_a_model_that_is_right_passes(
    serve: Start, gate: Start, models: Path, tmp_path: Path, eventually: Eventually, protocol: str
) -> None:
    server = serve(models / "iris").wait_until_ready()
    path = write(tmp_path / "golden.json", golden(0))
    found = gate(server_url=url(server), gate_protocol=protocol, golden_path=path, revision="abc123")
    eventually(lambda: is_ready(found))
    assert found.get("/internal/state").json == {"state": "Ready", "revision": "abc123", "digest": ""}
    assert {"message": "Validated model", "goldenRequests": 1}.items() <= {
        key: value for line in found.lines if line["message"] == "Validated model" for key, value in line.items()
    }.items()


@EVERY
def test_a_model_that_is_wrong_does_not_pass(
    serve: Start, gate: Start, models: Path, tmp_path: Path, protocol: str
) -> None:
    server = serve(models / "iris").wait_until_ready()
    path = write(tmp_path / "golden.json", golden(2))
    found = gate(server_url=url(server), gate_protocol=protocol, golden_path=path)
    assert found.process.wait(60) == 1
    assert found.termination["reason"] == "GoldenRequestFailed"
    assert "Golden request 'setosa': output 'label': value 0 is 0, expected 2" in found.termination["message"]


def test_a_server_that_asks_itself_is_not_asked_again(
    serve: Start, gate: Start, models: Path, tmp_path: Path, eventually: Eventually
) -> None:
    server = serve(models / "iris").wait_until_ready()
    path = write(tmp_path / "golden.json", golden(2))
    found = gate(server_url=url(server), golden_path=path, gate_golden="false", gate_warmup="false")
    eventually(lambda: is_ready(found))
    assert server.metrics()['modelway_runtime_inference_total{model="iris",version=""}'] == 0


def test_golden_requests_of_the_models_own_file_are_asked(
    serve_fetched: Start, fetched: Callable[[Path], Path], gate: Start, models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "with-file"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((models / "iris/model.onnx").read_bytes())
    write(folder / "golden.json", golden(2))
    place = fetched(folder)
    server = serve_fetched(place).wait_until_ready()
    found = gate(place, server_url=url(server), golden_file="golden.json")
    assert found.process.wait(60) == 1
    assert "Golden request 'setosa'" in found.termination["message"]


def test_a_server_is_waited_for_and_followed_and_tried_anew_when_it_was_gone(
    serve: Start, gate: Start, models: Path, tmp_path: Path, eventually: Eventually
) -> None:
    port = free_port()
    path = write(tmp_path / "golden.json", golden(0))
    found = gate(server_url=f"http://localhost:{port}", golden_path=path)
    eventually(lambda: "localhost" in found.get("/ready").json["server"])
    assert (found.get("/ready").status, state(found), found.get("/live").status) == (503, "Loading", 200)
    first = serve(models / "iris", port=str(port)).wait_until_ready()
    eventually(lambda: is_ready(found))
    first.process.kill()
    first.process.wait()
    eventually(lambda: not is_ready(found))
    assert state(found) == "Loading"
    # As when the container is started anew and something about it has changed.
    serve(models / "words", port=str(port))
    assert found.process.wait(60) == 1
    assert found.termination["reason"] == "GoldenRequestFailed"


def test_sigterm_ends_readiness_at_once_and_the_gate_with_its_server(
    serve: Start, gate: Start, models: Path, eventually: Eventually
) -> None:
    server = serve(models / "iris").wait_until_ready()
    found = gate(server_url=url(server), drain="60s")
    eventually(lambda: is_ready(found))
    found.process.send_signal(signal.SIGTERM)
    eventually(lambda: state(found) == "Draining")
    assert found.get("/ready").status == 503
    server.process.kill()
    assert found.process.wait(60) == 0
    assert found.termination["reason"] == "Completed"


def test_sigterm_while_it_waits_ends_it(gate: Start) -> None:
    found = gate(server_url=f"http://localhost:{free_port()}", drain="60s")
    assert found.end() == 0


@dataclass(slots=True)
class Foreign:
    """A small server that answers as it is told: by path, a status and a body; it keeps the bodies that it was sent."""

    replies: dict[str, tuple[int, Any]]
    ports: tuple[int, ...] = ()
    sent: list[Mapping[str, Any]] = field(default_factory=list)


class ForeignHandler(BaseHTTPRequestHandler):
    """Answers for the server whose class attribute is set."""

    foreign: Foreign

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.foreign.replies.get(self.path, (404, {"error": f"no {self.path}"}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.foreign.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.do_GET()


@pytest.fixture
def foreign() -> Iterator[Callable[..., Foreign]]:
    """Starts such servers."""
    with ExitStack() as stack:

        def start(replies: dict[str, tuple[int, Any]]) -> Foreign:
            made = Foreign(replies)
            handler = type("Handler", (ForeignHandler,), {"foreign": made})
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            made.ports = (server.server_address[1],)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            return made

        yield start


READY = {"/v2/models/iris/ready": (200, {})}
DESCRIBED = {**READY, "/v2/models/iris": (200, METADATA)}
FINE = (200, {"outputs": [{"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}]})


def test_zeros_of_one_row_and_of_a_batch_warm_the_model(
    foreign: Callable[..., Foreign], gate: Start, eventually: Eventually
) -> None:
    server = foreign({**DESCRIBED, INFER: FINE})
    found = gate(server_url=url(server), max_batch_size="2")
    eventually(lambda: is_ready(found))
    asked = [request["inputs"][0] for request in server.sent]
    assert [item["shape"] for item in asked] == [[1, 4]] * 3 + [[2, 4]] * 3
    assert asked[0] == {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [0.0] * 4}


def test_a_model_that_fails_on_zeros_of_its_own_shapes_does_not_pass(
    foreign: Callable[..., Foreign], gate: Start
) -> None:
    found = gate(server_url=url(foreign({**DESCRIBED, INFER: (500, {"error": "no kernel"})})))
    assert found.process.wait(60) == 1
    assert found.termination["reason"] == "WarmupFailed"
    assert found.termination["message"].endswith("status 500: no kernel")


def test_zeros_of_a_size_that_no_memory_has_are_not_made(
    foreign: Callable[..., Foreign], gate: Start, eventually: Eventually
) -> None:
    (path,) = DESCRIBED.keys() - READY.keys()
    _, body = DESCRIBED[path]
    huge = {**body, "inputs": [{**body["inputs"][0], "shape": [-1, 1 << 40]}]}
    server = foreign({**DESCRIBED, path: (200, huge), INFER: FINE})
    found = gate(server_url=url(server))
    eventually(lambda: is_ready(found))
    assert server.sent == []


def test_a_model_that_refuses_zeros_is_warmed_with_its_golden_requests(
    foreign: Callable[..., Foreign], gate: Start, tmp_path: Path
) -> None:
    server = foreign({**DESCRIBED, INFER: (400, {"error": "too small"})})
    found = gate(server_url=url(server), golden_path=write(tmp_path / "golden.json", golden(0)))
    assert found.process.wait(60) == 1
    assert "Golden request 'setosa': status 400: too small" in found.termination["message"]
    assert [request["inputs"][0]["data"] for request in server.sent] == [[0.0] * 4, SETOSA, SETOSA]


def test_a_model_without_metadata_is_warmed_with_its_golden_requests(
    foreign: Callable[..., Foreign], gate: Start, tmp_path: Path, eventually: Eventually
) -> None:
    server = foreign({**READY, INFER: FINE})
    found = gate(server_url=url(server), golden_path=write(tmp_path / "golden.json", golden(0)))
    eventually(lambda: is_ready(found))
    assert [request["inputs"][0]["data"] for request in server.sent] == [SETOSA, SETOSA]


def test_what_is_no_answer_of_the_protocol_is_wrong(
    foreign: Callable[..., Foreign], gate: Start, tmp_path: Path
) -> None:
    server = foreign({**READY, INFER: (200, {"predictions": [0]})})
    found = gate(server_url=url(server), golden_path=write(tmp_path / "golden.json", golden(0)))
    assert found.process.wait(60) == 1
    assert "the answer is none of V2" in found.termination["message"]


def test_a_model_that_is_not_there_when_it_is_asked_is_waited_for(
    foreign: Callable[..., Foreign], gate: Start, tmp_path: Path, eventually: Eventually
) -> None:
    """A server may say that it is ready before it has looked for models."""
    server = foreign({"/v2/health/ready": (200, {})})
    found = gate(server_url=url(server), golden_path=write(tmp_path / "golden.json", golden(0)))
    eventually(lambda: len(server.sent) > 1)
    assert not is_ready(found)
    server.replies[INFER] = FINE
    eventually(lambda: is_ready(found))


def test_readiness_follows_the_server(foreign: Callable[..., Foreign], gate: Start, eventually: Eventually) -> None:
    server = foreign({**READY, INFER: FINE})
    found = gate(server_url=url(server))
    eventually(lambda: is_ready(found))
    server.replies["/v2/models/iris/ready"] = (503, {})
    eventually(lambda: not is_ready(found))
    server.replies.update(READY)
    eventually(lambda: is_ready(found))


STATES: list[Any] = [
    pytest.param("V1", {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}, True, id="available"),
    pytest.param("V1", {"model_version_status": [{"version": "1", "state": "LOADING"}]}, False, id="loading"),
    pytest.param("V1", {"name": "iris", "ready": False}, False, id="not-ready"),
    pytest.param("V1", {"name": "iris", "ready": "True"}, True, id="ready"),
    pytest.param("Invocations", {"status": "Healthy"}, True, id="ping"),
]


@pytest.mark.parametrize(("protocol", "answer", "passes"), STATES)
def test_an_answer_says_whether_a_server_is_ready(protocol: str, answer: Any, passes: bool) -> None:
    assert DIALECTS[protocol].is_ready(answer) is passes


ANSWERS: list[Any] = [
    pytest.param({"outputs": {"label": [0], "score": [[0.5]]}}, {"label": [1], "score": [1, 1]}, id="by-name"),
    pytest.param({"outputs": [[0.5, 0.5]]}, {"label": [1, 2]}, id="a-lone-tensor"),
    pytest.param({"predictions": [{"label": 0}, {"label": 1}]}, {"label": [2]}, id="rows"),
    pytest.param({"predictions": [0, 1]}, {"label": [2]}, id="predictions"),
]


@pytest.mark.parametrize(("answer", "shapes"), ANSWERS)
def test_outputs_are_found_in_answers_of_other_protocols(answer: Any, shapes: dict[str, list[int]]) -> None:
    asked = Golden(name="g", request={}, outputs=({"name": "label", "datatype": "INT64"},))
    found = DIALECTS["V1"].outputs(answer, asked)
    assert {item["name"]: item["shape"] for item in found} == shapes
    assert found[0]["datatype"] == "INT64"


NESTED: list[Any] = [
    pytest.param([1, 2, 3, 4], [2, 2], [[1, 2], [3, 4]], id="matrix"),
    pytest.param([1, 2], [2], [1, 2], id="row"),
    pytest.param([7], [], 7, id="scalar"),
    pytest.param([], [0, 4], [], id="no-rows"),
    pytest.param([], [2, 0], [[], []], id="no-columns"),
]


@pytest.mark.parametrize(("values", "shape", "expected"), NESTED)
def test_flat_values_are_nested_as_their_shape_says(values: list[int], shape: list[int], expected: Any) -> None:
    assert dialects.nested(values, shape) == expected


def test_a_golden_request_is_answered_in_json_whatever_it_asks_for() -> None:
    request = {
        "parameters": {"binary_data_output": True, "priority": 1},
        "inputs": [],
        "outputs": [{"name": "label", "parameters": {"binary_data": True}}],
    }
    assert DIALECTS["V2"].body(request) == {"parameters": {"priority": 1}, "inputs": [], "outputs": [{"name": "label"}]}


def test_zeros_have_the_known_sizes() -> None:
    spec = {"name": "X", "datatype": "INT64", "shape": [-1, 3, -1]}
    assert preparation.zeros(spec, 2) == {"name": "X", "datatype": "INT64", "shape": [2, 3, 1], "data": [0] * 6}


def test_a_gate_without_a_server_is_wrong_usage(gate: Start) -> None:
    found = gate()
    assert found.process.wait(60) == 2
    assert found.termination["reason"] == "InvalidSettings"
