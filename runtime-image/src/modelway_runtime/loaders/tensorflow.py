"""TensorFlow: SavedModels by their serving signature, and Keras models as they are."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from modelway_runtime.loaders import wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

# Read when it is imported: no lines of what the processor can do, no search for GPUs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

_Call: TypeAlias = Callable[[dict[str, Any]], Any]
_SIGNATURE = "serving_default"
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_FIRST_BYTES = {".keras": b"PK", ".h5": b"\x89HDF"}


def load(artifact: Artifact) -> "TensorflowModel":
    """Opens the SavedModel around the file, or the Keras file."""
    _set_threads(artifact.threads)
    name = artifact.file.name
    _check(artifact)
    try:
        return _keras(artifact) if artifact.file.suffix in _FIRST_BYTES else _saved(artifact)
    except Failure:
        raise
    except Exception as error:  # a file can break the library anywhere
        raise wrong.broken(name, str(error).replace(str(artifact.root), "")) from error


class TensorflowModel:
    """A function of tensors by name."""

    platform = "tensorflow_savedmodel"
    is_concurrent = True

    def __init__(self, call: _Call, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
        self._call = call
        self.inputs, self.outputs = inputs, outputs
        self.is_batchable = all(spec.shape[:1] == (DYNAMIC,) for spec in inputs + outputs)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One call of the function; it releases the interpreter's lock."""
        try:
            found = self._call({name: tf.convert_to_tensor(array) for name, array in inputs.items()})
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            raise InputRejected(" ".join(error.message.split())[:300]) from error
        return {spec.name: np.asarray(found[spec.name]) for spec in self.outputs}


def _set_threads(threads: int) -> None:
    """Once in a process, before anything runs."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return


def _saved(artifact: Artifact) -> TensorflowModel:
    loaded = tf.saved_model.load(str(artifact.file.parent))
    function = loaded.signatures.get(_SIGNATURE) if hasattr(loaded, "signatures") else None
    if function is None:
        known = ", ".join(getattr(loaded, "signatures", {})) or "none"
        message = f"{artifact.file.name} has no signature {_SIGNATURE}; it has {known}"
        raise Failure(Reason.MODEL_LOAD_FAILED, message)
    inputs = tuple(_spec(name, spec) for name, spec in sorted(function.structured_input_signature[1].items()))
    outputs = tuple(_spec(name, spec) for name, spec in sorted(function.structured_outputs.items()))

    def call(tensors: dict[str, Any]) -> Any:
        # The function holds its variables only as long as what was loaded is held.
        assert loaded is not None
        return function(**tensors)

    return TensorflowModel(call, inputs, outputs)


def _keras(artifact: Artifact) -> TensorflowModel:
    """Only a trusted file gets here, so its Lambda layers may run."""
    model = keras.saving.load_model(artifact.file, compile=False, safe_mode=False)
    inputs = tuple(_spec(tensor.name, tensor) for tensor in model.inputs)
    names = tuple(model.output_names) if isinstance(model.output, list | dict) else ("prediction",)
    outputs = tuple(_spec(name, tensor) for name, tensor in zip(names, model.outputs, strict=True))
    function = tf.function(lambda tensors: model([tensors[spec.name] for spec in inputs], training=False))

    def call(tensors: dict[str, Any]) -> dict[str, Any]:
        found = function(tensors)
        if isinstance(found, dict):
            return found
        return dict(zip(names, found if isinstance(found, list | tuple) else (found,), strict=True))

    return TensorflowModel(call, inputs, outputs)


def _spec(name: str, tensor: Any) -> TensorSpec:
    dtype = tf.as_dtype(tensor.dtype)
    datatype = "BYTES" if dtype == tf.string else _NAMES.get(np.dtype(dtype.as_numpy_dtype))
    if datatype is None:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{name} has the type {dtype.name}, which the protocol lacks")
    shape = tf.TensorShape(tensor.shape)
    if shape.rank is None:
        return TensorSpec(name=name, datatype=datatype, shape=(), is_any_shape=True)
    return TensorSpec(name=name, datatype=datatype, shape=tuple(DYNAMIC if size is None else size for size in shape))


def _check(artifact: Artifact) -> None:
    name, suffix = artifact.file.name, artifact.file.suffix
    with artifact.file.open("rb") as stream:
        first = stream.read(4)
    if not first:
        raise wrong.empty(name)
    if not first.startswith(_FIRST_BYTES.get(suffix, b"\x08")):
        raise wrong.foreign(name, "a Keras model" if suffix in _FIRST_BYTES else "a SavedModel")
