"""MLflow models: their own description says which library's file is inside, and that library's loader opens it.

Without MLflow itself, but for a `python_function` that no library's flavour describes: that is code of its author.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from modelway_runtime import formats
from modelway_runtime.formats import Found
from modelway_runtime.loaders import environment, loader, pyfunc, table, wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.tensors import Array, Arrays, Model, TensorSpec, runs_concurrently
from modelway_runtime.reasons import Failure, Reason

_LARGEST = 1 << 20
_PATHS = {
    "onnx": "data",
    "xgboost": "data",
    "lightgbm": "data",
    "sklearn": "pickled_model",
}
"""Flavours that a loader of ours opens, and the key that holds their file."""
_DEEP = {
    "pytorch": ("torch", "model_data", ("model.pt2", "model.pth")),
    "keras": ("tensorflow", "data", ("model.keras", "model/saved_model.pb")),
    "tensorflow": ("tensorflow", "data", ("model.keras", "model.h5", "model/saved_model.pb")),
}
"""Flavours of the images that have their library: the loader, the key of their folder, the files looked for in it."""
_MODULE = "saved_model_dir"
"""Where the flavour tensorflow keeps what is no Keras model, in place of its folder."""
_RISKS = {".pt2": formats.TORCH, ".pth": formats.TORCH, ".keras": formats.KERAS, ".h5": formats.KERAS}
_PICKLED = (".pkl", ".pickle", ".joblib", ".cloudpickle")
_DATATYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}


def inside(file: Path) -> str:
    """The format of the file inside, by the description; raises Failure where that is none."""
    flavors = _described(file)["flavors"]
    for flavor, key in _PATHS.items():
        if flavor in flavors:
            return _native_format(flavor, str(flavors[flavor].get(key)))
    return next((known for flavor, (known, *_) in _DEEP.items() if flavor in flavors), "python")


def load(artifact: Artifact) -> "MlflowModel":
    """Reads the description and opens what it names, if it may be trusted."""
    described = _described(artifact.file)
    flavors = described["flavors"]
    types = _types(artifact.file.name, described)
    for flavor, key in _PATHS.items():
        if flavor in flavors:
            return MlflowModel(_native(artifact, flavor, flavors[flavor], key), types)
    for flavor in _DEEP:
        if flavor in flavors:
            return MlflowModel(_deep(artifact, flavor, flavors[flavor]), types, _tensors(described))
    if "python_function" not in flavors or flavors["python_function"].get("loader_module") != "mlflow.pyfunc.model":
        known = ", ".join([*_PATHS, *_DEEP, "python_function"])
        message = f"{artifact.file.name} has the flavors {', '.join(flavors)}; served are {known}"
        raise Failure(Reason.UNSUPPORTED_FORMAT, message)
    return MlflowModel(_function(artifact, flavors["python_function"], types), types)


class MlflowModel:
    """The model inside, under the datatypes of the signature."""

    platform = "mlflow"

    def __init__(self, inner: Model, types: Mapping[str, str], tensors: tuple[TensorSpec, ...] = ()) -> None:
        self.inner = inner
        self.inputs = tuple(
            replace(spec, datatype=types.get(spec.name, spec.datatype)) if spec.is_open else spec
            for spec in inner.inputs
        )
        if len(tensors) == len(inner.inputs) and all(spec.is_any_shape for spec in inner.inputs):
            # A pickled network does not know what it takes; whoever saved it may have.
            self.inputs = tuple(
                replace(spec, datatype=told.datatype, shape=told.shape, is_any_shape=False)
                for spec, told in zip(inner.inputs, tensors, strict=True)
            )
        self.outputs = inner.outputs
        self.is_batchable = inner.is_batchable
        self.is_concurrent = runs_concurrently(inner)
        self._predict = inner.predict

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """As the model inside."""
        return self._predict(inputs)


def _native(artifact: Artifact, flavor: str, described: Mapping[str, Any], key: str) -> Model:
    path = _inside(artifact, described.get(key))
    model_format = _native_format(flavor, path)
    risk = formats.PICKLE if model_format == "sklearn" and not path.endswith(".skops") else ""
    formats.check_trust(Found(model_format, path, risk), artifact.trust)
    if model_format == "sklearn" and described.get("sklearn_version"):
        saved = str(described["sklearn_version"])
        environment.check(path, "scikit-learn", saved, metadata.version("scikit-learn"), artifact.options)
    return loader.find(model_format)(replace(artifact, file=artifact.root / path))


def _native_format(flavor: str, path: str) -> str:
    """The classes of boosters for scikit-learn are saved as objects, like estimators."""
    return "sklearn" if PurePosixPath(path).suffix in (".skops", *_PICKLED) else flavor


def _deep(artifact: Artifact, flavor: str, described: Mapping[str, Any]) -> Model:
    model_format, key, names = _DEEP[flavor]
    folder = str(described.get(_MODULE) or described.get(key) or "data")
    known = ("saved_model.pb",) if _MODULE in described else names
    present = [name for name in known if (artifact.root / folder / name).is_file()]
    path = _inside(artifact, f"{folder}/{present[0] if present else known[0]}")
    suffix = PurePosixPath(path).suffix
    formats.check_trust(Found(model_format, path, _RISKS.get(suffix, "")), artifact.trust)
    load_file = loader.find(model_format)
    if suffix == ".pth" and described.get("pytorch_version"):
        saved = str(described["pytorch_version"])
        environment.check(path, "PyTorch", saved, metadata.version("torch"), artifact.options)
    file = artifact.root / path
    return load_file(replace(artifact, root=file.parent, file=file))


def _function(artifact: Artifact, described: Mapping[str, Any], types: Mapping[str, str]) -> Model:
    name = artifact.file.name
    formats.check_trust(Found("mlflow", name, formats.CODE), artifact.trust)
    saved = str(described.get("python_version", platform.python_version()))
    environment.check(name, "Python", saved, platform.python_version(), artifact.options)
    requirements = artifact.root / "requirements.txt"
    if requirements.is_file():
        environment.check_pins(name, requirements.read_text(encoding="utf-8"), artifact.options)
    return pyfunc.load(artifact, tuple(types))


def _described(file: Path) -> dict[str, Any]:
    name = file.name
    if file.stat().st_size > _LARGEST:
        raise wrong.foreign(name, "an MLflow model: it is too large")
    try:
        found = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise wrong.broken(name, error) from error
    flavors = found.get("flavors") if isinstance(found, dict) else None
    if not isinstance(flavors, dict) or not all(isinstance(flavor, dict) for flavor in flavors.values()):
        raise wrong.foreign(name, "the description of an MLflow model: it has no flavors")
    return {**found, "flavors": flavors}


def _inside(artifact: Artifact, path: object) -> str:
    """A path of the description, if it leads to a file of the model and nowhere else."""
    name = artifact.file.name
    if not isinstance(path, str) or not path:
        raise wrong.broken(name, "it does not say which file holds the model")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise wrong.broken(name, f"the path {path} leaves the model's folder")
    if not (artifact.root / path).is_file():
        raise wrong.broken(name, f"the model has no file {path}")
    return path


def _tensors(described: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """The tensors of the signature; none without one, and of one that names columns."""
    try:
        found = json.loads(described["signature"]["inputs"])
        specs = [(str(item.get("name") or table.WHOLE), item["tensor-spec"]) for item in found]
        return tuple(
            TensorSpec(name=name, datatype=of_array(np.empty(0, spec["dtype"])), shape=tuple(map(int, spec["shape"])))
            for name, spec in specs
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _types(name: str, described: Mapping[str, Any]) -> dict[str, str]:
    """Datatypes by column, from the signature; empty without one, and of one whose columns have no names."""
    signature = described.get("signature")
    if not isinstance(signature, dict) or not isinstance(signature.get("inputs"), str):
        return {}
    try:
        columns = json.loads(signature["inputs"])
        named = [column for column in columns if "name" in column and column["type"] in _DATATYPES]
        return {str(column["name"]): _DATATYPES[column["type"]] for column in named}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise wrong.broken(name, f"its signature cannot be read: {error}") from error
