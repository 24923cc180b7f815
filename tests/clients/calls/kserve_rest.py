"""kserve: the inference client of KServe's SDK over REST, in both of its protocols."""

import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from runner import run

ROW = np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32)


def _connected(protocol):
    return InferenceRESTClient(RESTConfig(protocol=protocol))


def _url(addresses):
    return f"http://{addresses['iris']}"


def _request(*, binary, outputs=None, parameters=None):
    tensor = InferInput("X", [1, 4], "FP32")
    tensor.set_data_from_numpy(ROW, binary_data=binary)
    return InferRequest("iris", [tensor], request_id="9", request_outputs=outputs, parameters=parameters)


def _output(response, name):
    found = next(one for one in response.outputs if one.name == name)
    assert isinstance(found, InferOutput)
    return found.as_numpy()


async def call_health_in_v2(addresses):
    client = _connected("v2")
    assert await client.is_server_live(_url(addresses)) and await client.is_server_ready(_url(addresses))
    assert await client.is_model_ready(_url(addresses), "iris")
    assert not await client.is_model_ready(_url(addresses), "other")


async def call_infer_in_json_in_v2(addresses):
    response = await _connected("v2").infer(_url(addresses), _request(binary=False), model_name="iris")
    assert response.id == "9" and _output(response, "label").tolist() == [0]
    assert _output(response, "probabilities").shape == (1, 3)


async def call_infer_in_binary_in_v2(addresses):
    requested = [RequestedOutput("probabilities", parameters={"binary_data": True})]
    for outputs, parameters in ((requested, None), (None, {"binary_data_output": True})):
        request = _request(binary=True, outputs=outputs, parameters=parameters)
        response = await _connected("v2").infer(_url(addresses), request, model_name="iris")
        assert _output(response, "probabilities").shape == (1, 3)
        assert np.isclose(_output(response, "probabilities").sum(), 1, atol=1e-3)


async def call_health_in_v1(addresses):
    client = _connected("v1")
    assert await client.is_server_live(_url(addresses))
    assert await client.is_model_ready(_url(addresses), "iris")


async def call_predict_in_v1(addresses):
    body = {"instances": ROW.tolist()}
    answer = await _connected("v1").infer(_url(addresses), body, model_name="iris")
    assert answer["predictions"][0]["label"] == 0


if __name__ == "__main__":
    run(sys.modules["__main__"])
