"""The access log: a line for each request, and nobody who does not read it stops anything."""

import fcntl
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from modelway_runtime.observation.access_log import AccessLog, line
from modelway_runtime.observation.paths import Templates
from modelway_runtime.observation.record import Record, tell
from modelway_runtime.observation.settings import observation
from modelway_runtime.reasons import UsageError
from modelway_runtime.rpc.messages import SERVICE, message

Eventually = Callable[[Callable[[], Any]], Any]

ROWS = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 4], "data": [5.1, 3.5, 1.4, 0.2] * 2}]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module", params=["grpcio", "native"])
def iris(
    models: Path, serve_in: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        settings = {"model_version": "v1", "grpc": request.param, "access_log": "true", "max_body_bytes": "10k"}
        yield start(models / "iris", **settings).wait_until_ready()


def logged(iris: Any, eventually: Eventually, request_id: str) -> dict[str, Any]:
    """The line of a request, without what differs each time."""

    def found() -> Any:
        lines = [json.loads(one) for one in iris.output.read_bytes().splitlines()]
        return next((one for one in lines if one["id"] == request_id), None)

    one: dict[str, Any] = eventually(found)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one.pop("time"))
    assert 0 < one.pop("seconds") < 60
    assert (one.pop("level"), one.pop("message"), one.pop("id")) == ("info", "Request", request_id)
    return one


def test_a_line_says_what_became_of_a_prediction(iris: Any, eventually: Eventually) -> None:
    content = json.dumps(ROWS).encode()
    answer = iris.infer(content, headers={"X-Request-Id": "one", "Authorization": "Bearer secret"})
    one = logged(iris, eventually, "one")
    assert 0 <= one.pop("queueSeconds") < 60
    assert 0 < one.pop("computeSeconds") < 60
    assert one == {
        "method": "POST",
        "path": "/v2/models/{model}/infer",
        "status": 200,
        "protocol": "v2",
        "rows": 2,
        "batchRows": 2,
        "bytesIn": len(content),
        "bytesOut": len(answer.body),
    }
    assert b"secret" not in iris.output.read_bytes()
    assert b"probabilities" not in iris.output.read_bytes()


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v2/models/iris/versions/v1/infer", ROWS, ("/v2/models/{model}/versions/{version}/infer", "v2", 200)),
        ("/v1/models/iris:predict", {"instances": [[1, 2, 3, 4]]}, ("/v1/models/{model}:predict", "v1", 200)),
        ("/invocations", {"inputs": [[1, 2, 3, 4]]}, ("/invocations", "invocations", 200)),
        ("/v2/models/iris/infer", {}, ("/v2/models/{model}/infer", "v2", 400)),
        ("/v2/models/jane/infer", ROWS, ("(unknown)", "rest", 404)),
        ("/v2/models/iris", {}, ("/v2/models/{model}", "rest", 405)),
        ("/v2/models/iris/feedback", {}, ("/v2/models/{model}/feedback", "rest", 400)),
        ("/v2/repository/models/jane/load", {}, ("/v2/repository/models/{model}/load", "rest", 403)),
        ("/v2/models/iris/infer", {"x": "y" * 20_000}, ("/v2/models/{model}/infer", "v2", 413)),
    ],
)
def test_a_line_names_path_protocol_and_status_of_every_end(
    iris: Any, eventually: Eventually, path: str, body: Any, expected: tuple[str, str, int]
) -> None:
    request_id = f"{path} {expected[2]}"
    iris.post(path, json.dumps(body).encode(), {"X-Request-Id": request_id})
    one = logged(iris, eventually, request_id)
    assert (one["path"], one["protocol"], one["status"]) == expected
    assert ("computeSeconds" in one) is (expected[2] == 200)


def test_a_line_has_the_trace_that_a_request_belongs_to(iris: Any, eventually: Eventually) -> None:
    for request_id, header in {"traced": f"00-{TRACE}-00f067aa0ba902b7-01", "garbled": f"00-{TRACE}"}.items():
        iris.infer(ROWS, headers={"X-Request-Id": request_id, "traceparent": header})
    assert logged(iris, eventually, "traced")["trace"] == TRACE
    assert "trace" not in logged(iris, eventually, "garbled")


def test_probes_have_no_line_and_reads_have_one(iris: Any, eventually: Eventually) -> None:
    iris.get("/v2/health/ready")
    iris.get("/v2/models/iris?id=mallory")
    request_id = iris.get("/v2/models/iris").headers["x-request-id"]
    assert logged(iris, eventually, request_id)["path"] == "/v2/models/{model}"
    probes = [one for one in iris.output.read_bytes().splitlines() if b"/v2/health/ready" in one]
    assert all(json.loads(one)["status"] == 503 for one in probes)
    assert b"mallory" not in iris.output.read_bytes()


def test_a_comparator_s_requests_are_marked(iris: Any, eventually: Eventually) -> None:
    iris.infer(ROWS, headers={"X-Request-Id": "shadow", "modelway-shadow": "1"})
    assert logged(iris, eventually, "shadow")["shadow"] is True


