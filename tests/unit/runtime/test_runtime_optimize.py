"""`model.options.optimize`: a faster model is served where it answers the same, else the original, and it is told."""

import json
import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway_runtime import manifest, settings
from modelway_runtime.conversion import optimization, probes, trial
from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.conversion.optimized import OptimizedModel
from modelway_runtime.loaders.lightgbm import LightgbmModel
from modelway_runtime.loaders.mlflow import MlflowModel
from modelway_runtime.loaders.sklearn import SklearnModel
from modelway_runtime.loaders.xgboost import XgboostModel
from modelway_runtime.protocol.tensors import InputRejected, Model, TensorSpec
from modelway_runtime.reasons import Failure
from modelway_runtime.server import check, preparation

FEATURES, LABELS = load_iris(return_X_y=True)
WORDS = np.array(["red", "green", "blue"])[LABELS]
SICK, PROGRESS = load_diabetes(return_X_y=True)
CELLS, KINDS = load_breast_cancer(return_X_y=True)


def _right(model: Model) -> str:
    del model
    return ""


def _optimized(model: Model, asked: str = "Onnx", **options: object) -> tuple[Model, Optimization]:
    return optimization.optimized(model, {"optimize": asked, **options}, 1, _right)


def _of_xgboost() -> Model:
    names = [f"n{index}" for index in range(4)]
    matrix = xgboost.DMatrix(FEATURES, LABELS, feature_names=names)
    return XgboostModel(xgboost.train({"objective": "multi:softprob", "num_class": 3}, matrix, 5))


def _of_lightgbm() -> Model:
    found = lightgbm.train({"objective": "binary", "verbosity": -1}, lightgbm.Dataset(CELLS, KINDS), 5)
    return LightgbmModel(found, {"num_tree_per_iteration": "1", "objective": "binary sigmoid:1"}, 1)


def _by_column() -> Model:
    table = pd.DataFrame(FEATURES, columns=list("abcd"))
    parts = ColumnTransformer([("scaled", StandardScaler(), ["a", "c"])], remainder="passthrough")
    return SklearnModel(make_pipeline(parts, LogisticRegression(max_iter=1000)).fit(table, WORDS))


MODELS = {
    "classifier": lambda: SklearnModel(LogisticRegression(max_iter=1000).fit(FEATURES, WORDS)),
    "regressor": lambda: SklearnModel(LinearRegression().fit(SICK, PROGRESS)),
    "forest": lambda: SklearnModel(
        make_pipeline(StandardScaler(), RandomForestClassifier(30, random_state=7)).fit(CELLS, KINDS)
    ),
    # Half of an even number of trees may vote for each.
    "votes": lambda: SklearnModel(ExtraTreesClassifier(100, random_state=1).fit(CELLS, KINDS.astype(bool))),
    "xgboost": _of_xgboost,
    "lightgbm": _of_lightgbm,
    "by-column": _by_column,
    "mlflow": lambda: MlflowModel(_by_column(), {"a": "FP32"}),
}
DATA = {"regressor": SICK, "forest": CELLS, "votes": CELLS, "lightgbm": CELLS}


def _asked(model: Model, rows: Any) -> dict[str, Any]:
    if len(model.inputs) == 1:
        return {"input": rows}
    return {spec.name: rows[:, [index]] for index, spec in enumerate(model.inputs)}


@pytest.mark.parametrize("kind", MODELS)
def test_onnx_answers_as_the_original_does_under_its_names(kind: str) -> None:
    original = MODELS[kind]()
    model, told = _optimized(original)
    assert (told.served, isinstance(model, OptimizedModel)) == ("Onnx", True), told.cause
    assert (model.platform, model.inputs, model.outputs, model.is_batchable) == (
        original.platform,
        original.inputs,
        original.outputs,
        original.is_batchable,
    )
    asked = _asked(original, DATA.get(kind, FEATURES))
    for name, expected in original.predict(asked).items():
        answer = model.predict(asked)[name]
        if name == "label":
            assert answer.tolist() == expected.tolist()
        else:
            np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_table_may_come_column_by_column() -> None:
    table = pd.DataFrame(FEATURES, columns=list("abcd"))
    original = SklearnModel(LogisticRegression(max_iter=1000).fit(table, LABELS))
    model, _ = _optimized(original)
    columns = {name: FEATURES[:, [index]] for index, name in reversed(list(enumerate("abcd")))}
    assert model.predict(columns)["label"].tolist() == original.predict(columns)["label"].tolist()


