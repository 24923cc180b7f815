"""What a conversion is made from, and the model that came of it."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelway_runtime.conversion import comparison
from modelway_runtime.loaders import loader
from modelway_runtime.protocol.tensors import Array, Arrays, Model
from modelway_runtime.reasons import Failure

EXTRA = "modelway-runtime[onnx]"
"""What brings the libraries that convert; the image has them."""
PRECISIONS = ("FP64", "FP32")
"""What a graph may compute in, in the order in which it is tried: estimators compute in the first themselves."""


class Impossible(Exception):
    """There is no such form of this model; the message says why."""


def inner(model: Model) -> Model:
    """The model that computes, where another one only names its tensors."""
    found: Model = getattr(model, "inner", model)
    return found


def source(model: Model) -> Any:
    """The library's own object; raises Impossible where the format has none that can be converted."""
    found = getattr(inner(model), "source", None)
    if found is None:
        raise Impossible(f"a model of {inner(model).platform} is no estimator of scikit-learn, XGBoost or LightGBM")
    return found


def file(model: Model) -> Path | None:
    """The file of a model that is ONNX already."""
    found: Path | None = getattr(inner(model), "file", None)
    return found


def graph(model: Model, precision: str) -> bytes:
    """The model in ONNX; raises Impossible."""
    object_to_convert, converted = source(model), inner(model)
    graphs = imported("modelway_runtime.conversion.graphs")
    try:
        made: bytes = graphs.graph(object_to_convert, converted.inputs, converted.outputs, precision)
    except graphs.Unconvertible as error:
        raise Impossible(str(error)) from error
    return made


def quantized(content: bytes) -> bytes:
    """A graph with weights of eight bits; raises Impossible."""
    quantization = imported("modelway_runtime.conversion.quantization")
    try:
        made: bytes = quantization.quantized(content)
    except quantization.Unquantizable as error:
        raise Impossible(str(error)) from error
    return made


def check_continuous(model: Model) -> None:
    """Raises Impossible for what single rows of data decide: made-up ones do not meet those that are equally near."""
    estimator = getattr(inner(model), "source", None)
    if any(hasattr(part, "kneighbors") for part in parts(estimator)):
        raise Impossible("of neighbours that are equally near ONNX takes others")


def parts(estimator: object) -> Iterator[object]:
    """An estimator and the steps of its pipelines."""
    yield estimator
    for _, step in getattr(estimator, "steps", ()):
        yield from parts(step)


def imported(module: str) -> Any:
    """A module that needs libraries which are not everywhere."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Impossible(f"the module {error.name} is missing; install {EXTRA}") from error


def session(content: bytes, threads: int) -> Model:
    """An ONNX model that was made here; raises Impossible where it cannot be loaded."""
    loader.keep_quiet()
    onnx = importlib.import_module("modelway_runtime.loaders.onnx")
    try:
        found: Model = onnx.opened(content, "the converted model", threads)
    except Failure as failure:
        raise Impossible(failure.message) from failure
    return found


def answers(model: Model, tables: Mapping[str, Array], size: int) -> Arrays:
    """The answers to rows, of which so many are asked at a time."""
    found = [model.predict(part) for part in comparison.parts(tables, size)]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
