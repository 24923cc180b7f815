"""The id of a request: who gives it, and that every answer has it, whatever the protocol."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from modelway_runtime.rpc.messages import SERVICE, message
from modelway_runtime.server.ids import MOST_SIGNS, Ids

ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
V1 = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
TABLE = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}
BINARY = {**ROW, "parameters": {"binary_data_output": True}}


@pytest.fixture(scope="module", params=["grpcio", "native"])
def iris(
    models: Path, serve_in: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        settings = {"model_version": "v1", "revision": "abc123", "grpc": request.param}
        yield start(models / "iris", **settings).wait_until_ready()


def call(iris: Any, method: str, asked: Any, header: str = "") -> dict[str, Any]:
    """The metadata after the end of a call."""
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:
        asking = channel.unary_unary(f"/{SERVICE}/{method}", lambda item: item.SerializeToString(), bytes)
        sent = (("x-request-id", header),) if header else ()
        future = asking.future(asked, timeout=60.0, metadata=sent)
        future.exception()
        return dict(future.trailing_metadata())


def infer_call(**fields: Any) -> Any:
    asked = message("ModelInferRequest")(model_name="iris", **fields)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    return asked


@pytest.mark.parametrize(
    ("given", "header", "expected"),
    [
        ("order 42", b"h-1", "order 42"),
        (None, b"h-1", "h-1"),
        ("", b"h-1", "h-1"),
        ("é", b"h-1", "h-1"),
        ("two\nlines", b"h-1", "h-1"),
        (" ", b"h-1", "h-1"),
        ("x" * MOST_SIGNS, b"h-1", "x" * MOST_SIGNS),
        ("x" * (MOST_SIGNS + 1), b"h-1", "h-1"),
        (None, b"\xff", "run-1"),
        (None, b"x" * (MOST_SIGNS + 1), "run-1"),
        (None, b"", "run-1"),
        (None, None, "run-1"),
    ],
)
def test_an_id_is_that_of_the_body_then_that_of_the_header_then_a_new_one(
    given: str | None, header: bytes | None, expected: str
) -> None:
    assert Ids("run").of(given, header) == expected


def test_no_two_requests_of_a_process_have_the_same_new_id() -> None:
    ids = Ids("run")
    assert len({ids.of(None, None) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/iris/infer", ROW),
        ("/v2/models/iris/infer", BINARY),
        ("/v1/models/iris:predict", V1),
        ("/invocations", TABLE),
        ("/invocations", {"inputs": []}),
        ("/v2/models/nobody/infer", ROW),
        ("/v2/models/iris/feedback", {"revision": "abc123", "predicted": 1, "actual": 1}),
    ],
)
def test_an_answer_or_refusal_has_the_id_and_who_gave_it(iris: Any, path: str, body: Any) -> None:
    content = json.dumps(body).encode()
    answer = iris.post(path, content, {"X-Request-Id": "h-1"})
    assert answer.headers["x-request-id"] == "h-1"
    assert (answer.headers["modelway-revision"], answer.headers["modelway-version"]) == ("abc123", "v1")
    made = [iris.post(path, content).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert "h-1" not in made


def test_reads_have_an_id_too(iris: Any) -> None:
    assert iris.get("/v2/health/live").headers["x-request-id"]


def test_the_id_of_a_v2_body_goes_before_that_of_the_header_and_comes_back_as_it_is(iris: Any) -> None:
    answer = iris.infer({**ROW, "id": "42"}, headers={"X-Request-Id": "h-1"})
    assert (answer.headers["x-request-id"], answer.json["id"]) == ("42", "42")
    answer = iris.infer({**ROW, "id": "zürich"}, headers={"X-Request-Id": "h-1"})
    assert (answer.headers["x-request-id"], answer.json["id"]) == ("h-1", "zürich")
    assert "id" not in iris.infer(ROW, headers={"X-Request-Id": "h-1"}).json


def test_a_call_has_it_in_the_metadata_after_its_answer(iris: Any) -> None:
    assert call(iris, "ModelInfer", infer_call(id="42"), "h-1")["x-request-id"] == "42"
    assert call(iris, "ModelInfer", infer_call(), "h-1")["x-request-id"] == "h-1"
    refused = call(iris, "ModelInfer", message("ModelInferRequest")(model_name="nobody"), "h-1")
    assert (refused["x-request-id"], refused["modelway-revision"]) == ("h-1", "abc123")
    assert call(iris, "ServerLive", message("ServerLiveRequest")(), "h-1")["x-request-id"] == "h-1"
    made = [call(iris, "ModelInfer", infer_call())["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
