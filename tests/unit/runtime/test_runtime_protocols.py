"""What a server answers in each protocol over HTTP: binary tensors, compressed bodies, statistics, V1, invocations."""

import gzip
import http.client
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FEATURES = [5.1, 3.5, 1.4, 0.2]
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": FEATURES}]}


@pytest.fixture(scope="module")
def iris(models: Path, tmp_path_factory: pytest.TempPathFactory, serve_in: Callable[[Path], Any]) -> Iterator[Any]:
    with serve_in(tmp_path_factory.mktemp("iris")) as start:
        yield start(models / "iris", model_version="1", max_body_bytes="200k").wait_until_ready()


@pytest.fixture(scope="module")
def identity(models: Path, tmp_path_factory: pytest.TempPathFactory, serve_in: Callable[[Path], Any]) -> Iterator[Any]:
    with serve_in(tmp_path_factory.mktemp("identity")) as start:
        yield start(models / "identity").wait_until_ready()


def _binary(rows: Any, **more: Any) -> tuple[bytes, dict[str, str]]:
    content = np.array(rows, dtype="<f4").tobytes()
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(rows), 4]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(content)}}], **more}).encode()
    return head + content, {"Inference-Header-Content-Length": str(len(head))}


def _outputs(answer: Any) -> dict[str, Any]:
    """The outputs by name, the binary ones as bytes."""
    length = int(answer.headers["inference-header-content-length"])
    found, place = {}, length
    for output in json.loads(answer.body[:length])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        found[output["name"]] = output.get("data", answer.body[place : place + size])
        place += size
    assert place == len(answer.body)
    return found


