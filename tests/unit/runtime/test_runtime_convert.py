"""`modelway-runtime convert`: pickles and boosters as files that run no code, and answer the same or are refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway_runtime import manifest, settings
from modelway_runtime.conversion import command, comparison, rows
from modelway_runtime.conversion.comparison import Tolerance
from modelway_runtime.protocol.tensors import Model, TensorSpec
from modelway_runtime.reasons import Failure, Reason, UsageError
from modelway_runtime.server import preparation

FEATURES, LABELS = load_iris(return_X_y=True)
WORDS = np.array(["red", "green", "blue"])[LABELS]
SICK, PROGRESS = load_diabetes(return_X_y=True)
PEOPLE = pd.DataFrame({"age": [25.5, 41, 33, 70], "city": ["Ulm", "Bonn", "Ulm", "Kiel"], "risk": [0, 1, 0, 1]})
SOURCES = Path(__file__).resolve().parents[3] / "runtime-image" / "src"


def _pickle(folder: Path, estimator: Any, table: Any) -> Path:
    joblib.dump(estimator, folder / "model.joblib")
    _table(table).to_csv(folder / "data.csv", index=False)
    return folder / "model.joblib"


def _table(values: Any) -> pd.DataFrame:
    return values if isinstance(values, pd.DataFrame) else pd.DataFrame(values).rename(columns="f{}".format)


def _convert(path: Path, form: str, **environ: str) -> Path:
    """The file that came of it."""
    given = {
        "MODELWAY_PATH": str(path),
        "MODELWAY_CONVERT_TO": form,
        "MODELWAY_CHECK_DATA": str(path.parent / "data.csv"),
    }
    command.run({**given, **environ})
    return path.parent / f"model.{form}"


def _served(path: Path) -> Model:
    """As a pod opens it, without trust."""
    return preparation.load(settings.serve({}), manifest.of_path(path))


def _mixed() -> Any:
    parts = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), ["city"])], remainder="passthrough")
    return make_pipeline(parts, LogisticRegression()).fit(PEOPLE[["age", "city"]], PEOPLE["risk"])


ESTIMATORS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "classifier": lambda: (LogisticRegression(max_iter=1000).fit(FEATURES, WORDS), FEATURES),
    "forest": lambda: (
        make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=7)).fit(FEATURES, LABELS),
        FEATURES,
    ),
    "regressor": lambda: (LinearRegression().fit(SICK, PROGRESS), SICK),
    "two-targets": lambda: (LinearRegression().fit(SICK, np.c_[PROGRESS, -PROGRESS]), SICK),
    "class-of-xgboost": lambda: (xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(FEATURES, LABELS), FEATURES),
    "class-of-lightgbm": lambda: (
        lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1).fit(SICK, PROGRESS),
        SICK,
    ),
}


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *((kind, "onnx") for kind in ESTIMATORS),
        *((kind, "skops") for kind in ("classifier", "regressor", "two-targets")),
    ],
)
def test_it_answers_as_the_pickle_under_the_same_names(tmp_path: Path, kind: str, form: str) -> None:
    estimator, table = ESTIMATORS[kind]()
    model = _served(_convert(_pickle(tmp_path, estimator, table), form))
    answers = model.predict({"input": np.asarray(table, dtype=np.float64)})
    if hasattr(estimator, "predict_proba"):
        assert answers["label"].tolist() == estimator.predict(table).tolist()
        np.testing.assert_allclose(answers["probabilities"], estimator.predict_proba(table), rtol=1e-3, atol=1e-5)
    else:
        np.testing.assert_allclose(answers["prediction"], estimator.predict(table), rtol=1e-3)
        assert answers["prediction"].shape == estimator.predict(table).shape


@pytest.mark.parametrize("form", ["skops", "onnx"])
def test_columns_keep_their_names_and_strings(tmp_path: Path, form: str) -> None:
    model = _served(_convert(_pickle(tmp_path, _mixed(), PEOPLE[["city", "risk", "age"]]), form))
    assert [(spec.name, spec.datatype) for spec in model.inputs] == [("age", "FP64"), ("city", "BYTES")]
    asked = {"age": np.array([[25.5], [41.0]]), "city": np.array([["Ulm"], ["Bonn"]], dtype=object)}
    assert model.predict(asked)["label"].tolist() == _mixed().predict(PEOPLE[["age", "city"]][:2]).tolist()


@pytest.mark.parametrize(
    ("objective", "target"), [("multi:softprob", LABELS), ("binary:logistic", LABELS > 0), ("reg:squarederror", LABELS)]
)
def test_a_booster_of_xgboost_becomes_onnx(tmp_path: Path, objective: str, target: Any) -> None:
    settings_of_it = {"objective": objective, "num_class": 3} if "multi" in objective else {"objective": objective}
    names = ["sepal", "width", "petal", "breadth"]
    booster = xgboost.train(settings_of_it, xgboost.DMatrix(FEATURES, target, feature_names=names), 5)
    booster.save_model(tmp_path / "model.json")
    pd.DataFrame(FEATURES, columns=names).to_csv(tmp_path / "data.csv", index=False)
    original, converted = _served(tmp_path / "model.json"), _served(_convert(tmp_path / "model.json", "onnx"))
    asked = {"input": FEATURES.astype(np.float32)}
    assert not comparison.worst(original.predict(asked), converted.predict(asked), Tolerance()).is_beyond


@pytest.mark.parametrize(("objective", "target"), [("binary", LABELS > 0), ("regression", LABELS)])
def test_a_booster_of_lightgbm_becomes_onnx(tmp_path: Path, objective: str, target: Any) -> None:
    found = lightgbm.train({"objective": objective, "verbosity": -1}, lightgbm.Dataset(FEATURES, target), 5)
    found.save_model(tmp_path / "model.txt")
    pd.DataFrame(FEATURES).to_csv(tmp_path / "data.csv", index=False, header=False)
    original, converted = _served(tmp_path / "model.txt"), _served(_convert(tmp_path / "model.txt", "onnx"))
    asked = {"input": FEATURES}
    assert not comparison.worst(original.predict(asked), converted.predict(asked), Tolerance()).is_beyond


def test_the_trees_of_the_best_round_are_converted(tmp_path: Path) -> None:
    matrix = xgboost.DMatrix(FEATURES, LABELS)
    booster = xgboost.train({"objective": "reg:squarederror"}, matrix, 9)
    booster.set_attr(best_iteration="2")
    booster.save_model(tmp_path / "model.json")
    _table(FEATURES).to_csv(tmp_path / "data.csv", index=False)
    answers = _served(_convert(tmp_path / "model.json", "onnx")).predict({"input": FEATURES.astype(np.float32)})
    np.testing.assert_allclose(answers["prediction"], booster[:3].predict(matrix), rtol=1e-5)


def test_answers_that_differ_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    # Several neighbours are equally near, and onnxruntime takes others.
    path = _pickle(tmp_path, KNeighborsClassifier().fit(FEATURES, LABELS), FEATURES)
    with pytest.raises(Failure, match=r"probabilities of row \d+ is 0\.\d, the original's 0\.\d") as raised:
        _convert(path, "onnx")
    assert raised.value.reason is Reason.GOLDEN_REQUEST_FAILED
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.csv", "model.joblib"]


def test_a_wider_tolerance_of_the_user_is_taken(tmp_path: Path) -> None:
    path = _pickle(tmp_path, KNeighborsClassifier().fit(FEATURES, LABELS), FEATURES)
    assert _convert(path, "onnx", MODELWAY_TOLERANCE="0.6").exists()


def test_what_cannot_be_converted_says_why(tmp_path: Path) -> None:
    path = _pickle(tmp_path, HistGradientBoostingClassifier(max_iter=2).fit(FEATURES, LABELS), FEATURES)
    with pytest.raises(Failure, match="It cannot be converted to onnx: ") as raised:
        _convert(path, "onnx")
    assert raised.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("kind", "types"), [("forest", r"sklearn\.tree\._tree\.Tree"), ("class-of-xgboost", r"xgboost\.core\.Booster")]
)
def test_skops_that_would_need_trust_is_refused_with_its_types(tmp_path: Path, kind: str, types: str) -> None:
    path = _pickle(tmp_path, *ESTIMATORS[kind]())
    with pytest.raises(Failure, match=f"to skops: types that are not known to be safe are in it, .*{types}.*--to onnx"):
        _convert(path, "skops")
    assert not (tmp_path / "model.skops").exists()


def test_a_booster_is_no_skops(tmp_path: Path) -> None:
    xgboost.train({}, xgboost.DMatrix(FEATURES, LABELS), 2).save_model(tmp_path / "model.json")
    _table(FEATURES).to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(Failure, match="skops holds estimators of scikit-learn, and a file of xgboost is safe as it is"):
        _convert(tmp_path / "model.json", "skops")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MODELWAY_CONVERT_TO": ""}, "write --to skops or --to onnx"),
        ({"MODELWAY_CONVERT_TO": "pmml"}, "'pmml' is no form"),
        ({"MODELWAY_CHECK_DATA": ""}, "--check DATA.csv"),
        ({"MODELWAY_CHECK_DATA": "absent.csv"}, "absent.csv does not exist"),
        ({"MODELWAY_OUTPUT": "model.bin"}, "must end with .skops"),
        ({"MODELWAY_OUTPUT": "absent/model.skops"}, "absent does not exist"),
        ({"MODELWAY_TOLERANCE": "5"}, "between 0 and 1"),
    ],
    ids=["no-form", "form", "no-data", "absent", "ending", "folder", "tolerance"],
)
def test_wrong_arguments_say_what_to_write(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    path = _pickle(tmp_path, LinearRegression().fit(FEATURES, LABELS), FEATURES)
    with pytest.raises(UsageError, match=message):
        _convert(path, "skops", **environ)


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    path = _pickle(tmp_path, LinearRegression().fit(FEATURES, LABELS), FEATURES)
    _convert(path, "skops")
    with pytest.raises(UsageError, match=r"model\.skops exists"):
        _convert(path, "skops")


def test_the_refusal_of_a_pickle_names_the_command_that_helps(tmp_path: Path) -> None:
    path = _pickle(tmp_path, LinearRegression().fit(FEATURES, LABELS), FEATURES)
    with pytest.raises(Failure, match="modelway-runtime convert") as raised:
        _served(path)
    words = raised.value.message.partition("`")[2].partition("`")[0].split()
    words[words.index("DATA.csv")] = "data.csv"
    assert words[0] == "modelway-runtime"
    ran = subprocess.run(
        [sys.executable, "-m", "modelway_runtime", *words[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "150 rows of data.csv are answered as by model.joblib; farthest apart: nothing" in ran.stdout
    _served(tmp_path / "model.skops")


TABLE = (TensorSpec(name="input", datatype="FP64", shape=(-1, 2), columns=("a", "b"), is_open=True),)
NAMELESS = (TensorSpec(name="input", datatype="FP64", shape=(-1, 2), is_open=True),)


@pytest.mark.parametrize(
    ("text", "specs", "expected"),
    [
        ("a,b\n1,2\n", TABLE, [[1, 2]]),
        ("label,b,a\nx,2,1\n", TABLE, [[1, 2]]),
        ("1,2\n3,4\n", TABLE, [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", NAMELESS, [[1, 2], [3, 4]]),
        ("x,y\n1,2\n", NAMELESS, [[1, 2]]),
        ("\ufeffa,b\n1,\n", TABLE, [[1, np.nan]]),
    ],
    ids=["named", "others-left-out", "no-header", "nameless", "other-header", "missing-value"],
)
def test_rows_are_read_by_name_or_in_order(tmp_path: Path, text: str, specs: Any, expected: Any) -> None:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(rows.read(tmp_path / "data.csv", specs)["input"], expected)


@pytest.mark.parametrize(
    ("text", "specs", "message"),
    [
        ("a,c\n1,2\n", TABLE, "lacks the model's columns b; it has a, c"),
        ("1,2,3\n", TABLE, "has 3 columns, the model takes 2; name the features a, b"),
        ("1,2,3\n", NAMELESS, "leave out what is no feature"),
        ("a,b\n1,two\n", TABLE, "column b holds text"),
        ("a,b\n", TABLE, "has no rows"),
        ("", TABLE, "is no table in CSV"),
        ('a,b\n1,2\n1,2,"3', TABLE, "is no table in CSV"),
    ],
    ids=["column", "width", "nameless", "text", "empty", "nothing", "broken"],
)
def test_a_table_that_does_not_fit_says_why(tmp_path: Path, text: str, specs: Any, message: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        rows.read(tmp_path / "data.csv", specs)


@pytest.mark.parametrize(
    ("got", "share", "row"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], 0.0, 1),
        ([[1.0, 2.0], [3.0, 4.02]], 5.0, 2),
        ([[1.5, 2.0], [3.0, 4.02]], 500.0, 1),
        ([[1.0, 2.0], [3.0, np.nan]], np.inf, 2),
    ],
    ids=["equal", "beyond", "worst", "no-number"],
)
def test_the_largest_difference_is_found_with_its_row(got: Any, share: float, row: int) -> None:
    expected = {"prediction": np.array([[1.0, 2.0], [3.0, 4.0]])}
    found = comparison.worst(expected, {"prediction": np.array(got)}, Tolerance(absolute=1e-9, relative=1e-3))
    assert (found.share, found.row) == (pytest.approx(share), row)


@pytest.mark.parametrize(("tie", "is_beyond"), [(0.0, True), (1e-5, False)])
def test_labels_may_be_others_only_where_the_original_is_as_sure_of_both(tie: float, is_beyond: bool) -> None:
    sure = np.array([[0.5, 0.5], [0.9, 0.1]])
    expected = {"label": np.array([0, 0]), "probabilities": sure}
    found = comparison.worst(expected, {"label": np.array([1, 0]), "probabilities": sure}, Tolerance(tie=tie))
    assert found.is_beyond is is_beyond
    other = {"label": np.array([0, 1]), "probabilities": sure}
    assert comparison.worst(expected, other, Tolerance(tie=tie)).is_beyond


def test_an_answer_of_another_shape_is_not_compared() -> None:
    with pytest.raises(comparison.Unlike, match=r"of shape \[2, 1\], the original's has \[2\]"):
        comparison.worst({"prediction": np.zeros(2)}, {"prediction": np.zeros((2, 1))}, Tolerance())
