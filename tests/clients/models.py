"""Small ONNX models with the names and tensors that the clients' own examples ask for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

_PAIR = (("INPUT0", "INPUT1"), ("OUTPUT0", "OUTPUT1"))
_ROWS: list[str | int | None] = ["N", 16]


def write(folder: Path) -> dict[str, Path]:
    """The models' files by name."""
    made = {
        "simple": _sums(TensorProto.INT32),
        "simple_int8": _sums(TensorProto.INT8),
        "simple_string": _sums(TensorProto.STRING),
        "simple_identity": _identity(TensorProto.STRING, "INPUT0", "OUTPUT0"),
        "half": _identity(TensorProto.FLOAT16, "INPUT0", "OUTPUT0"),
        "iris": _iris(),
    }
    paths = {}
    for name, model in made.items():
        paths[name] = folder / f"{name}.onnx"
        paths[name].write_bytes(model.SerializeToString())
    return paths


def _sums(kind: int) -> Any:
    """Sum and difference of two rows of numbers, which may be written as strings."""
    names, given = _PAIR
    number = TensorProto.INT32
    nodes = [helper.make_node("Cast", [name], [f"{name}_N"], to=number) for name in names]
    nodes += [
        helper.make_node("Add", ["INPUT0_N", "INPUT1_N"], ["SUM"]),
        helper.make_node("Sub", ["INPUT0_N", "INPUT1_N"], ["DIFFERENCE"]),
        helper.make_node("Cast", ["SUM"], ["OUTPUT0"], to=kind),
        helper.make_node("Cast", ["DIFFERENCE"], ["OUTPUT1"], to=kind),
    ]
    return _model(nodes, names, given, kind)


def _identity(kind: int, taken: str, given: str) -> Any:
    return _model([helper.make_node("Identity", [taken], [given])], (taken,), (given,), kind)


def _model(nodes: list[Any], taken: Sequence[str], given: Sequence[str], kind: int) -> Any:
    inputs, outputs = ([helper.make_tensor_value_info(name, kind, _ROWS) for name in names] for names in (taken, given))
    graph = helper.make_graph(nodes, "model", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def _iris() -> Any:
    features, labels = load_iris(return_X_y=True)
    classifier = LogisticRegression(max_iter=1000).fit(features, labels)
    return to_onnx(classifier, features[:1].astype(np.float32), options={"zipmap": False})
