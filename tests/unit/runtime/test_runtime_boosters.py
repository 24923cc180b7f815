"""XGBoost and LightGBM: answers equal to the framework's own, and files that would hang or end the process."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_iris

from modelway_runtime.loaders import lightgbm as lightgbm_loader
from modelway_runtime.loaders import ubjson
from modelway_runtime.loaders import xgboost as xgboost_loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, Model, runs_concurrently
from modelway_runtime.reasons import Failure, Reason

FEATURES, LABELS = load_iris(return_X_y=True)
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
TWO = (LABELS == 1).astype(int)
ROUNDS = 8


def _load(file: Path) -> Model:
    load = lightgbm_loader.load if file.suffix == ".txt" else xgboost_loader.load
    return load(Artifact(root=file.parent, file=file, trust="Safe", threads=1, options={}))


def _xgboost(objective: str, labels: Any = TWO, **more: Any) -> xgboost.Booster:
    table = xgboost.DMatrix(FEATURES, labels, feature_names=NAMES)
    return xgboost.train({"objective": objective, "verbosity": 0, **more}, table, ROUNDS)


def _lightgbm(objective: str, labels: Any = TWO, **more: Any) -> lightgbm.Booster:
    table = lightgbm.Dataset(FEATURES, labels, feature_name=NAMES, params={"verbosity": -1})
    return lightgbm.train({"objective": objective, "verbosity": -1, **more}, table, ROUNDS)


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_xgboost_of_several_classes(tmp_path: Path, objective: str, suffix: str) -> None:
    file = tmp_path / f"model{suffix}"
    _xgboost(objective, LABELS, num_class=3).save_model(file)
    classifier = xgboost.XGBClassifier()
    classifier.load_model(file)
    model = _load(file)
    answer = model.predict({"input": FEATURES})
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.outputs] == [
        ("label", "INT64", (-1,)),
        ("probabilities", "FP32", (-1, 3)),
    ]
    assert answer["label"].tolist() == classifier.predict(FEATURES).tolist()
    # From labels, the scikit-learn class computes them in numpy.
    np.testing.assert_allclose(answer["probabilities"], classifier.predict_proba(FEATURES), rtol=1e-6)


@pytest.mark.parametrize("name", ["model.json", "model.txt"])
def test_trees_that_several_threads_ask_at_a_time_answer_each_its_own(tmp_path: Path, name: str) -> None:
    trained = _xgboost("reg:squarederror") if name == "model.json" else _lightgbm("regression")
    trained.save_model(tmp_path / name)
    model = _load(tmp_path / name)
    assert runs_concurrently(model)
    requests = [FEATURES[start : start + 7] for start in range(0, 140, 7)] * 20
    expected = [model.predict({"input": rows})["prediction"].tolist() for rows in requests]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda rows: model.predict({"input": rows})["prediction"].tolist(), requests))
    assert answers == expected


def test_a_linear_booster_is_asked_by_one_thread_at_a_time(tmp_path: Path) -> None:
    _xgboost("reg:squarederror", booster="gblinear").save_model(tmp_path / "model.json")
    assert not runs_concurrently(_load(tmp_path / "model.json"))


def test_xgboost_of_two_classes(tmp_path: Path) -> None:
    classifier = xgboost.XGBClassifier(n_estimators=ROUNDS).fit(FEATURES, TWO)
    classifier.save_model(tmp_path / "model.json")
    model = _load(tmp_path / "model.json")
    answer = model.predict({"input": FEATURES})
    assert [(spec.name, spec.shape) for spec in model.outputs] == [("label", (-1,)), ("probabilities", (-1, 2))]
    assert answer["label"].tolist() == classifier.predict(FEATURES).tolist()
    np.testing.assert_array_equal(answer["probabilities"], classifier.predict_proba(FEATURES))


def test_xgboost_of_several_labels(tmp_path: Path) -> None:
    labels = np.stack((TWO, LABELS == 2), axis=1).astype(int)
    classifier = xgboost.XGBClassifier(n_estimators=ROUNDS).fit(FEATURES, labels)
    classifier.save_model(tmp_path / "model.json")
    model = _load(tmp_path / "model.json")
    answer = model.predict({"input": FEATURES})
    assert [spec.shape for spec in model.outputs] == [(-1, 2), (-1, 2)]
    assert answer["label"].tolist() == classifier.predict(FEATURES).tolist()
    np.testing.assert_array_equal(answer["probabilities"], classifier.predict_proba(FEATURES))


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        ("reg:squarederror", {}),
        ("count:poisson", {}),
        ("binary:logitraw", {}),
        ("reg:quantileerror", {"quantile_alpha": [0.1, 0.9]}),
        ("reg:squarederror", {"booster": "gblinear"}),
        ("reg:squarederror", {"booster": "dart", "rate_drop": 0.5}),
        ("rank:pairwise", {}),
    ],
    ids=str,
)
def test_xgboost_that_answers_numbers(tmp_path: Path, objective: str, more: dict[str, Any]) -> None:
    booster = _xgboost(objective, **more)
    booster.save_model(tmp_path / "model.ubj")
    model = _load(tmp_path / "model.ubj")
    answer = model.predict({"input": FEATURES})["prediction"]
    # The two ways into the library add the trees of `dart` in another order.
    expected = booster.predict(xgboost.DMatrix(FEATURES, feature_names=NAMES))
    np.testing.assert_allclose(answer, expected, rtol=1e-6)
    assert [(spec.name, len(spec.shape)) for spec in model.outputs] == [("prediction", answer.ndim)]


def test_xgboost_labels_without_probabilities(tmp_path: Path) -> None:
    booster = _xgboost("binary:hinge")
    booster.save_model(tmp_path / "model.json")
    answer = _load(tmp_path / "model.json").predict({"input": FEATURES})
    assert list(answer) == ["label"]
    assert set(answer["label"].tolist()) == {0, 1}


def test_xgboost_that_stopped_early_answers_with_its_best_round(tmp_path: Path) -> None:
    regressor = xgboost.XGBRegressor(n_estimators=50, early_stopping_rounds=2, learning_rate=1.0)
    regressor.fit(FEATURES[::2], LABELS[::2], eval_set=[(FEATURES[1::2], LABELS[1::2])], verbose=False)
    assert regressor.best_iteration + 1 < regressor.get_booster().num_boosted_rounds()
    regressor.save_model(tmp_path / "model.json")
    answer = _load(tmp_path / "model.json").predict({"input": FEATURES})
    np.testing.assert_array_equal(answer["prediction"], regressor.predict(FEATURES))


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
def test_lightgbm_of_several_classes(tmp_path: Path, objective: str) -> None:
    booster = _lightgbm(objective, LABELS, num_class=3)
    booster.save_model(tmp_path / "model.txt")
    model = _load(tmp_path / "model.txt")
    answer = model.predict({"input": FEATURES})
    expected = np.asarray(booster.predict(FEATURES))
    np.testing.assert_array_equal(answer["probabilities"], expected)
    assert answer["label"].tolist() == expected.argmax(axis=1).tolist()
    assert [(spec.name, spec.shape) for spec in model.outputs] == [("label", (-1,)), ("probabilities", (-1, 3))]


def test_lightgbm_of_two_classes(tmp_path: Path) -> None:
    classifier = lightgbm.LGBMClassifier(n_estimators=ROUNDS, verbosity=-1).fit(FEATURES, TWO)
    classifier.booster_.save_model(tmp_path / "model.txt")
    answer = _load(tmp_path / "model.txt").predict({"input": FEATURES})
    assert answer["label"].tolist() == classifier.predict(FEATURES).tolist()
    np.testing.assert_allclose(answer["probabilities"], classifier.predict_proba(FEATURES), rtol=0, atol=1e-15)


@pytest.mark.parametrize("objective", ["regression", "quantile", "cross_entropy", "poisson"])
def test_lightgbm_that_answers_numbers(tmp_path: Path, objective: str) -> None:
    booster = _lightgbm(objective)
    booster.save_model(tmp_path / "model.txt")
    answer = _load(tmp_path / "model.txt").predict({"input": FEATURES})
    np.testing.assert_array_equal(answer["prediction"], booster.predict(FEATURES))


@pytest.mark.parametrize("name", ["model.json", "model.txt"])
def test_a_table_may_come_column_by_column(tmp_path: Path, name: str) -> None:
    booster: Any = _lightgbm("regression") if name == "model.txt" else _xgboost("reg:squarederror")
    booster.save_model(tmp_path / name)
    model = _load(tmp_path / name)
    assert model.inputs[0].columns == tuple(NAMES)
    columns = dict(reversed([(NAMES[index], FEATURES[:, [index]]) for index in range(4)]))
    expected = model.predict({"input": FEATURES})["prediction"]
    np.testing.assert_array_equal(model.predict(columns)["prediction"], expected)


@pytest.mark.parametrize("name", ["model.json", "model.txt"])
def test_one_feature_may_come_without_a_second_dimension(tmp_path: Path, name: str) -> None:
    one = FEATURES[:, 2:3]
    if name == "model.json":
        xgboost.train({"verbosity": 0}, xgboost.DMatrix(one, LABELS), ROUNDS).save_model(tmp_path / name)
    else:
        table = lightgbm.Dataset(one, LABELS, params={"verbosity": -1})
        lightgbm.train({"verbosity": -1}, table, ROUNDS).save_model(tmp_path / name)
    model = _load(tmp_path / name)
    assert model.inputs[0].fits((150,))
    flat = model.predict({"input": one.ravel()})["prediction"]
    np.testing.assert_array_equal(flat, model.predict({"input": one})["prediction"])


@pytest.mark.parametrize(
    "rows", [FEATURES[:, :3], np.array([["a", "b", "c", "d"]], dtype=object)], ids=["too narrow", "strings"]
)
@pytest.mark.parametrize("name", ["model.json", "model.txt"])
def test_rows_that_do_not_fit_are_the_caller_s_fault(tmp_path: Path, name: str, rows: Any) -> None:
    booster: Any = _lightgbm("regression") if name == "model.txt" else _xgboost("reg:squarederror")
    booster.save_model(tmp_path / name)
    with pytest.raises(InputRejected):
        _load(tmp_path / name).predict({"input": rows})


@pytest.mark.parametrize(
    ("name", "content", "reason", "message"),
    [
        pytest.param("model.json", b"", Reason.MODEL_LOAD_FAILED, "is empty", id="xgboost empty"),
        pytest.param("model.txt", b"", Reason.MODEL_LOAD_FAILED, "is empty", id="lightgbm empty"),
        pytest.param("model.json", b"<html>", Reason.FORMAT_MISMATCH, "is not an XGBoost model", id="xgboost html"),
        pytest.param("model.txt", b"<html>", Reason.FORMAT_MISMATCH, "is not a LightGBM model", id="lightgbm html"),
        pytest.param("model.json", b'{"a": 1}', Reason.FORMAT_MISMATCH, "is not an XGBoost model", id="other JSON"),
        pytest.param("model.ubj", b"{i\x01ai\x01}", Reason.FORMAT_MISMATCH, "is not an XGBoost", id="other UBJSON"),
        pytest.param("model.json", b'{"learner": {}}', Reason.MODEL_LOAD_FAILED, "cannot be loaded", id="no trees"),
        pytest.param("model.json", b'{"a":' * 100_000, Reason.MODEL_LOAD_FAILED, "cannot be loaded", id="deep"),
        pytest.param("model.txt", b"tree\nend of trees\n", Reason.MODEL_LOAD_FAILED, "tree_sizes", id="no head"),
        pytest.param("model.txt", b"tree\nx=1\n\nTree=0\n", Reason.MODEL_LOAD_FAILED, "is cut off", id="no end"),
    ],
)
def test_each_kind_of_wrong_file_has_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: Reason, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Failure, match=message) as raised:
        _load(tmp_path / name)
    assert raised.value.reason is reason
    assert str(tmp_path) not in raised.value.message


CUTS = 40


@pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.txt"])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    """Cut files make LightGBM abort or read beyond their end, and XGBoost go round for ever."""
    booster: Any = _lightgbm("regression") if name == "model.txt" else _xgboost("reg:squarederror")
    file = tmp_path / name
    booster.save_model(file)
    whole = file.read_bytes()
    # What LightGBM writes after its trees is for people.
    needed = whole.find(b"end of trees") if name == "model.txt" else len(whole)
    for size in range(1, needed, needed // CUTS):
        file.write_bytes(whole[:size])
        with pytest.raises(Failure) as raised:
            _load(file)
        assert raised.value.reason in (Reason.MODEL_LOAD_FAILED, Reason.FORMAT_MISMATCH)


def test_trees_that_are_shorter_than_the_head_says_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.txt"
    _lightgbm("regression").save_model(file)
    file.write_bytes(file.read_bytes().replace(b"shrinkage=1\n", b"", 1))
    with pytest.raises(Failure, match=r"its trees have \d+ bytes, its head says \d+"):
        _load(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"[", "begin with an object", id="a list"),
        pytest.param(b"{i\x01aSl\x7f\xff\xff\xff}", "cut off", id="a long string"),
        pytest.param(b"{i\x01a[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff", "cut off", id="a long list"),
        pytest.param(b"{i\x01a[$d#i\xff", "below 0", id="a negative count"),
        pytest.param(b"{i\x01a[$di", "type without a count", id="no count"),
        pytest.param(b"{i\x01a" + b"[" * 1000, "too deep", id="deep"),
        pytest.param(b"{i\x01aq", "no marker", id="an unknown marker"),
        pytest.param(b"{}x", "follow its end", id="more bytes"),
    ],
)
def test_ubjson_that_is_not_whole_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ubjson.keys(content)


def test_ubjson_with_counts_and_types_is_read() -> None:
    assert ubjson.keys(b"{i\x01a[#i\x02TFi\x01b{$i#i\x01i\x01c\x05i\x01c[$d#i\x01\0\0\0\0i\x01d[Si\x01x]}") == {
        "a",
        "b",
        "c",
        "d",
    }
