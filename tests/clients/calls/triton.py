"""tritonclient[http]: Triton's client, in the ways of its examples."""

import sys

import numpy as np
import tritonclient.http as client
from runner import run
from tritonclient.utils import InferenceServerException

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), 3, dtype=np.int32)


def _connected(addresses, model="simple", **options):
    return client.InferenceServerClient(addresses[model], **options)


def _inputs(*arrays, datatype="INT32", binary=True):
    inputs = [client.InferInput(f"INPUT{index}", array.shape, datatype) for index, array in enumerate(arrays)]
    for one, array in zip(inputs, arrays, strict=True):
        one.set_data_from_numpy(array, binary_data=binary)
    return inputs


def _check(result, first=FIRST, second=SECOND):
    assert (result.as_numpy("OUTPUT0") == first + second).all()
    assert (result.as_numpy("OUTPUT1") == first - second).all()


def _refused(words, action, *arguments, **named):
    try:
        action(*arguments, **named)
    except InferenceServerException as error:
        assert words in error.message(), error
    else:
        raise AssertionError("nothing was refused")


def call_health_of_server_and_model(addresses):
    with _connected(addresses) as triton:
        assert triton.is_server_live() and triton.is_server_ready()
        assert triton.is_model_ready("simple") and triton.is_model_ready("simple", "1")
        assert not triton.is_model_ready("other")


def call_metadata_of_server_and_model(addresses):
    with _connected(addresses) as triton:
        assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
        metadata = triton.get_model_metadata("simple", query_params={"a": 1})
        assert metadata["name"] == "simple" and metadata["versions"] == ["1"]
        assert [one["name"] for one in metadata["inputs"]] == ["INPUT0", "INPUT1"]
        _refused("Request for unknown model", triton.get_model_metadata, "other")


def call_model_configuration(addresses):
    with _connected(addresses) as triton:
        config = triton.get_model_config("simple")
        assert config["name"] == "simple" and config["max_batch_size"] > 0
        assert config["input"][0]["data_type"] == "TYPE_INT32" and config["input"][0]["dims"] == [16]


def call_statistics(addresses):
    with _connected(addresses) as triton:
        before = triton.get_inference_statistics("simple")["model_stats"][0]["inference_count"]
        triton.infer("simple", _inputs(FIRST, SECOND))
        after = triton.get_inference_statistics()["model_stats"][0]
        assert after["inference_count"] == before + 1
        assert after["inference_stats"]["success"]["count"] > 0


def call_repository_index(addresses):
    with _connected(addresses) as triton:
        assert triton.get_model_repository_index() == [
            {"name": "simple", "version": "1", "state": "READY", "reason": ""}
        ]


def call_loading_is_refused(addresses):
    with _connected(addresses) as triton:
        _refused("failed to load", triton.load_model, "simple")
        _refused("failed to unload", triton.unload_model, "simple")
        assert triton.is_model_ready("simple")


def call_infer_in_binary(addresses):
    with _connected(addresses) as triton:
        outputs = [client.InferRequestedOutput(name, binary_data=True) for name in ("OUTPUT0", "OUTPUT1")]
        result = triton.infer("simple", _inputs(FIRST, SECOND), outputs=outputs, request_id="7")
        _check(result)
        assert result.get_response()["id"] == "7"
        _check(triton.infer("simple", _inputs(FIRST, SECOND)))


def call_infer_in_json(addresses):
    with _connected(addresses) as triton:
        outputs = [client.InferRequestedOutput(name, binary_data=False) for name in ("OUTPUT0", "OUTPUT1")]
        _check(triton.infer("simple", _inputs(FIRST, SECOND, binary=False), outputs=outputs))


def call_infer_in_binary_and_json_mixed(addresses):
    with _connected(addresses) as triton:
        inputs = [_inputs(FIRST, SECOND)[0], _inputs(FIRST, SECOND, binary=False)[1]]
        outputs = [client.InferRequestedOutput("OUTPUT1", binary_data=False), client.InferRequestedOutput("OUTPUT0")]
        result = triton.infer("simple", inputs, outputs=outputs, model_version="1")
        _check(result)
        assert [one["name"] for one in result.get_response()["outputs"]] == ["OUTPUT1", "OUTPUT0"]


def call_infer_one_output_of_two(addresses):
    with _connected(addresses) as triton:
        result = triton.infer("simple", _inputs(FIRST, SECOND), outputs=[client.InferRequestedOutput("OUTPUT1")])
        assert result.as_numpy("OUTPUT0") is None
        assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()


