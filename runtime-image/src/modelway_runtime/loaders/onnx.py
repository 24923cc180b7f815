"""ONNX models through onnxruntime."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_PROBABILITY_MAPS = {"seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))"}
_NAMES_OF_CLASSIFIERS = {"output_label": "label", "output_probability": "probabilities"}
# The first bytes of a serialized model: tags of the fields that its format has at the top.
_FIRST_BYTES = {0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72, 0xA2, 0xCA}
_ERRORS_ONLY = 3


def load(artifact: Artifact) -> "OnnxModel":
    """Opens the file; a file that is no ONNX and one that is broken have different reasons."""
    _check_is_onnx(artifact)
    model = opened(str(artifact.file), artifact.file.name, artifact.threads)
    model.file = artifact.file
    return model


def opened(source: str | bytes, name: str, threads: int) -> "OnnxModel":
    """A model from the path of its file, or from the file's bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A converted model may declare shapes that its batches break; that is one warning for each call.
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads that spin would eat the CPU quota of the pod.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(source, sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors have no class of their own in common
        cause = " ".join(str(error).split())
        if isinstance(source, str):
            cause = cause.replace(source, name)
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{name} cannot be loaded: {cause}") from error
    return OnnxModel(session)


class OnnxModel:
    """A session, and the file that it is of.

    The outputs `output_label` and `output_probability` of skl2onnx are answered like scikit-learn's.
    """

    platform = "onnx_onnxv1"
    is_concurrent = True

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.file: Path | None = None
        self._run = session.run
        self.inputs = tuple(_spec(node.name, node) for node in session.get_inputs())
        nodes = session.get_outputs()
        self._output_names = [node.name for node in nodes]
        has_maps = any(node.type in _PROBABILITY_MAPS for node in nodes)
        names = _NAMES_OF_CLASSIFIERS if has_maps else {}
        self.outputs = tuple(_spec(names.get(node.name, node.name), node) for node in nodes)
        self._maps = tuple(index for index, node in enumerate(nodes) if node.type in _PROBABILITY_MAPS)
        self._names = tuple(spec.name for spec in self.outputs)
        self.is_batchable = all(spec.shape[:1] == (DYNAMIC,) for spec in self.inputs + self.outputs)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One call of the session; it releases the interpreter's lock."""
        try:
            results = self._run(self._output_names, inputs)
        except InvalidArgument as error:
            raise InputRejected(" ".join(str(error).split())) from error
        for index in self._maps:
            results[index] = np.array([list(row.values()) for row in results[index]], dtype=np.float32)
        return dict(zip(self._names, results, strict=True))


def _spec(name: str, node: onnxruntime.NodeArg) -> TensorSpec:
    if node.type in _PROBABILITY_MAPS:
        return TensorSpec(name=name, datatype="FP32", shape=(DYNAMIC, DYNAMIC))
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{node.name} has the type {node.type}, which the protocol lacks")
    shape = tuple(size if isinstance(size, int) and size > 0 else DYNAMIC for size in node.shape)
    # No sizes stand for a scalar and for a shape that the model leaves open.
    return TensorSpec(name=name, datatype=datatype, shape=shape, is_any_shape=not shape)


def _check_is_onnx(artifact: Artifact) -> None:
    with artifact.file.open("rb") as stream:
        first = stream.read(1)
    if not first:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{artifact.file.name} is empty")
    if first[0] not in _FIRST_BYTES:
        raise Failure(Reason.FORMAT_MISMATCH, f"{artifact.file.name} is not an ONNX file")
