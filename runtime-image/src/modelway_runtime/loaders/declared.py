"""What a model's own Python code says of itself: the module it comes from, and the tensors that it declares."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelway_runtime.loaders import wrong
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import TensorSpec
from modelway_runtime.reasons import Failure, Reason

_MODULE = "model"


def model_class(file: Path) -> Any:
    """The class `Model` of a file, whose neighbours can be imported meanwhile."""
    found = importlib.util.spec_from_file_location(_MODULE, file)
    assert found is not None  # it ends with .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    # So that what it pickled finds its classes again.
    sys.modules[_MODULE] = module
    found.loader.exec_module(module)
    if not isinstance(getattr(module, "Model", None), type):
        raise Failure(Reason.FORMAT_MISMATCH, f"{file.name} has no class Model")
    return module.Model


@contextmanager
def running(file: Path) -> Iterator[None]:
    """Code of the model runs, with its folder on the path; whatever it raises becomes a failure with its line."""
    folder = str(file.parent)
    sys.path.insert(0, folder)
    try:
        yield
    except Failure:
        raise
    except ModuleNotFoundError as error:
        raise wrong.broken(file.name, error) from error
    except BaseException as error:  # it is anybody's code, and may call exit()
        where = place(error, file.parent) or file.name
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)


def tensors(made: object, attribute: str, file: str) -> tuple[TensorSpec, ...]:
    """Tensors as the protocol's metadata describes them: name, datatype, shape. None where they are not declared."""
    try:
        return tuple(_specs(getattr(made, attribute, None) or ()))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        message = f"its {attribute} are not declared well: {type(error).__name__}: {error}"
        raise wrong.broken(file, message) from error


def _specs(found: Iterable[Mapping[str, Any]]) -> Iterator[TensorSpec]:
    for tensor in found:
        if tensor["datatype"] not in DTYPES:
            raise ValueError(f"datatype {tensor['datatype']!r} is not one of {', '.join(DTYPES)}")
        shape = tuple(int(size) for size in tensor["shape"])
        yield TensorSpec(name=str(tensor["name"]), datatype=tensor["datatype"], shape=shape)


def place(error: BaseException, root: Path) -> str:
    """The last line of the model's own code on the way to an error: `model.py:12 in predict`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