def call_infer_many_rows(addresses):
    first, second = np.repeat(FIRST, 500, axis=0), np.repeat(SECOND, 500, axis=0)
    with _connected(addresses) as triton:
        _check(triton.infer("simple", _inputs(first, second)), first, second)


def call_infer_int8(addresses):
    first, second = FIRST.astype(np.int8), SECOND.astype(np.int8)
    with _connected(addresses, "simple_int8") as triton:
        for binary in (True, False):
            inputs = _inputs(first, second, datatype="INT8", binary=binary)
            _check(triton.infer("simple_int8", inputs), first, second)


def call_infer_fp16(addresses):
    row = np.linspace(-1, 1, 16, dtype=np.float16).reshape(1, 16)
    with _connected(addresses, "half") as triton:
        result = triton.infer("half", _inputs(row, datatype="FP16"))
        assert result.as_numpy("OUTPUT0").dtype == np.float16
        assert (result.as_numpy("OUTPUT0") == row).all()


def call_infer_strings(addresses):
    first, second = (
        np.array([[str(value).encode() for value in row] for row in one], dtype=np.object_) for one in (FIRST, SECOND)
    )
    with _connected(addresses, "simple_string") as triton:
        for binary in (True, False):
            outputs = [client.InferRequestedOutput(name, binary_data=binary) for name in ("OUTPUT0", "OUTPUT1")]
            inputs = _inputs(first, second, datatype="BYTES", binary=binary)
            result = triton.infer("simple_string", inputs, outputs=outputs)
            assert [int(text) for text in result.as_numpy("OUTPUT0")[0]] == (FIRST + SECOND)[0].tolist()
            assert [int(text) for text in result.as_numpy("OUTPUT1")[0]] == (FIRST - SECOND)[0].tolist()


def call_infer_strings_with_a_null_character(addresses):
    texts = np.array([[f"{index}\0ü".encode() for index in range(16)]], dtype=np.object_)
    with _connected(addresses, "simple_identity") as triton:
        result = triton.infer("simple_identity", _inputs(texts, datatype="BYTES"))
        assert (result.as_numpy("OUTPUT0") == texts).all()


def call_infer_asynchronously(addresses):
    with _connected(addresses, concurrency=4) as triton:
        inputs = _inputs(FIRST, SECOND)
        pending = [triton.async_infer("simple", inputs) for _ in range(40)]
        for one in pending:
            _check(one.get_result())


def call_reuse_request_objects(addresses):
    inputs, outputs = _inputs(FIRST, SECOND), [client.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    with _connected(addresses) as triton:
        _check(triton.infer("simple", inputs, outputs=outputs))
        for one, array in zip(inputs, (SECOND, FIRST), strict=True):
            one.set_data_from_numpy(array, binary_data=False)
        _check(triton.infer("simple", inputs, outputs=outputs), SECOND, FIRST)


def call_one_connection_for_many_requests(addresses):
    with _connected(addresses, concurrency=1) as triton:
        for _ in range(200):
            _check(triton.infer("simple", _inputs(FIRST, SECOND)))


def call_compressed_requests_and_answers(addresses):
    first, second = np.repeat(FIRST, 500, axis=0), np.repeat(SECOND, 500, axis=0)
    with _connected(addresses) as triton:
        for algorithm in ("gzip", "deflate"):
            ways = {f"{way}_compression_algorithm": algorithm for way in ("request", "response")}
            _check(triton.infer("simple", _inputs(first, second), **ways), first, second)
            _check(triton.infer("simple", _inputs(FIRST, SECOND), **ways))


def call_bodies_made_and_read_by_hand(addresses):
    body, length = client.InferenceServerClient.generate_request_body(_inputs(FIRST, SECOND))
    with _connected(addresses) as triton:
        answer = triton._post("v2/models/simple/infer", body, {"Inference-Header-Content-Length": str(length)}, None)
        length = int(answer.get("Inference-Header-Content-Length"))
        _check(client.InferenceServerClient.parse_response_body(answer.read(), header_length=length))


def call_wrong_requests_are_explained(addresses):
    with _connected(addresses) as triton:
        _refused("Request for unknown model", triton.infer, "other", _inputs(FIRST, SECOND))
        _refused("inputs: 'INPUT1' missing", triton.infer, "simple", _inputs(FIRST))
        _refused("inputs[0].shape", triton.infer, "simple", _inputs(FIRST[:, :4], SECOND))
        classes = [client.InferRequestedOutput("OUTPUT0", class_count=2)]
        _refused("classification", triton.infer, "simple", _inputs(FIRST, SECOND), outputs=classes)


if __name__ == "__main__":
    run(sys.modules["__main__"])
