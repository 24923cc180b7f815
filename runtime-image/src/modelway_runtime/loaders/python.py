"""Models in Python: a file `model.py` with a class `Model`, which reads its own files and answers tensors itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelway_runtime import logs
from modelway_runtime.loaders import declared
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

_ANYTHING = (TensorSpec(name="input", datatype="FP64", shape=(), is_open=True, is_any_shape=True),)
_ONE_ANSWER = (TensorSpec(name="prediction", datatype="FP64", shape=(DYNAMIC,)),)


def load(artifact: Artifact) -> "PythonModel":
    """Imports the file with its folder on the path, makes a `Model` and lets it load from the folder."""
    with declared.running(artifact.file):
        made = declared.model_class(artifact.file)()
        if hasattr(made, "load"):
            made.load(artifact.root)
    if not callable(getattr(made, "predict", None)):
        raise Failure(Reason.FORMAT_MISMATCH, f"The class Model of {artifact.file.name} has no method predict")
    return PythonModel(made, artifact.file)


class PythonModel:
    """A user's object. What it declares in `inputs` and `outputs` is checked, the rest taken as it comes."""

    platform = "python"

    def __init__(self, made: Any, file: Path) -> None:
        self._made = made
        self._root = file.parent
        self.inputs = declared.tensors(made, "inputs", file.name) or _ANYTHING
        outputs = declared.tensors(made, "outputs", file.name)
        self.outputs = outputs or _ONE_ANSWER
        self._datatypes = {spec.name: DTYPES[spec.datatype] for spec in outputs}
        # Only who declares rows has said that they do not touch each other.
        self.is_batchable = bool(outputs) and all(spec.shape[:1] == (DYNAMIC,) for spec in self.inputs + self.outputs)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """What the user's code answers, as arrays of the declared datatypes; its line is logged where it fails."""
        try:
            answer = self._made.predict(dict(inputs))
        except InputRejected:
            raise
        except Exception as error:
            fields = {"at": declared.place(error, self._root), "error": f"{type(error).__name__}: {error}"}
            logs.LOGGER.warning("Code of the model failed", extra={"fields": fields})
            raise
        found = answer if isinstance(answer, Mapping) else {self._only(answer): answer}
        missing = [spec.name for spec in self.outputs if spec.name not in found]
        if missing:
            raise TypeError(f"predict gave {', '.join(map(repr, found))}, but not {', '.join(map(repr, missing))}")
        return {spec.name: self._array(spec.name, found[spec.name]) for spec in self.outputs}

    def _only(self, answer: object) -> str:
        if len(self.outputs) > 1:
            raise TypeError(f"predict gave a {type(answer).__name__}; with several outputs it must be a dict of them")
        return self.outputs[0].name

    def _array(self, name: str, value: object) -> Array:
        """As an array with its own memory order; numbers only become other numbers, never text."""
        array = np.asarray(value)
        wanted = np.dtype(self._datatypes.get(name, array.dtype))
        if wanted in (array.dtype, np.object_):
            return np.ascontiguousarray(array)
        return np.ascontiguousarray(array.astype(wanted, casting="same_kind"))
