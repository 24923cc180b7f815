"""mlserver: the command line of MLServer, which sends a file of requests."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse
from runner import run

REQUEST = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}


def call_infer_a_file_of_requests(addresses):
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.json"), Path(folder, "out.json")
        asked.write_text("\n".join([json.dumps(REQUEST)] * 5) + "\n")
        program = Path(sys.executable).with_name("mlserver")
        options = ["-u", addresses["iris"], "-m", "iris", "-i", asked, "-o", answered, "--transport", "rest", "-w", "1"]
        done = subprocess.run([program, "infer", *options], capture_output=True, text=True, timeout=120, check=False)
        lines = answered.read_text().splitlines() if answered.exists() else []
        assert len(lines) == 5, done.stdout + done.stderr
        for line in lines:
            response = InferenceResponse.model_validate_json(line)
            # It writes the label of one row as a tensor of one row and one column.
            assert NumpyCodec.decode_output(response.outputs[0]).ravel().tolist() == [0], line


def call_types_and_codecs(addresses):
    url = f"http://{addresses['iris']}/v2"
    with urllib.request.urlopen(url) as answer:
        MetadataServerResponse.model_validate_json(answer.read())
    with urllib.request.urlopen(f"{url}/models/iris") as answer:
        MetadataModelResponse.model_validate_json(answer.read())
    tensor = NumpyCodec.encode_input("X", np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32))
    body = InferenceRequest(inputs=[tensor]).model_dump_json().encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/models/iris/infer", body)) as answer:
        response = InferenceResponse.model_validate_json(answer.read())
    assert NumpyCodec.decode_output(response.outputs[0]).tolist() == [0]


if __name__ == "__main__":
    run(sys.modules["__main__"])
