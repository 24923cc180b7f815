"""The models that all servers serve, as ONNX files in one folder; made once, always the same."""

import itertools
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from benchmarks.runtime.names import IRIS, MLP, SLOW
from benchmarks.runtime.servers import cache

WIDTHS = {IRIS: 4, MLP: 256, SLOW: 8}
SLOW_SECONDS = 0.2
"""What one call of the slow model computes on a core, whatever its rows."""
_OPSET = 17


def folder() -> Path:
    """The folder with a `NAME/model.onnx` for each."""
    place = cache() / "models"
    for name, make in {IRIS: _iris, MLP: _mlp, SLOW: _slow}.items():
        path = place / name / "model.onnx"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make().SerializeToString())
    return place


def row(name: str) -> list[float]:
    """A request's only row."""
    if name == IRIS:
        return [5.1, 3.5, 1.4, 0.2]
    return [round(float(value), 4) for value in np.random.default_rng(1).normal(size=WIDTHS[name])]


def session(name: str) -> onnxruntime.InferenceSession:
    """With one thread, as every server opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(folder() / name / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


def _iris() -> ModelProto:
    """Logistic regression, without the map of probabilities."""
    features, labels = load_iris(return_X_y=True)
    estimator = LogisticRegression(max_iter=1000).fit(features, labels)
    converted: ModelProto = to_onnx(estimator, features[:1].astype(np.float32), options={"zipmap": False})
    return converted


def _mlp() -> ModelProto:
    """256-1024-1024-10 with random weights."""
    draw = np.random.default_rng(0)
    nodes, weights, value = [], [], "X"
    sizes = (WIDTHS[MLP], 1024, 1024, 10)
    for number, (inner, outer) in enumerate(itertools.pairwise(sizes)):
        matrix = (draw.normal(size=(inner, outer)) / np.sqrt(inner)).astype(np.float32)
        weights += [
            numpy_helper.from_array(matrix, f"W{number}"),
            numpy_helper.from_array(np.zeros(outer, np.float32), f"b{number}"),
        ]
        nodes.append(helper.make_node("Gemm", [value, f"W{number}", f"b{number}"], [f"G{number}"]))
        value = f"R{number}" if outer != sizes[-1] else "scores"
        nodes.append(helper.make_node("Relu" if outer != sizes[-1] else "Softmax", [f"G{number}"], [value]))
    return _model(nodes, weights, MLP, "scores", sizes[-1])


def _slow() -> ModelProto:
    """Multiplies matrices until the time is over, and adds nothing of it to the row."""
    count = 1
    while True:
        model = _products(count)
        seconds = _seconds(model)
        if seconds >= SLOW_SECONDS * 0.95:
            return model
        count = max(count + 1, round(count * min(SLOW_SECONDS / seconds, 50)))


def _products(count: int) -> ModelProto:
    """So many products of matrices; all depend on the input, or they would be computed when the file is opened."""
    size = 512
    draw = np.random.default_rng(0)
    matrix = (draw.normal(size=(size, size)) / np.sqrt(size)).astype(np.float32)
    weights = [numpy_helper.from_array(matrix, "W"), numpy_helper.from_array(np.array(0, np.float32), "zero")]
    nodes = [
        helper.make_node("ReduceMean", ["X"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["W", "nothing"], ["P0"]),
        *(helper.make_node("MatMul", [f"P{n}", "W"], [f"P{n + 1}"]) for n in range(count)),
        helper.make_node("ReduceMean", [f"P{count}"], ["average"], keepdims=0),
        helper.make_node("Mul", ["average", "zero"], ["still"]),
        helper.make_node("Add", ["X", "still"], ["Y"]),
    ]
    return _model(nodes, weights, SLOW, "Y", WIDTHS[SLOW])


def _seconds(model: ModelProto) -> float:
    """The best of three calls on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    opened = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        opened.run(None, {"X": np.zeros((1, WIDTHS[SLOW]), np.float32)})
        taken.append(time.perf_counter() - began)
    return min(taken)


def _model(nodes: list[NodeProto], weights: list[TensorProto], name: str, output: str, width: int) -> ModelProto:
    rows = "rows"
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [rows, WIDTHS[name]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [rows, width])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