class Silent:
    """A graph that must not be asked."""

    platform = "onnx_onnxv1"
    inputs = (TensorSpec(name="input", datatype="FP64", shape=(-1, 4)),)
    outputs = ()
    is_batchable = True

    def predict(self, inputs: Any) -> Any:
        raise AssertionError(f"asked for {inputs}")


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[np.nan, 0, 0, 0]]),
        np.array([[np.inf, 0, 0, 0]]),
        np.array([["a", "b", "c", "d"]], dtype=object),
        np.zeros((1, 3)),
        np.zeros(4),
    ],
    ids=["missing", "infinite", "strings", "width", "one-dimension"],
)
def test_what_only_the_original_can_judge_is_judged_by_it(rows: Any) -> None:
    original = SklearnModel(LogisticRegression(max_iter=1000).fit(FEATURES, LABELS))
    with pytest.raises(InputRejected) as expected:
        original.predict({"input": rows})
    with pytest.raises(InputRejected) as raised:
        OptimizedModel(original, Silent()).predict({"input": rows})
    assert str(raised.value) == str(expected.value)


def test_missing_values_are_answered_by_the_original() -> None:
    holes = np.where(FEATURES > 5, np.nan, FEATURES)
    original = _of_xgboost()
    np.testing.assert_array_equal(
        OptimizedModel(original, Silent()).predict({"input": holes})["probabilities"],
        original.predict({"input": holes})["probabilities"],
    )


def _encoder() -> Model:
    return SklearnModel(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(LABELS.reshape(-1, 1), LABELS))


def _words() -> Model:
    people = pd.DataFrame({"age": [25, 41, 33], "city": ["Ulm", "Bonn", "Ulm"]})
    parts = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), ["city"])], remainder="passthrough")
    return SklearnModel(make_pipeline(parts, LogisticRegression()).fit(people, [0, 1, 0]))


def _hinge() -> Model:
    return XgboostModel(xgboost.train({"objective": "binary:hinge"}, xgboost.DMatrix(CELLS, KINDS), 3))


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: SklearnModel(HistGradientBoostingClassifier(max_iter=2).fit(FEATURES, LABELS)), "ValueError: "),
        (lambda: SklearnModel(KNeighborsClassifier().fit(FEATURES, LABELS)), "neighbours that are equally near"),
        (_encoder, "the original refuses the rows made up"),
        (_words, "it takes strings"),
        (_hinge, "it would answer something else: label of row"),
    ],
    ids=["no-conversion", "neighbours", "unknown-categories", "strings", "differs"],
)
def test_the_original_is_served_where_onnx_is_not_known_to_be_the_same(make: Any, cause: str) -> None:
    original = make()
    model, told = _optimized(original)
    assert model is original
    assert told.served == "Original"
    assert cause in told.cause


def test_the_original_is_served_where_the_graph_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = trial.session

    def broken(content: bytes, threads: int) -> Model:
        model = opened(content, threads)
        monkeypatch.setattr(model, "predict", _fail)
        return model

    monkeypatch.setattr(trial, "session", broken)
    model = SklearnModel(LinearRegression().fit(SICK, PROGRESS))
    found, what = _optimized(model)
    assert found is model
    assert what.cause == "what was made of it fails: RuntimeError: no such kernel"


def _fail(inputs: Any) -> Any:
    raise RuntimeError("no such kernel")


def test_a_golden_request_that_onnx_answers_otherwise_keeps_the_original() -> None:
    original = MODELS["classifier"]()
    model, told = optimization.optimized(original, {"optimize": "Onnx"}, 1, lambda _: "Golden request 'x': no")
    assert (model, told.cause) == (original, "Golden request 'x': no")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimize": "ONNX"}, r"model\.options\.optimize is 'ONNX'; write None, Onnx, Int8"),
        ({"optimize": "Int8", "optimizeTolerance": "wide"}, r"optimizeTolerance is 'wide'; write a number"),
        ({"optimize": "Int8", "optimizeTolerance": "1.5"}, "between 0 and 1"),
    ],
    ids=["value", "no-number", "range"],
)
def test_options_that_make_no_sense_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(Failure, match=message):
        optimization.optimized(MODELS["classifier"](), options, 1, _right)


def test_nothing_happens_unasked() -> None:
    original = MODELS["classifier"]()
    for options in ({}, {"optimize": "None"}):
        model, told = optimization.optimized(original, options, 1, _right)
        assert (model, told.described()) == (original, {})


DIGITS, NUMBERS = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def network() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((64, 32), max_iter=20, random_state=7).fit(DIGITS / 16, NUMBERS)


def test_eight_bits_answer_nearly_the_same(network: Any) -> None:
    original = SklearnModel(network)
    model, told = _optimized(original, "Int8")
    assert told.served == "Int8", told.cause
    rows = {"input": DIGITS[:32] / 16}
    answer, expected = model.predict(rows), original.predict(rows)
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], rtol=0.05, atol=0.05)
    assert not np.array_equal(answer["probabilities"], expected["probabilities"])


