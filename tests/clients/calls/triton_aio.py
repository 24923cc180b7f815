"""tritonclient.http.aio: the same client for asyncio."""

import asyncio
import sys

import numpy as np
import tritonclient.http.aio as client
from runner import run
from tritonclient.utils import InferenceServerException

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), 3, dtype=np.int32)


def _inputs(*, binary=True):
    inputs = [client.InferInput(f"INPUT{index}", [1, 16], "INT32") for index in range(2)]
    for one, array in zip(inputs, (FIRST, SECOND), strict=True):
        one.set_data_from_numpy(array, binary_data=binary)
    return inputs


def _check(result):
    assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()
    assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()


async def call_health_of_server_and_model(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        assert await triton.is_server_live() and await triton.is_server_ready()
        assert await triton.is_model_ready("simple") and await triton.is_model_ready("simple", "1")


async def call_metadata_configuration_and_statistics(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        assert (await triton.get_model_metadata("simple"))["name"] == "simple"
        assert (await triton.get_model_config("simple"))["name"] == "simple"
        assert len((await triton.get_inference_statistics("simple"))["model_stats"]) == 1
        assert [one["name"] for one in await triton.get_model_repository_index()] == ["simple"]


async def call_infer_in_binary_and_json(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        for binary in (True, False):
            outputs = [client.InferRequestedOutput(name, binary_data=binary) for name in ("OUTPUT0", "OUTPUT1")]
            _check(await triton.infer("simple", _inputs(binary=binary), outputs=outputs))


async def call_many_requests_at_once(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        for result in await asyncio.gather(*(triton.infer("simple", _inputs()) for _ in range(50))):
            _check(result)


async def call_compressed_requests_and_answers(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        for algorithm in ("gzip", "deflate"):
            ways = {f"{way}_compression_algorithm": algorithm for way in ("request", "response")}
            _check(await triton.infer("simple", _inputs(), **ways))


async def call_wrong_requests_are_explained(addresses):
    async with client.InferenceServerClient(addresses["simple"]) as triton:
        try:
            await triton.infer("other", _inputs())
        except InferenceServerException as error:
            assert error.message().startswith("Request for unknown model")
        else:
            raise AssertionError("nothing was refused")


if __name__ == "__main__":
    run(sys.modules["__main__"])
