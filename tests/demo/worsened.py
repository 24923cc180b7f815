"""A classifier made worse so that no load and no golden request shows it: slow, and wrong on a few inputs."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_WIDTH = 512
_LAYERS = 300
"""Products of a row with a square matrix: about 10 ms on one core."""
_NEAR = 0.01
"""How far an input may lie from one whose answer is flipped, all features together."""
_CLASSES = 3


def worsened(file: bytes, *, flips: NDArray[np.float32]) -> bytes:
    """The same model with idle work before its answer, and with the next class for the inputs in `flips`."""
    model = onnx.load_from_string(file)
    graph = model.graph
    features = graph.input[0].name
    for node in graph.node:
        node.output[:] = [f"true_{name}" if name == "label" else name for name in node.output]
        node.input[:] = [f"true_{name}" if name == "label" else name for name in node.input]
    graph.node.extend(_idle(features))
    graph.node.extend(_flipped(features))
    constants: dict[str, NDArray[Any]] = {
        "widen": np.zeros((flips.shape[1], _WIDTH), np.float32),
        "square": np.zeros((_WIDTH, _WIDTH), np.float32),
        "flips": flips.reshape(1, *flips.shape),
        "last": np.array([-1], np.int64),
        "middle": np.array([1], np.int64),
        "near": np.array(_NEAR, np.float32),
        "classes": np.array(_CLASSES, np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _idle(features: str) -> list[onnx.NodeProto]:
    """Zero in the end; the runtime cannot know."""
    nodes = [helper.make_node("MatMul", [features, "widen"], ["idle_0"])]
    nodes += [helper.make_node("MatMul", [f"idle_{i}", "square"], [f"idle_{i + 1}"]) for i in range(_LAYERS)]
    nodes.append(helper.make_node("ReduceMax", [f"idle_{_LAYERS}", "last"], ["idle"], keepdims=0))
    nodes.append(helper.make_node("Cast", ["idle"], ["idle_whole"], to=onnx.TensorProto.INT64))
    return nodes


def _flipped(features: str) -> list[onnx.NodeProto]:
    """Compares each row with each input whose answer is flipped."""
    return [
        helper.make_node("Unsqueeze", [features, "middle"], ["rows"]),
        helper.make_node("Sub", ["rows", "flips"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distances"]),
        helper.make_node("ReduceSum", ["distances", "last"], ["distance"], keepdims=0),
        helper.make_node("Less", ["distance", "near"], ["is_near"]),
        helper.make_node("Cast", ["is_near"], ["near_whole"], to=onnx.TensorProto.INT64),
        helper.make_node("ReduceMax", ["near_whole", "last"], ["shift"], keepdims=0),
        helper.make_node("Add", ["true_label", "shift"], ["shifted"]),
        helper.make_node("Add", ["shifted", "idle_whole"], ["late"]),
        helper.make_node("Mod", ["late", "classes"], ["label"]),
    ]
