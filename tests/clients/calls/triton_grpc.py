"""tritonclient[grpc]: Triton's client over gRPC, in the ways of its examples."""

import queue
import sys

import grpc
import numpy as np
import tritonclient.grpc as client
from runner import run
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), 3, dtype=np.int32)


def _connected(addresses, model="simple", **options):
    return client.InferenceServerClient(addresses[f"{model}/grpc"], **options)


def _inputs(*arrays, datatype="INT32"):
    inputs = [client.InferInput(f"INPUT{index}", array.shape, datatype) for index, array in enumerate(arrays)]
    for one, array in zip(inputs, arrays, strict=True):
        one.set_data_from_numpy(array)
    return inputs


def _check(result, first=FIRST, second=SECOND):
    assert (result.as_numpy("OUTPUT0") == first + second).all()
    assert (result.as_numpy("OUTPUT1") == first - second).all()


def _refused(words, status, action, *arguments, **named):
    try:
        action(*arguments, **named)
    except InferenceServerException as error:
        assert words in error.message() and status in error.status(), error
    else:
        raise AssertionError("nothing was refused")


def _explicit(addresses, model, datatype, field, first, second):
    """A request whose numbers stand in the message."""
    request = service_pb2.ModelInferRequest(model_name=model, id="4")
    for index, values in enumerate((first, second)):
        tensor = request.inputs.add(name=f"INPUT{index}", datatype=datatype, shape=[1, 16])
        getattr(tensor.contents, field).extend(values)
    with grpc.insecure_channel(addresses[f"{model}/grpc"]) as channel:
        return service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)


def call_health_of_server_and_model(addresses):
    with _connected(addresses) as triton:
        assert triton.is_server_live() and triton.is_server_ready()
        assert triton.is_model_ready("simple") and triton.is_model_ready("simple", "1")


def call_metadata_of_server_and_model(addresses):
    with _connected(addresses) as triton:
        assert "statistics" in triton.get_server_metadata(headers={"a": "1"}).extensions
        metadata = triton.get_model_metadata("simple", as_json=True)
        assert metadata["name"] == "simple" and metadata["versions"] == ["1"]
        assert [one["name"] for one in metadata["inputs"]] == ["INPUT0", "INPUT1"]
        _refused("not found", "NOT_FOUND", triton.get_model_metadata, "other")


def call_model_configuration(addresses):
    with _connected(addresses) as triton:
        config = triton.get_model_config("simple").config
        assert config.name == "simple" and config.max_batch_size > 0
        assert config.input[0].data_type == 8 and list(config.input[0].dims) == [16]


def call_statistics(addresses):
    with _connected(addresses) as triton:
        before = triton.get_inference_statistics("simple").model_stats[0].inference_count
        triton.infer("simple", _inputs(FIRST, SECOND))
        after = triton.get_inference_statistics().model_stats[0]
        assert after.inference_count == before + 1
        assert after.inference_stats.success.count > 0


def call_repository_index(addresses):
    with _connected(addresses) as triton:
        (found,) = triton.get_model_repository_index().models
        assert (found.name, found.version, found.state) == ("simple", "1", "READY")


def call_loading_is_refused(addresses):
    with _connected(addresses) as triton:
        _refused("failed to load", "PERMISSION_DENIED", triton.load_model, "simple")
        _refused("failed to unload", "PERMISSION_DENIED", triton.unload_model, "simple")
        assert triton.is_model_ready("simple")


def call_infer(addresses):
    with _connected(addresses) as triton:
        outputs = [client.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        result = triton.infer("simple", _inputs(FIRST, SECOND), outputs=outputs, request_id="7", client_timeout=60)
        _check(result)
        assert result.get_response().id == "7"
        _check(triton.infer("simple", _inputs(FIRST, SECOND), model_version="1"))


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
        _check(triton.infer("simple_int8", _inputs(first, second, datatype="INT8")), first, second)


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
        result = triton.infer("simple_string", _inputs(first, second, datatype="BYTES"))
        assert [int(text) for text in result.as_numpy("OUTPUT0")[0]] == (FIRST + SECOND)[0].tolist()
        assert [int(text) for text in result.as_numpy("OUTPUT1")[0]] == (FIRST - SECOND)[0].tolist()


def call_infer_explicit_int_contents(addresses):
    answer = _explicit(addresses, "simple", "INT32", "int_contents", FIRST[0], SECOND[0])
    assert list(answer.outputs[0].contents.int_contents) == (FIRST + SECOND)[0].tolist()
    assert answer.id == "4"


def call_infer_explicit_int8_contents(addresses):
    answer = _explicit(addresses, "simple_int8", "INT8", "int_contents", FIRST[0], SECOND[0])
    assert list(answer.outputs[1].contents.int_contents) == (FIRST - SECOND)[0].tolist()


def call_infer_explicit_byte_contents(addresses):
    texts = ([str(value).encode() for value in row] for row in (FIRST[0], SECOND[0]))
    answer = _explicit(addresses, "simple_string", "BYTES", "bytes_contents", *texts)
    assert [int(text) for text in answer.outputs[0].contents.bytes_contents] == (FIRST + SECOND)[0].tolist()


def call_infer_asynchronously(addresses):
    answered = queue.Queue()
    with _connected(addresses) as triton:
        inputs = _inputs(FIRST, SECOND)
        for _ in range(40):
            triton.async_infer("simple", inputs, lambda result, error: answered.put((result, error)))
        for _ in range(40):
            result, error = answered.get(timeout=60)
            assert error is None, error
            _check(result)


def call_reuse_request_objects(addresses):
    inputs, outputs = _inputs(FIRST, SECOND), [client.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    with _connected(addresses) as triton:
        _check(triton.infer("simple", inputs, outputs=outputs))
        for one, array in zip(inputs, (SECOND, FIRST), strict=True):
            one.set_data_from_numpy(array)
        _check(triton.infer("simple", inputs, outputs=outputs), SECOND, FIRST)


def call_keep_alive_and_channel_arguments(addresses):
    options = client.KeepAliveOptions(
        keepalive_time_ms=10_000, keepalive_timeout_ms=1000, http2_max_pings_without_data=2
    )
    with _connected(addresses, keepalive_options=options) as triton:
        _check(triton.infer("simple", _inputs(FIRST, SECOND)))
    with _connected(addresses, channel_args=[("grpc.primary_user_agent", "test")]) as triton:
        _check(triton.infer("simple", _inputs(FIRST, SECOND)))


def call_compressed_requests(addresses):
    first, second = np.repeat(FIRST, 500, axis=0), np.repeat(SECOND, 500, axis=0)
    with _connected(addresses) as triton:
        for algorithm in ("gzip", "deflate"):
            _check(triton.infer("simple", _inputs(first, second), compression_algorithm=algorithm), first, second)


def call_wrong_requests_are_explained(addresses):
    wide = np.zeros((1, 15), dtype=np.int32)
    with _connected(addresses) as triton:
        _refused("inputs[0].shape", "INVALID_ARGUMENT", triton.infer, "simple", _inputs(wide, wide))
        _refused("missing", "INVALID_ARGUMENT", triton.infer, "simple", _inputs(FIRST))


if __name__ == "__main__":
    run(sys.modules["__main__"])