def test_binary_tensors_come_in_and_go_out(iris: Any) -> None:
    body, headers = _binary([FEATURES] * 2, parameters={"binary_data_output": True}, id="8")
    answer = iris.infer(body, headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    outputs = _outputs(answer)
    assert np.frombuffer(outputs["label"], "<i8").tolist() == [0, 0]
    plain = iris.infer(ROW).json["outputs"][1]["data"]
    assert np.allclose(np.frombuffer(outputs["probabilities"], "<f4").reshape(2, 3), [plain] * 2)


def test_binary_requests_have_answers_in_json_unless_they_ask_otherwise(iris: Any) -> None:
    body, headers = _binary([FEATURES], outputs=[{"name": "label"}])
    answer = iris.infer(body, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["outputs"] == [{"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}]


def test_a_body_may_come_in_many_pieces(iris: Any) -> None:
    body, headers = _binary([FEATURES] * 100)
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    connection = http.client.HTTPConnection("127.0.0.1", iris.ports[0], timeout=60)
    connection.request("POST", "/v2/models/iris/infer", iter(pieces), headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["outputs"][0]["data"]) == (200, [0] * 100)
    connection.close()


def test_a_raw_request_is_answered_in_binary(iris: Any) -> None:
    raw = np.array(FEATURES, dtype="<f4").tobytes()
    answer = iris.infer(raw, headers={"Inference-Header-Content-Length": "0"})
    assert np.frombuffer(_outputs(answer)["label"], "<i8").tolist() == [0]


def test_no_numbers_and_infinities_pass_in_binary(identity: Any) -> None:
    names = ("FP64", "FP16", "INT64", "INT8", "UINT64", "BOOL")
    rest = [{"name": name, "datatype": name, "shape": [1, 2], "data": [0, 0]} for name in names]
    rest[-1]["data"] = [False, False]
    rest.append({"name": "BYTES", "datatype": "BYTES", "shape": [1, 2], "data": ["", ""]})
    content = np.array([np.nan, -np.inf], dtype="<f4").tobytes()
    tensor = {"name": "FP32", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    outputs = [{"name": "FP32_OUT", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [*rest, tensor], "outputs": outputs}).encode()
    answer = identity.infer(head + content, headers={"Inference-Header-Content-Length": str(len(head))})
    assert _outputs(answer) == {"FP32_OUT": content}


def test_each_datatype_passes_through_a_model_in_binary(identity: Any) -> None:
    values = {
        "FP32": np.array([[1.5, -2]], dtype="<f4"),
        "FP64": np.array([[1e300, -2]], dtype="<f8"),
        "FP16": np.array([[0.5, -2]], dtype="<f2"),
        "INT64": np.array([[2**62, -1]], dtype="<i8"),
        "INT8": np.array([[127, -128]], dtype="i1"),
        "UINT64": np.array([[2**64 - 1, 0]], dtype="<u8"),
        "BOOL": np.array([[True, False]]),
    }
    contents = {name: array.tobytes() for name, array in values.items()}
    contents["BYTES"] = b"\x03\0\0\0a\xc3\xbc\0\0\0\0"
    inputs = [
        {"name": name, "datatype": name, "shape": [1, 2], "parameters": {"binary_data_size": len(content)}}
        for name, content in contents.items()
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = identity.infer(head + b"".join(contents.values()), headers=headers)
    assert _outputs(answer) == {f"{name}_OUT": content for name, content in contents.items()}


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
        ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    ],
    ids=["gzip", "deflate", "deflate without its header", "identity", "two streams"],
)
def test_requests_may_be_compressed(iris: Any, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body, headers = _binary([FEATURES])
    answer = iris.infer(pack(body), headers={**headers, "Content-Encoding": encoding})
    assert (answer.status, answer.json["outputs"][0]["data"]) == (200, [0])


@pytest.mark.parametrize(
    ("encoding", "body", "status", "message"),
    [
        ("br", b"x", 415, "content-encoding br is not served; send gzip or deflate"),
        ("gzip", b"{}", 400, "the body is not of its content-encoding"),
        ("gzip", gzip.compress(b"[" * 1000)[:-12], 400, "it is cut off"),
        ("gzip", b"", 400, "it is cut off"),
        ("gzip", gzip.compress(b"[" * 100_000_000), 413, "the body unpacks to more than"),
        ("gzip", gzip.compress(b"[" * 200_001), 413, "the body unpacks to more than"),
        ("gzip", gzip.compress(b"[" * 150_000) * 2, 413, "the body unpacks to more than"),
    ],
    ids=["unknown", "no gzip", "cut off", "empty", "bomb", "one byte too many", "two streams"],
)
def test_compressed_bodies_are_limited_while_they_grow(
    iris: Any, encoding: str, body: bytes, status: int, message: str
) -> None:
    answer = iris.infer(body, headers={"Content-Encoding": encoding})
    assert answer.status == status
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("accepted", "unpack"),
    [("gzip", gzip.decompress), ("deflate, br", zlib.decompress), ("gzip;q=0, deflate", zlib.decompress)],
)
def test_large_answers_are_compressed_where_it_is_asked_for(iris: Any, accepted: str, unpack: Any) -> None:
    body, headers = _binary([FEATURES] * 1000)
    answer = iris.infer(body, headers={**headers, "Accept-Encoding": accepted})
    assert json.loads(unpack(answer.body)) == iris.infer(body, headers=headers).json
    assert answer.headers["content-encoding"] in accepted


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br", "", "*;q=0"])
def test_answers_stay_as_they_are_otherwise(iris: Any, accepted: str) -> None:
    body, headers = _binary([FEATURES] * 1000)
    assert "content-encoding" not in iris.infer(body, headers={**headers, "Accept-Encoding": accepted}).headers
    assert "content-encoding" not in iris.infer(ROW, headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2", "/v2/models/iris/config", "/ping"])
def test_head_answers_as_get_does_but_without_a_body(iris: Any, path: str) -> None:
    asked, told = iris.get(path, method="HEAD"), iris.get(path)
    assert (asked.status, asked.body) == (told.status, b"")
    assert asked.headers["content-length"] == str(len(told.body))


@pytest.mark.parametrize(
    ("path", "allowed"), [("/v2", "GET, HEAD"), ("/v2/models/iris/infer", "POST"), ("/v2/repository/index", "POST")]
)
def test_a_method_that_is_not_allowed_is_told_which_are(iris: Any, path: str, allowed: str) -> None:
    for method in ("TRACE", "DELETE"):
        answer = iris.get(path, method=method)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_statistics_count_what_was_answered(models: Path, serve: Any) -> None:
    runtime = serve(models / "iris", model_version="1").wait_until_ready()
    for body in (ROW, ROW, {}):
        runtime.infer(body)
    body, headers = _binary([FEATURES] * 3)
    runtime.infer(body, headers=headers)
    for path in ("/v2/models/stats", "/v2/models/iris/stats", "/v2/models/iris/versions/1/stats"):
        (model,) = runtime.get(path).json["model_stats"]
        assert (model["name"], model["version"], model["inference_count"], model["execution_count"]) == (
            "iris",
            "1",
            5,
            3,
        )
        assert model["last_inference"] > 1_600_000_000_000
        spent = model["inference_stats"]
        assert {name: one["count"] for name, one in spent.items()} == {
            "success": 3,
            "fail": 0,
            "queue": 3,
            "compute_input": 3,
            "compute_infer": 3,
            "compute_output": 3,
            "cache_hit": 0,
            "cache_miss": 0,
        }
        assert 0 < spent["compute_infer"]["ns"] < spent["success"]["ns"]
        assert [(batch["batch_size"], batch["compute_infer"]["count"]) for batch in model["batch_stats"]] == [
            (1, 2),
            (3, 1),
        ]


def test_the_configuration_speaks_of_one_row(iris: Any) -> None:
    config = iris.get("/v2/models/iris/versions/1/config").json
    assert config == iris.get("/v2/models/iris/config").json
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("iris", "onnx_onnxv1", 32)
    assert config["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": [4]}]
    assert config["output"] == [
        {"name": "label", "data_type": "TYPE_INT64", "dims": [1], "reshape": {"shape": []}},
        {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [3]},
    ]


def _post(runtime: Any, path: str, body: Any, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return runtime._request(runtime.ports[0], "POST", path, content, named)


def test_the_index_names_the_model(iris: Any) -> None:
    entry = {"name": "iris", "version": "1", "state": "READY", "reason": ""}
    for body in (b"", {}, {"ready": True}):
        assert _post(iris, "/v2/repository/index", body).json == [entry]
    assert _post(iris, "/v2/repository/index", b"{").status == 400


@pytest.mark.parametrize("action", ["load", "unload"])
def test_no_caller_loads_or_unloads_a_model(iris: Any, action: str) -> None:
    answer = _post(iris, f"/v2/repository/models/iris/{action}", {"parameters": {}})
    assert answer.status == 403
    assert f"failed to {action} 'iris': a model is loaded when its server starts" in answer.json["error"]
    assert iris.infer(ROW).status == 200


def test_v1_answers_rows_and_columns(iris: Any) -> None:
    (answer,) = _post(iris, "/v1/models/iris:predict", {"instances": [FEATURES]}).json["predictions"]
    assert answer["label"] == 0
    assert np.isclose(sum(answer["probabilities"]), 1, atol=1e-3)
    columns = _post(iris, "/v1/models/iris/versions/1:predict", {"inputs": {"X": [FEATURES] * 2}}).json["outputs"]
    assert (columns["label"], np.shape(columns["probabilities"])) == ([0, 0], (2, 3))
    assert _post(iris, "/v1/models/iris/versions/9:predict", {"instances": [FEATURES]}).status == 404
    wrong = _post(iris, "/v1/models/iris:predict", {"instances": [[1, 2]]})
    assert (wrong.status, wrong.json) == (
        400,
        {"error": "instances.shape: [1, 2] does not fit [-1, 4] (-1 is any size)"},
    )


def test_v1_tells_the_status_in_the_words_of_both_servers(iris: Any) -> None:
    for path in ("/v1/models/iris", "/v1/models/iris/versions/1"):
        status = iris.get(path).json
        assert (status["name"], status["ready"]) == ("iris", True)
        assert status["model_version_status"] == [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    metadata = iris.get("/v1/models/iris/metadata").json
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["X"]["dtype"] == "DT_FLOAT"
    assert [one["size"] for one in signature["inputs"]["X"]["tensor_shape"]["dim"]] == ["-1", "4"]
    assert iris.get("/v1/models").json == {"models": ["iris"]}


def test_invocations_answer_json_and_csv(iris: Any) -> None:
    assert iris.get("/ping").status == 200
    split = {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [FEATURES]}}
    (answer,) = _post(iris, "/invocations", split, content_type="application/json").json["predictions"]
    assert answer["label"] == 0
    line = ",".join(map(str, FEATURES)).encode()
    lines = _post(iris, "/invocations", line, content_type="text/csv", accept="text/csv")
    assert lines.headers["content-type"].startswith("text/csv")
    label, *probabilities = lines.body.decode().strip().split(",")
    assert (label, len(probabilities)) == ("0", 3)


def test_predictions_of_all_protocols_are_counted_alike(iris: Any) -> None:
    name = 'modelway_runtime_request_duration_seconds_count{code="200",model="iris",protocol="rest",version="1"}'
    before = iris.metrics()[name]
    _post(iris, "/v1/models/iris:predict", {"instances": [FEATURES]})
    _post(iris, "/invocations", {"inputs": [FEATURES]})
    assert iris.metrics()[name] == before + 2


def test_a_model_that_cannot_read_empty_strings_is_ready_all_the_same(models: Path, serve: Any) -> None:
    runtime = serve(models / "digits").wait_until_ready()
    body = {"inputs": [{"name": "X", "datatype": "BYTES", "shape": [2, 1], "data": ["7", "-12"]}]}
    assert runtime.infer(body).json["outputs"][0]["data"] == [7, -12]
    content = b"\x01\0\0\x007"
    tensor = {"name": "X", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": len(content)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert runtime.infer(head + content, headers=headers).json["outputs"][0]["data"] == [7]