def test_eight_bits_beyond_the_tolerance_are_not_served(network: Any) -> None:
    original = SklearnModel(network)
    model, told = _optimized(original, "Int8", optimizeTolerance="1e-4")
    assert model is original
    assert "it would answer something else" in told.cause


def test_trees_have_nothing_for_eight_bits() -> None:
    assert "no products of matrices" in _optimized(MODELS["forest"](), "Int8")[1].cause


def _product(folder: Path, *, is_outside: bool) -> Path:
    weights = np.random.default_rng(7).normal(size=(8, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])],
        "product",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 8])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(weights, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, folder / "model.onnx", save_as_external_data=is_outside, location="weights", size_threshold=0)
    return folder


@pytest.mark.parametrize(
    ("is_outside", "asked", "served", "cause"),
    [
        (False, "Int8", "Int8", ""),
        (True, "Int8", "Original", "its weights lie in files of their own"),
        (False, "Onnx", "Original", "it is ONNX already"),
    ],
    ids=["one-file", "weights-outside", "onnx"],
)
def test_a_model_that_is_onnx_may_get_eight_bits(
    tmp_path: Path, is_outside: bool, asked: str, served: str, cause: str
) -> None:
    wanted = settings.serve({"MODELWAY_THREADS": "1"})
    model = preparation.load(wanted, manifest.of_path(_product(tmp_path, is_outside=is_outside)))
    _, told = _optimized(model, asked)
    assert (told.served, told.cause) == (served, cause)


def test_made_up_rows_are_the_same_each_time_and_bounded() -> None:
    specs = (
        TensorSpec(name="x", datatype="FP32", shape=(-1, 3, 224, 224)),
        TensorSpec(name="i", datatype="INT64", shape=(-1, 2)),
    )
    one, other = probes.made_up(specs, is_wide=True), probes.made_up(specs, is_wide=True)
    assert [table.shape for table in one.values()] == [(6, 3, 224, 224), (6, 2)]
    assert [table.dtype.name for table in one.values()] == ["float32", "int64"]
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not one["x"][0].any()
    (fixed,) = probes.made_up((TensorSpec(name="x", datatype="FP32", shape=(1, 4)),), is_wide=False).values()
    assert fixed.shape == (1, 4)


def test_the_server_tells_what_it_serves_and_the_log_why(serve: Any, models: Path) -> None:
    runtime = serve(models / "skops", model_name="iris", options='{"optimize": "Onnx"}')
    runtime.wait_until_ready()
    assert runtime.get("/v2/models/iris").json["parameters"] == {"optimize": "Onnx", "served": "Onnx"}
    state = runtime.get("/internal/state", internal=True).json
    assert (state["optimize"], state["served"]) == ("Onnx", "Onnx")
    answer = runtime.infer(
        {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [6.3, 3.3, 6.0, 2.5]}]}
    )
    assert [output["datatype"] for output in answer.json["outputs"]] == ["INT64", "FP64"]
    kept = serve(models / "iris", model_name="iris", options='{"optimize": "Onnx"}')
    kept.wait_until_ready()
    told = {"optimize": "Onnx", "served": "Original", "cause": "it is ONNX already"}
    assert kept.get("/v2/models/iris").json["parameters"] == told
    assert any(line["message"] == "Serving the original model" for line in kept.lines)


@pytest.mark.parametrize(("label", "is_original"), [(0, False), (1, True)], ids=["right", "wrong"])
def test_golden_requests_are_asked_of_what_would_be_served(
    models: Path, tmp_path: Path, label: int, is_original: bool
) -> None:
    exact = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 4], "data": FEATURES[0].tolist()}]}
    golden = {"request": exact, "expect": {"outputs": [{"name": "label", "data": [label]}]}}
    (tmp_path / "golden.json").write_text(json.dumps([golden]))
    wanted = settings.serve(
        {"MODELWAY_OPTIONS": '{"optimize": "Onnx"}', "MODELWAY_GOLDEN_PATH": str(tmp_path / "golden.json")}
    )
    found = manifest.of_path(models / "skops")
    original = preparation.load(wanted, found)
    model, told = preparation.optimize(original, wanted, found)
    assert (model is original) is is_original
    assert told.cause.startswith("Golden request '#0': output 'label'") is is_original


def test_check_prints_what_became_of_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = check.run({"MODELWAY_PATH": str(models / "skops"), "MODELWAY_OPTIONS": '{"optimize": "Onnx"}'})
    assert done.message == "Checked"
    assert "optimize Onnx: answers the same" in capsys.readouterr().out
