"""Triton: its Python backend, with the same session; the file is laid into a folder for each model."""

from pathlib import Path

import numpy as np
import triton_python_backend_utils as backend
from sessions import Session


class TritonPythonModel:
    """One session; requests that were batched run together."""

    def initialize(self, args) -> None:
        """In the backend's process."""
        self._session = Session(Path(__file__).with_name("model.onnx"))

    def execute(self, requests):
        """One answer for each request, from one call for all of them."""
        arrays = [backend.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        outputs = self._session.run(np.concatenate(arrays) if len(arrays) > 1 else arrays[0])
        answers, start = [], 0
        for array in arrays:
            end = start + len(array)
            tensors = [backend.Tensor(name, values[start:end]) for name, values in outputs.items()]
            answers.append(backend.InferenceResponse(tensors))
            start = end
        return answers
