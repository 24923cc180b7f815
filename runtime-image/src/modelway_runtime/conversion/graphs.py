"""Estimators and boosters as ONNX graphs that take and give the same tensors. Pure, but slow to import.

The libraries that convert choose names, datatypes and shapes of their own, so a graph of theirs is put between nodes
that make it answer under the original's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import lightgbm
import onnx
import skl2onnx
import xgboost
from onnx import TensorProto, compose, helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common import data_types as booster_types
from onnxmltools.convert.lightgbm.operator_converters import LightGbm
from onnxmltools.convert.xgboost.operator_converters import XGBoost
from skl2onnx.common import data_types, shape_calculator
from sklearn.base import is_classifier

from modelway_runtime.protocol.tensors import DYNAMIC, TensorSpec

_ONNX: Final = {
    "BOOL": TensorProto.BOOL,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
_TYPES: Final = {
    "FP32": data_types.FloatTensorType,
    "FP64": data_types.DoubleTensorType,
    "BYTES": data_types.StringTensorType,
}
_BOOSTER_TYPES: Final = {"FP32": booster_types.FloatTensorType, "FP64": booster_types.DoubleTensorType}
_PREFIX = "converted_"
_COLUMN = "column"
_OPSETS: Final = {"": 21, "ai.onnx.ml": 3}
"""Versions of the operators that every onnxruntime of the last years knows."""
_BOOSTER_OPSET = 15
"""The newest that onnxmltools writes."""


class Unconvertible(Exception):
    """The libraries cannot convert this model; the message is theirs."""


def graph(source: object, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], precision: str) -> bytes:
    """The graph of an estimator or a booster that computes in this precision; raises Unconvertible."""
    is_booster = isinstance(source, xgboost.Booster | lightgbm.Booster)
    try:
        taken = [(spec.name, _type(spec, precision, _BOOSTER_TYPES if is_booster else _TYPES)) for spec in inputs]
        made = _converter(source)(source, taken)
        written: bytes = _wrapped(made, inputs, outputs, precision).SerializeToString()
    except Exception as error:  # whatever the libraries lack, they raise anything for it
        raise Unconvertible(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    return written


def _type(spec: TensorSpec, precision: str, types: Mapping[str, Any]) -> Any:
    kind = types[_computed(spec, precision)]
    return kind([None, *(None if size == DYNAMIC else size for size in spec.shape[1:])])


def _converter(source: object) -> Callable[[Any, list[tuple[str, Any]]], onnx.ModelProto]:
    if isinstance(source, xgboost.Booster):
        return _of_xgboost
    return _of_lightgbm if isinstance(source, lightgbm.Booster) else _of_sklearn


def _of_xgboost(booster: xgboost.Booster, taken: list[tuple[str, Any]]) -> onnx.ModelProto:
    # The converter knows features by number only.
    unnamed = booster.copy()
    unnamed.feature_names = None
    made: onnx.ModelProto = convert_xgboost(unnamed, initial_types=taken, target_opset=_BOOSTER_OPSET)
    return made


def _of_lightgbm(booster: lightgbm.Booster, taken: list[tuple[str, Any]]) -> onnx.ModelProto:
    made: onnx.ModelProto = convert_lightgbm(booster, initial_types=taken, target_opset=_BOOSTER_OPSET, zipmap=False)
    return made


def _of_sklearn(estimator: Any, taken: list[tuple[str, Any]]) -> onnx.ModelProto:
    _register_boosters()
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    made: onnx.ModelProto = skl2onnx.convert_sklearn(
        estimator, initial_types=taken, options=options, target_opset=dict(_OPSETS)
    )
    return made


def _register_boosters() -> None:
    """The classes of boosters for scikit-learn, alone and as a step of a pipeline."""
    convert_x, convert_l = XGBoost.convert_xgboost, LightGbm.convert_lightgbm
    for kind, convert in (
        (xgboost.XGBClassifier, convert_x),
        (xgboost.XGBRegressor, convert_x),
        (lightgbm.LGBMClassifier, convert_l),
        (lightgbm.LGBMRegressor, convert_l),
    ):
        shapes = (
            shape_calculator.calculate_linear_classifier_output_shapes
            if is_classifier(kind())
            else shape_calculator.calculate_linear_regressor_output_shapes
        )
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False]} if is_classifier(kind()) else None
        skl2onnx.update_registered_converter(kind, f"Modelway{kind.__name__}", shapes, convert, options=options)


def _wrapped(
    made: onnx.ModelProto, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], precision: str
) -> onnx.ModelProto:
    """The graph between casts: of the inputs from the original's datatypes, of the outputs to its names and shapes."""
    model = compose.add_prefix(made, _PREFIX)
    body = list(_with_exact_trees(model.graph.node))
    before = [
        helper.make_node("Cast", [spec.name], [_PREFIX + spec.name], to=_ONNX[_computed(spec, precision)])
        for spec in inputs
    ]
    given = list(model.graph.output)[: len(outputs)]
    after = [node for one, spec in zip(given, outputs, strict=True) for node in _answered(one, spec)]
    graph = helper.make_graph(
        [*before, *body, *after],
        "model",
        [_value(spec) for spec in inputs],
        [_value(_as_given(one, spec)) for one, spec in zip(given, outputs, strict=True)],
        [*model.graph.initializer, helper.make_tensor(_COLUMN, TensorProto.INT64, [1], [DYNAMIC])],
    )
    wrapped = helper.make_model(graph, opset_imports=_imports(model))
    wrapped.ir_version = made.ir_version
    return wrapped


def _answered(given: onnx.ValueInfoProto, spec: TensorSpec) -> Iterator[onnx.NodeProto]:
    """One number for each row is a column to the libraries."""
    name = given.name
    if len(_as_given(given, spec).shape) == 1:
        name = f"{spec.name}_{_COLUMN}"
        yield helper.make_node("Reshape", [given.name, _COLUMN], [name])
    yield helper.make_node("Cast", [name], [spec.name], to=_ONNX[spec.datatype])


def _as_given(given: onnx.ValueInfoProto, spec: TensorSpec) -> TensorSpec:
    """An estimator does not say that it answers several numbers for each row; its graph does."""
    sizes = [size.dim_value for size in given.type.tensor_type.shape.dim]
    is_wider = len(sizes) == 2 and sizes[1] > 1 and len(spec.shape) == 1
    return replace(spec, shape=(DYNAMIC, sizes[1])) if is_wider else spec


def _computed(spec: TensorSpec, precision: str) -> str:
    return "BYTES" if spec.datatype == "BYTES" else precision


def _with_exact_trees(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Trees compare what was rounded to single precision, as scikit-learn's do, however the rest computes."""
    for node in nodes:
        if node.op_type.startswith("TreeEnsemble"):
            rounded = f"{node.input[0]}_rounded_{node.output[0]}"
            yield helper.make_node("Cast", [node.input[0]], [rounded], to=TensorProto.FLOAT)
            node.input[0] = rounded
        yield node


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    sizes = [None if size == DYNAMIC else size for size in spec.shape]
    return helper.make_tensor_value_info(spec.name, _ONNX[spec.datatype], sizes)


def _imports(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Those of the graph, and of the plain operators around it, which some graphs do without."""
    known = {item.domain: item.version for item in model.opset_import}
    return [helper.make_opsetid(domain, version) for domain, version in {**_OPSETS, **known}.items()]
