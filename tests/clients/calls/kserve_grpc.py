"""kserve over gRPC: the inference client of KServe's SDK."""

import sys

import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from runner import run

ROW = np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32)


async def call_health(addresses):
    async with InferenceGRPCClient(addresses["iris/grpc"]) as client:
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("iris")


async def call_infer_raw_and_in_the_message(addresses):
    async with InferenceGRPCClient(addresses["iris/grpc"]) as client:
        for binary in (True, False):
            tensor = InferInput("X", [1, 4], "FP32")
            tensor.set_data_from_numpy(ROW, binary_data=binary)
            response = await client.infer(InferRequest("iris", [tensor], request_id="9"))
            assert response.id == "9"
            found = {one.name: one.as_numpy() for one in response.outputs}
            assert found["label"].tolist() == [0] and found["probabilities"].shape == (1, 3)


if __name__ == "__main__":
    run(sys.modules["__main__"])