def test_calls_have_lines_too(iris: Any, eventually: Eventually) -> None:
    asked = message("ModelInferRequest")(model_name="iris", id="call")
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    refused = message("ModelInferRequest")(model_name="jane", id="other")
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:

        def ask(method: str, content: Any, request_id: str) -> Any:
            asking = channel.unary_unary(f"/{SERVICE}/{method}", lambda item: item.SerializeToString(), bytes)
            metadata = (("x-request-id", request_id), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"))
            call = asking.future(content, timeout=60.0, metadata=metadata)
            return call if call.exception() else call.result()

        answer = ask("ModelInfer", asked, "")
        ask("ModelInfer", refused, "refused-call")
        ask("ModelMetadata", message("ModelMetadataRequest")(name="iris"), "read")
    one = logged(iris, eventually, "call")
    assert (one["path"], one["protocol"], one["status"]) == (f"/{SERVICE}/ModelInfer", "grpc", 200)
    assert (one["rows"], one["batchRows"], one["trace"]) == (1, 1, TRACE)
    assert (one["bytesIn"], one["bytesOut"]) == (asked.ByteSize(), len(answer))
    assert logged(iris, eventually, "refused-call")["status"] == 404
    assert logged(iris, eventually, "read")["path"] == f"/{SERVICE}/ModelMetadata"


def test_a_call_whose_message_is_late_has_a_line_and_counts_its_whole_time(
    serve: Any, models: Path, eventually: Eventually
) -> None:
    runtime = serve(models / "iris", access_log="true", request_timeout="1s").wait_until_ready()
    is_over = threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel:
        asking = channel.stream_unary(f"/{SERVICE}/ModelInfer")
        call = asking.future(iter(lambda: is_over.wait(60) and b"", b""), metadata=(("x-request-id", "late"),))
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        is_over.set()
    line = logged(runtime, eventually, "late")
    assert (line["status"], line["protocol"], line["path"]) == (408, "grpc", f"/{SERVICE}/ModelInfer")
    labels = '{code="408",model="iris",protocol="grpc",version=""}'
    assert runtime.metrics()[f"modelway_runtime_request_duration_seconds_sum{labels}"] >= 1


def test_the_end_of_the_process_writes_what_is_held(serve: Any, models: Path) -> None:
    runtime = serve(models / "iris", access_log="true").wait_until_ready()
    for number in range(50):
        runtime.infer(ROWS, headers={"X-Request-Id": str(number)})
    assert runtime.end() == 0
    lines = [json.loads(one) for one in runtime.output.read_bytes().splitlines()]
    assert [one["id"] for one in lines if one["protocol"] == "v2"] == list(map(str, range(50)))


def test_nothing_is_written_unless_asked_for(serve: Any, models: Path) -> None:
    runtime = serve(models / "iris").wait_until_ready()
    assert runtime.infer(ROWS).status == 200
    assert runtime.end() == 0
    assert runtime.output.read_bytes() == b""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            pass


def dropped(log: AccessLog) -> dict[str, float]:
    (family,) = log.families()
    return {sample.labels["reason"]: sample.value for sample in family.samples}


def record(**fields: Any) -> Record:
    return Record(**{"protocol": "v2", "method": "POST", "path": "/invocations", "status": 200, **fields})


async def test_a_pipe_that_nobody_reads_costs_lines_and_nothing_else(
    pipe: tuple[int, int], eventually: Eventually
) -> None:
    reading, writing = pipe
    room = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"." * room)
    log = AccessLog(writing, ("iris", "v1"), most_lines=3)
    for number in range(5):
        log.ended(record(id=str(number)))
    assert dropped(log) == {"full": 2.0, "failed": 0.0}
    log.close()
    os.read(reading, room)
    ids = [json.loads(one)["id"] for one in eventually(lambda: os.read(reading, room)).splitlines()]
    assert ids == ["0", "1", "2"]


async def test_lines_that_cannot_be_written_are_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    log = AccessLog(writing, ("iris", "v1"))
    log.ended(record())
    log.close()
    assert dropped(log) == {"full": 0.0, "failed": 1.0}


def test_a_line_is_one_line_whatever_an_id_holds() -> None:
    assert line(record(id='a"\\}')).count(b"\n") == 1
    assert json.loads(line(record(id='a"\\}')))["id"] == 'a"\\}'


def test_a_template_holds_nothing_that_a_caller_chose() -> None:
    paths = ("/v2/models/s/infer", "/v2/models/s/versions/1/infer", "/v2/models/stats", "/v1/models/s:predict", "/ping")
    templates = Templates(paths, "s", "1")
    assert [templates.of(path) for path in paths] == [
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
        "/v2/models/stats",
        "/v1/models/{model}:predict",
        "/ping",
    ]
    assert templates.of("/v2/models/jane/infer") == "(unknown)"
    assert templates.of("/v2/repository/models/jane\nx/unload") == "/v2/repository/models/{model}/unload"


def test_an_observer_that_fails_stops_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    class Failing:
        def ended(self, record: Record) -> None:
            raise ValueError(record.id)

    class Listening:
        def ended(self, record: Record) -> None:
            told.append(record.id)

    observers: Any = (Failing(), Listening())
    tell(observers, record(id="42"), status=200, bytes_out=1)
    assert told == ["42"]
    assert "Observer failed" in caplog.text


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(UsageError, match="MODELWAY_ACCESS_LOG: 'yes' is not true or false"):
        observation({"MODELWAY_ACCESS_LOG": "yes"})
