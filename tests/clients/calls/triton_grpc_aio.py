"""tritonclient.grpc.aio: Triton's asyncio client over gRPC."""

import asyncio
import sys

import numpy as np
import tritonclient.grpc.aio as client
from runner import run

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), 3, dtype=np.int32)


def _inputs():
    inputs = [client.InferInput(f"INPUT{index}", [1, 16], "INT32") for index in range(2)]
    for one, array in zip(inputs, (FIRST, SECOND), strict=True):
        one.set_data_from_numpy(array)
    return inputs


async def call_health_and_metadata(addresses):
    async with client.InferenceServerClient(addresses["simple/grpc"]) as triton:
        assert await triton.is_server_live() and await triton.is_server_ready()
        assert await triton.is_model_ready("simple")
        assert (await triton.get_model_metadata("simple")).name == "simple"
        assert (await triton.get_model_config("simple")).config.name == "simple"


async def call_many_requests_at_once(addresses):
    async with client.InferenceServerClient(addresses["simple/grpc"]) as triton:
        for result in await asyncio.gather(*(triton.infer("simple", _inputs()) for _ in range(100))):
            assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()


if __name__ == "__main__":
    run(sys.modules["__main__"])
