"""A server in a process of its own, as a pod runs it: answers, limits, readiness, drain and the end."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

Serve = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
ONE = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 1], "data": [21.0]}]}
GOLDEN = {"name": "setosa", "request": ROW, "expect": {"outputs": [{"name": "label", "data": [0]}]}}


@pytest.fixture(scope="module")
def iris(models: Path, tmp_path_factory: pytest.TempPathFactory, serve_in: Callable[[Path], Any]) -> Iterator[Any]:
    """One server for all tests that only ask."""
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        yield start(models / "iris", model_version="v1", revision="abc123", max_body_bytes="100k").wait_until_ready()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file without which the gated model does not answer."""
    path = tmp_path / "gate"
    path.touch()
    return path


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_a_prediction_is_answered_with_who_answered(iris: Any) -> None:
    answer = iris.infer({**ROW, "id": "42"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["modelway-revision"], answer.headers["modelway-version"]) == ("abc123", "v1")
    assert (answer.json["model_name"], answer.json["model_version"], answer.json["id"]) == ("iris", "v1", "42")
    label, probabilities = answer.json["outputs"]
    assert (label["name"], label["data"]) == ("label", [0])
    assert (probabilities["shape"], probabilities["datatype"]) == ([1, 3], "FP32")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v2/health/live", 200, {"live": True}),
        ("/v2/health/ready", 200, {"ready": True}),
        ("/v2/models/iris/ready", 200, {"name": "iris", "ready": True}),
        ("/v2/models/iris/versions/v1/ready", 200, {"name": "iris", "ready": True}),
        (
            "/v2",
            200,
            {
                "name": "modelway-runtime",
                "version": "0.1.0",
                "extensions": ["binary_tensor_data", "model_configuration", "statistics"],
            },
        ),
        (
            "/v2/models/iris",
            200,
            {
                "name": "iris",
                "versions": ["v1"],
                "platform": "onnx_onnxv1",
                "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
                "outputs": [
                    {"name": "label", "datatype": "INT64", "shape": [-1]},
                    {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
                ],
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_health_and_metadata(iris: Any, path: str, status: int, body: Any) -> None:
    answer = iris.get(path)
    assert (answer.status, answer.json) == (status, body)


@pytest.mark.parametrize(
    ("method", "path", "status", "message", "allowed"),
    [
        ("GET", "/v2/models/rose", 404, "the model served here is iris, version v1", None),
        ("GET", "/v2/models/iris/versions/v9", 404, "the model served here is iris, version v1", None),
        ("GET", "/../../etc/passwd", 404, "is no path of the protocols served here", None),
        ("GET", "/v2/models/iris/infer", 405, "use POST", "POST"),
        ("POST", "/v2/health/live", 405, "use GET", "GET, HEAD"),
        ("TRACE", "/v2", 405, "use GET", "GET, HEAD"),
    ],
)
def test_wrong_paths_and_methods_are_refused_with_help(
    iris: Any, method: str, path: str, status: int, message: str, allowed: str | None
) -> None:
    answer = iris.get(path, method=method)
    assert (answer.status, answer.headers.get("allow")) == (status, allowed)
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        pytest.param(b"{", {}, "the body is not JSON", id="no JSON"),
        pytest.param({"inputs": []}, {}, "inputs: 'X' missing", id="no inputs"),
        pytest.param(b"\x00\x01", {"Inference-Header-Content-Length": "0"}, "2 bytes are not a whole number", id="raw"),
        pytest.param(
            b"{}", {"Inference-Header-Content-Length": "-1"}, "'-1' is not a number of bytes", id="length of the JSON"
        ),
    ],
)
def test_wrong_bodies_are_the_caller_s_fault(iris: Any, body: Any, headers: dict[str, str], message: str) -> None:
    answer = iris.infer(body, headers=headers)
    assert answer.status == 400
    assert message in answer.json["error"]
    assert "Traceback" not in answer.json["error"]


@pytest.mark.parametrize("with_length", [True, False], ids=["length", "chunked"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(iris: Any, *, with_length: bool) -> None:
    framing = b"Content-Length: 10000000\r\n\r\n" if with_length else b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"
    with socket.create_connection(("127.0.0.1", iris.ports[0]), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\n" + framing + b"[" * 150_000)
        received = b""
        while b"the body is larger than" not in received:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    head = received.lower()
    assert head.startswith(b"http/1.1 413")
    assert b"connection: close" in head


def test_a_caller_that_sends_all_of_a_large_body_reads_why_it_is_refused(iris: Any) -> None:
    answer = iris.infer(b"[" * 40_000_000)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("start", [b"GET /", b"GET /v2 HTTP/1.1\r\nA: "], ids=["path", "header"])
def test_a_head_without_end_is_given_up(iris: Any, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", iris.ports[0]), timeout=60) as connection:
        connection.sendall(start)
        # What is refused may already lie in the connection: then it is reset, and sending fails.
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"x" * 10_000)
            pytest.fail("ten megabytes were taken")
    assert iris.infer(ROW).status == 200


def test_an_offer_of_another_protocol_is_passed_over_and_the_body_is_read(iris: Any) -> None:
    # Java's client makes it with each first request of a connection.
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
    assert iris.infer(ROW, headers=offer).status == 200


def test_requests_in_one_piece_are_answered_one_after_the_other(iris: Any) -> None:
    request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", iris.ports[0]), timeout=60) as connection:
        connection.sendall(request * 3000)
        received = b""
        while received.count(b'{"live":true}') < 3000:
            piece = connection.recv(65536)
            assert piece, received[-300:]
            received += piece


def test_a_caller_that_leaves_in_mid_body_hurts_nobody(iris: Any) -> None:
    with socket.create_connection(("127.0.0.1", iris.ports[0])) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert iris.infer(ROW).status == 200


def test_metrics_count_requests_rows_and_refusals(iris: Any) -> None:
    before = iris.metrics()
    iris.infer(ROW)
    iris.infer(b"{")
    after = iris.metrics()

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    labels = 'model="iris",protocol="rest",version="v1"'
    assert grown(f'modelway_runtime_request_duration_seconds_count{{code="200",{labels}}}') == 1
    assert grown(f'modelway_runtime_request_duration_seconds_count{{code="400",{labels}}}') == 1
    assert grown('modelway_runtime_inference_total{model="iris",version="v1"}') == 1
    assert grown('modelway_runtime_execution_total{model="iris",version="v1"}') == 1
    assert grown('modelway_runtime_batch_rows_sum{model="iris",version="v1"}') == 1
    assert after['modelway_runtime_model_ready{model="iris",version="v1"}'] == 1
    assert after['modelway_runtime_inflight_requests{model="iris",version="v1"}'] == 0


def test_the_internal_port_tells_state_revision_and_digest(iris: Any) -> None:
    answer = iris.get("/internal/state", internal=True)
    assert answer.json["state"] == "Ready"
    assert answer.json["revision"] == "abc123"
    assert answer.json["digest"].startswith("sha256:")
    assert iris.get("/v2/models/iris", internal=True).status == 404
    assert iris.get("/metrics").status == 404


def test_no_library_leaves_files_behind_or_reports_anywhere(iris: Any) -> None:
    left = {path.name for path in iris.termination_log.parent.iterdir()}
    assert left == {"model", "termination-log"}


def test_sigterm_ends_an_idle_server_with_a_message(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris").wait_until_ready()
    assert runtime.end() == 0
    assert (runtime.termination["reason"], runtime.termination["bytes"] > 0) == ("Completed", True)
    assert runtime.termination["digest"].startswith("sha256:")


def test_while_it_drains_it_is_not_ready_and_still_answers(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", drain="1s", test_gate=str(gate)).wait_until_ready()
    gate.unlink()
    in_flight = pool.submit(runtime.infer, ONE)
    eventually(lambda: runtime.get("/internal/state", internal=True).status == 200 and _inflight(runtime) == 1)
    assert "connection" not in runtime.get("/v2/health/live").headers
    runtime.process.terminate()
    eventually(lambda: runtime.get("/v2/health/ready").status == 503)
    late = pool.submit(runtime.infer, ONE)
    eventually(lambda: _inflight(runtime) == 2)
    assert runtime.get("/v2/health/live").headers["connection"] == "close"
    assert runtime.get("/internal/state", internal=True).json["state"] == "Draining"
    gate.touch()
    answers = [in_flight.result(), late.result()]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.headers["connection"] for answer in answers] == ["close", "close"]
    assert runtime.process.wait(60) == 0


def test_requests_in_flight_are_answered_after_the_drain(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", drain="0s", test_gate=str(gate)).wait_until_ready()
    gate.unlink()
    in_flight = pool.submit(runtime.infer, ONE)
    eventually(lambda: _inflight(runtime) == 1)
    runtime.process.terminate()
    eventually(lambda: not _accepts(runtime))
    gate.touch()
    assert in_flight.result().json["outputs"][0]["data"] == [42.0]
    assert runtime.process.wait(60) == 0


def test_liveness_is_answered_while_the_model_works(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", test_gate=str(gate)).wait_until_ready()
    gate.unlink()
    busy = pool.submit(runtime.infer, ONE)
    eventually(lambda: _inflight(runtime) == 1)
    assert runtime.get("/v2/health/live").status == 200
    assert runtime.get("/v2/health/ready").status == 200
    assert not busy.done()
    gate.touch()
    assert busy.result().status == 200


def test_a_full_queue_and_a_slow_model_are_told_apart(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    settings = {"max_queue": "1", "request_timeout": "1500ms", "test_gate": str(gate)}
    runtime = serve(models / "gated", **settings).wait_until_ready()
    gate.unlink()
    running = pool.submit(runtime.infer, ONE)
    eventually(lambda: _inflight(runtime) == 1 and _depth(runtime) == 0)
    waiting = pool.submit(runtime.infer, ONE)
    eventually(lambda: _depth(runtime) == 1)
    refused = runtime.infer(ONE)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert "too many requests" in refused.json["error"]
    assert (running.result().status, waiting.result().status) == (504, 503)
    assert waiting.result().headers["retry-after"] == "1"
    gate.touch()
    eventually(lambda: runtime.infer(ONE).status == 200)
    labels = 'model="iris",reason="{}",version=""'
    metrics = runtime.metrics()
    assert metrics[f"modelway_runtime_rejected_total{{{labels.format('queue')}}}"] >= 1
    assert metrics[f"modelway_runtime_rejected_total{{{labels.format('timeout')}}}"] == 2


def test_a_body_that_never_ends_is_given_up(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", request_timeout="200ms").wait_until_ready()
    with socket.create_connection(("127.0.0.1", runtime.ports[0]), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert runtime.infer(ROW).status == 200


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"G", id="a byte"),
        pytest.param(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\n", id="half of a head"),
    ],
)
def test_a_head_that_never_ends_is_given_up(serve: Serve, models: Path, start: bytes) -> None:
    runtime = serve(models / "iris", request_timeout="200ms").wait_until_ready()
    with socket.create_connection(("127.0.0.1", runtime.ports[0]), timeout=60) as connection:
        connection.sendall(start)
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"HTTP/1.1 408" in received
    assert received.endswith(b'{"error":"the request\'s head came too slowly"}')
    assert runtime.infer(ROW).status == 200


def test_a_body_that_never_ends_is_given_up_wherever_it_goes(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", request_timeout="200ms").wait_until_ready()
    with socket.create_connection(("127.0.0.1", runtime.ports[0]), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/iris/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(4096) == b""
    assert runtime.infer(ROW).status == 200


def test_a_request_in_pieces_that_came_in_time_costs_the_connection_nothing(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", request_timeout="2s").wait_until_ready()
    request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    address = ("127.0.0.1", runtime.ports[0])
    with socket.create_connection(address, timeout=60) as kept, socket.create_connection(address, timeout=60) as late:
        kept.sendall(request[:9])
        late.sendall(request[:9])
        kept.sendall(request[9:])
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        assert late.recv(4096).startswith(b"HTTP/1.1 408")
        kept.sendall(request)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")


def test_requests_whose_caller_left_are_not_run(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", test_gate=str(gate)).wait_until_ready()
    gate.unlink()
    busy = pool.submit(runtime.infer, ONE)
    eventually(lambda: _inflight(runtime) == 1 and _depth(runtime) == 0)
    body = json.dumps(ONE).encode()
    head = b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", runtime.ports[0])) as connection:
        connection.sendall(head + body)
        eventually(lambda: _inflight(runtime) == 2)
    eventually(lambda: _inflight(runtime) == 1)
    gate.touch()
    assert busy.result().status == 200
    assert runtime.metrics()['modelway_runtime_inference_total{model="iris",version=""}'] == 1


def test_a_model_that_raises_is_a_500_without_traceback_and_goes_on(serve: Serve, models: Path) -> None:
    runtime = serve(models / "gated").wait_until_ready()
    bad = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 1], "data": [13.0]}]}
    answer = runtime.infer(bad)
    assert (answer.status, answer.json) == (500, {"error": "the model failed: RuntimeError: thirteen"})
    assert runtime.infer(ONE).json["outputs"][0]["data"] == [42.0]


def test_an_answer_that_cannot_be_sent_is_counted_as_a_500(serve: Serve, models: Path) -> None:
    runtime = serve(models / "gated").wait_until_ready()
    answer = runtime.infer({"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 1], "data": [14.0]}]})
    assert (answer.status, answer.json) == (500, {"error": "internal error; the server's log has more"})
    labels = 'code="500",model="iris",protocol="rest",version=""'
    assert runtime.metrics()[f"modelway_runtime_request_duration_seconds_count{{{labels}}}"] == 1


def test_a_model_whose_rows_touch_each_other_answers_each_request_alone(
    serve: Serve, models: Path, pool: ThreadPoolExecutor
) -> None:
    runtime = serve(models / "pairs").wait_until_ready()
    rows = [[float(number), 1.0] for number in range(200)]
    bodies = [{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": row}]} for row in rows]
    answers = [answer.json["outputs"][0] for answer in pool.map(runtime.infer, bodies)]
    assert [answer["data"] for answer in answers] == [[row[0] ** 2 + 1.0] for row in rows]


def test_a_model_that_leaves_its_shapes_open_is_served(serve: Serve, models: Path) -> None:
    runtime = serve(models / "open").wait_until_ready()
    answer = runtime.infer({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [3, 4]}]})
    assert answer.json["outputs"][0]["data"] == [25.0]


def test_it_is_alive_but_not_ready_until_the_model_is_warm(
    serve: Serve, models: Path, gate: Path, eventually: Eventually
) -> None:
    gate.unlink()
    runtime = serve(models / "gated", test_gate=str(gate))
    eventually(lambda: runtime.get("/internal/state", internal=True).json["state"] == "Warming")
    assert runtime.get("/v2/health/live").status == 200
    assert runtime.get("/v2/health/ready").json == {"ready": False, "state": "Warming"}
    refused = runtime.infer(ONE)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    gate.touch()
    runtime.wait_until_ready()
    assert runtime.infer(ONE).status == 200


def test_sigterm_while_it_loads_ends_it_at_once(serve: Serve, models: Path, gate: Path, eventually: Eventually) -> None:
    gate.unlink()
    runtime = serve(models / "gated", drain="60s", test_gate=str(gate))
    eventually(lambda: runtime.get("/internal/state", internal=True).json["state"] == "Warming")
    assert runtime.end() == 0


@pytest.mark.parametrize(
    ("folder", "settings", "reason", "message"),
    [
        ("truncated", {}, "ModelLoadFailed", "model.onnx cannot be loaded"),
        ("text", {}, "FormatMismatch", "model.onnx is not an ONNX file"),
        ("iris", {"model_format": "sklearn"}, "FormatMismatch", "needs a file model.skops"),
        ("joblib", {"trust": "Safe"}, "UntrustedFormat", "set trust to Any"),
        ("iris", {"golden_file": "golden.jsonl"}, "GoldenRequestFailed", "has no file golden.jsonl"),
    ],
    ids=["truncated", "not onnx", "other format", "pickle", "golden file missing"],
)
def test_a_model_that_cannot_serve_ends_the_server_with_its_reason(
    fetched: Callable[..., Path],
    serve_fetched: Callable[..., Any],
    models: Path,
    folder: str,
    settings: dict[str, str],
    reason: str,
    message: str,
) -> None:
    runtime = serve_fetched(fetched(models / folder), **settings)
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == reason
    assert message in runtime.termination["message"]


def test_other_bytes_than_those_fetched_are_refused(
    fetched: Callable[..., Path], serve_fetched: Callable[..., Any], models: Path
) -> None:
    place = fetched(models / "iris")
    (place / "model/model.onnx").write_bytes((models / "zipmap/model.onnx").read_bytes())
    runtime = serve_fetched(place)
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == "DigestMismatch"


@pytest.mark.parametrize(
    ("golden", "reason", "message"),
    [
        pytest.param([GOLDEN], "", "", id="right"),
        pytest.param(
            [GOLDEN, {**GOLDEN, "name": "wrong", "expect": {"outputs": [{"name": "label", "data": [2]}]}}],
            "GoldenRequestFailed",
            "Golden request 'wrong': output 'label': value 0 is 0, expected 2",
            id="wrong",
        ),
        pytest.param(
            [{**GOLDEN, "request": {"inputs": []}}],
            "GoldenRequestFailed",
            "Golden request 'setosa': the request is refused: inputs: 'X' missing",
            id="refused",
        ),
    ],
)
def test_golden_requests_decide_about_ready(
    fetched: Callable[..., Path],
    serve_fetched: Callable[..., Any],
    models: Path,
    golden: Any,
    reason: str,
    message: str,
) -> None:
    place = fetched(models / "iris")
    (place / "requests.json").write_text(json.dumps(golden))
    runtime = serve_fetched(place)
    if not reason:
        runtime.wait_until_ready()
        return
    assert runtime.process.wait(60) == 1
    assert (runtime.termination["reason"], runtime.termination["message"][: len(message)]) == (reason, message)


def test_a_model_that_exits_at_a_golden_request_is_refused(
    fetched: Callable[..., Path], serve_fetched: Callable[..., Any], models: Path
) -> None:
    place = fetched(models / "gated")
    request = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 1], "data": [15.0]}]}
    golden = [{"name": "exit", "request": request, "expect": {"outputs": [{"name": "prediction"}]}}]
    (place / "requests.json").write_text(json.dumps(golden))
    runtime = serve_fetched(place)
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == "GoldenRequestFailed"
    assert "SystemExit" in runtime.termination["message"]


def _inflight(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_inflight_requests{model="iris",version=""}'])


def _depth(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_queue_depth{model="iris",version=""}'])


def _accepts(runtime: Any) -> bool:
    try:
        socket.create_connection(("127.0.0.1", runtime.ports[0])).close()
    except OSError:
        return False
    return True


CRASHING = """
import os, signal

class Model:
    def load(self, folder):
        os.kill(os.getpid(), signal.Signals[(folder / "signal.txt").read_text()])
    def predict(self, inputs): ...
"""


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_library_that_crashes_while_it_loads_leaves_a_reason(serve: Serve, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "crashing"
    folder.mkdir()
    (folder / "model.py").write_text(CRASHING)
    (folder / "signal.txt").write_text(name)
    runtime = serve(folder, model_format="python", workers="0")
    assert runtime.process.wait(60) == -signal.Signals[name]
    assert runtime.termination["reason"] == "ModelLoadFailed"
    assert "crashed" in runtime.termination["message"]


def test_what_crashes_later_leaves_no_reason_of_the_load(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris").wait_until_ready()
    runtime.process.kill()
    runtime.process.wait(60)
    assert runtime.termination_log.read_text() == ""
