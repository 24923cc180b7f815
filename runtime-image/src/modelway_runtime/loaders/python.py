"""Models in Python: a file `model.py` with a class `Model`, which reads its own files and answers tensors itself."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modelway_runtime import logs
from modelway_runtime.loaders import wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

_MODULE = "model"
_ANYTHING = (TensorSpec(name="input", datatype="FP64", shape=(), is_open=True, is_any_shape=True),)
_ONE_ANSWER = (TensorSpec(name="prediction", datatype="FP64", shape=(DYNAMIC,)),)


def load(artifact: Artifact) -> "PythonModel":
    """Imports the file with its folder on the path, makes a `Model` and lets it load from the folder."""
    name = artifact.file.name
    with _on_path(artifact.root):
        try:
            made = _imported(artifact).Model()
            if hasattr(made, "load"):
                made.load(artifact.root)
        except Failure:
            raise
        except BaseException as error:  # it is anybody's code, and may call exit()
            raise _failed(artifact, error) from error
    if not callable(getattr(made, "predict", None)):
        raise Failure(Reason.FORMAT_MISMATCH, f"The class Model of {name} has no method predict")
    try:
        return PythonModel(made, artifact.root)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        message = f"its inputs or outputs are not declared well: {type(error).__name__}: {error}"
        raise wrong.broken(name, message) from error


class PythonModel:
    """A user's object. What it declares in `inputs` and `outputs` is checked, the rest taken as it comes."""

    platform = "python"

    def __init__(self, made: Any, root: Path) -> None:
        self._made = made
        self._root = root
        self.inputs = _declared(getattr(made, "inputs", None)) or _ANYTHING
        outputs = _declared(getattr(made, "outputs", None))
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
            fields = {"at": _place(error, self._root), "error": f"{type(error).__name__}: {error}"}
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


def _imported(artifact: Artifact) -> Any:
    found = importlib.util.spec_from_file_location(_MODULE, artifact.file)
    assert found is not None  # it ends with .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    # So that what it pickled finds its classes again.
    sys.modules[_MODULE] = module
    found.loader.exec_module(module)
    if not isinstance(getattr(module, "Model", None), type):
        raise Failure(Reason.FORMAT_MISMATCH, f"{artifact.file.name} has no class Model")
    return module


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """While the file is imported, its neighbours can be, too."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _declared(tensors: Iterable[Mapping[str, Any]] | None) -> tuple[TensorSpec, ...]:
    """Tensors as the protocol's metadata describes them: name, datatype, shape."""
    found = []
    for tensor in tensors or ():
        if tensor["datatype"] not in DTYPES:
            raise ValueError(f"datatype {tensor['datatype']!r} is not one of {', '.join(DTYPES)}")
        shape = tuple(int(size) for size in tensor["shape"])
        found.append(TensorSpec(name=str(tensor["name"]), datatype=tensor["datatype"], shape=shape))
    return tuple(found)


def _failed(artifact: Artifact, error: BaseException) -> Failure:
    if isinstance(error, ModuleNotFoundError):
        return wrong.broken(artifact.file.name, error)
    place = _place(error, artifact.root)
    return Failure(Reason.MODEL_LOAD_FAILED, f"{place or artifact.file.name}: {type(error).__name__}: {error}")


def _place(error: BaseException, root: Path) -> str:
    """The last line of the model's own code on the way to an error: `model.py:12 in predict`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
