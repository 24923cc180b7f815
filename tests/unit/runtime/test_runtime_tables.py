"""Tables of scikit-learn: columns by name, numbers beside strings, and files of other versions."""

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway_runtime.loaders import environment
from modelway_runtime.loaders import sklearn as loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, Model
from modelway_runtime.reasons import Failure, Reason

PEOPLE = pd.DataFrame(
    {
        "age": [25, 41, 33, 58, 29, 62],
        "city": ["Ulm", "Bonn", "Ulm", "Kiel", "Bonn", "Kiel"],
        "income": [2100.5, 3200.0, 2800.25, 4100.0, 1900.0, 3900.75],
        "remark": ["late twice", "never late", "late once", "never", "late again", "never late"],
    }
)
PAYS = np.array(["no", "yes", "no", "yes", "no", "yes"])


def _load(file: Path, **options: object) -> Model:
    return loader.load(Artifact(root=file.parent, file=file, trust="Any", threads=1, options=options))


def _saved(estimator: Any, folder: Path) -> Path:
    joblib.dump(estimator, folder / "model.joblib")
    return folder / "model.joblib"


def _mixed(words: Any = ("city",)) -> Pipeline:
    parts = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("words", OneHotEncoder(handle_unknown="error"), words if callable(words) else list(words)),
            ("text", CountVectorizer(), "remark"),
        ]
    )
    return Pipeline([("parts", parts), ("model", LogisticRegression(C=100.0))])


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    return {name: table[name].to_numpy(dtype=object if table[name].dtype == "str" else None) for name in table}


@pytest.mark.parametrize("words", [("city",), make_column_selector("city")], ids=["named", "picked"])
def test_numbers_and_strings_answer_as_in_the_framework(tmp_path: Path, words: Any) -> None:
    estimator = _mixed(words).fit(PEOPLE, PAYS)
    model = _load(_saved(estimator, tmp_path))
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.inputs] == [
        ("age", "FP64", (-1, 1)),
        ("city", "BYTES", (-1, 1)),
        ("income", "FP64", (-1, 1)),
        ("remark", "BYTES", (-1, 1)),
    ]
    answer = model.predict(_columns(PEOPLE))
    assert answer["label"].tolist() == estimator.predict(PEOPLE).tolist() == PAYS.tolist()
    np.testing.assert_array_equal(answer["probabilities"], estimator.predict_proba(PEOPLE))


def test_what_a_search_found_is_looked_into(tmp_path: Path) -> None:
    everybody = list(range(len(PEOPLE)))
    search = GridSearchCV(_mixed(), {"model__C": [0.1, 100.0]}, cv=[(everybody, everybody)]).fit(PEOPLE, PAYS)
    model = _load(_saved(search, tmp_path))
    assert [spec.datatype for spec in model.inputs] == ["FP64", "BYTES", "FP64", "BYTES"]


def test_columns_of_any_order_and_width_are_one_table(tmp_path: Path) -> None:
    estimator = _mixed().fit(PEOPLE, PAYS)
    columns = {name: values.reshape(-1, 1) for name, values in reversed(_columns(PEOPLE).items())}
    answer = _load(_saved(estimator, tmp_path)).predict(columns)
    np.testing.assert_array_equal(answer["probabilities"], estimator.predict_proba(PEOPLE))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"city": np.array(["Rome"] * 6, dtype=object)}, "unknown categories", id="unknown word"),
        pytest.param({"age": np.array(["old"] * 6, dtype=object)}, "non-numeric", id="a word for a number"),
        pytest.param({"age": np.array([1.0])}, "unequal length", id="unequal"),
    ],
)
def test_columns_that_do_not_fit_are_the_caller_s_fault(tmp_path: Path, changes: Any, message: str) -> None:
    model = _load(_saved(_mixed().fit(PEOPLE, PAYS), tmp_path))
    with pytest.raises(InputRejected, match=message):
        model.predict({**_columns(PEOPLE), **changes})


def test_a_table_of_numbers_with_names_may_come_whole_or_by_column(tmp_path: Path) -> None:
    numbers = PEOPLE[["age", "income"]]
    estimator = LinearRegression().fit(numbers, np.arange(6.0))
    model = _load(_saved(estimator, tmp_path))
    assert [(spec.name, spec.columns) for spec in model.inputs] == [("input", ("age", "income"))]
    expected = estimator.predict(numbers)
    np.testing.assert_array_equal(model.predict({"input": numbers.to_numpy()})["prediction"], expected)
    by_column = model.predict({"income": numbers["income"].to_numpy(), "age": numbers["age"].to_numpy()})
    # The sums of a table that lies otherwise in memory are rounded otherwise.
    np.testing.assert_allclose(by_column["prediction"], expected, rtol=1e-12)


def test_an_image_without_pandas_serves_tables_of_numbers_and_says_what_it_lacks(tmp_path: Path) -> None:
    code = """
import sys; sys.modules["pandas"] = None
from pathlib import Path
from modelway_runtime.loaders import sklearn, loader
from modelway_runtime.reasons import Failure
file = Path(sys.argv[1])
try:
    model = sklearn.load(loader.Artifact(root=file.parent, file=file, trust="Any", threads=1, options={}))
    print(model.inputs[0].name)
except Failure as failure:
    print(failure.reason, failure.message)
"""
    for estimator, expected in (
        (LinearRegression().fit([[1.0, 2.0]], [1.0]), "input"),
        (_mixed().fit(PEOPLE, PAYS), "ModelLoadFailed model.joblib needs the module pandas, which this runtime lacks"),
    ):
        command = [sys.executable, "-c", code, str(_saved(estimator, tmp_path))]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        assert found.stdout.startswith(expected)


@pytest.mark.parametrize("library", ["sklearn", "xgboost", "lightgbm"])
def test_no_loader_imports_pandas_before_a_model_needs_it(library: str) -> None:
    """It takes half a second, and scikit-learn and LightGBM would import it because it is there."""
    code = f"import sys; from modelway_runtime.loaders import {library}; print('pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


def test_a_server_takes_numbers_and_strings(serve: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    _saved(_mixed().fit(PEOPLE, PAYS), folder)
    runtime = serve(folder, model_format="sklearn", trust="Any").wait_until_ready()
    inputs = [
        {"name": "age", "datatype": "INT64", "shape": [2], "data": [25, 41]},
        {"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Ulm", "Bonn"]},
        {"name": "income", "datatype": "FP64", "shape": [2, 1], "data": [2100.5, 3200]},
        {"name": "remark", "datatype": "BYTES", "shape": [2], "data": ["late twice", "never late"]},
    ]
    assert runtime.infer({"inputs": inputs}).json["outputs"][0]["data"] == ["no", "yes"]
    refused = runtime.infer({"inputs": inputs[:3]})
    assert (refused.status, refused.json["error"]) == (400, "inputs: 'remark' missing")


OLD = "1.2.2"
OLD_BYTES = OLD.encode()
assert len(sklearn.__version__) == len(OLD)


def _of_old_version(kind: str, folder: Path) -> Path:
    """A file that says that another scikit-learn wrote it."""
    estimator = LinearRegression().fit([[1.0, 2.0]], [1.0])
    present = sklearn.__version__.encode()
    if kind == "skops":
        file = folder / "model.skops"
        skops.io.dump(estimator, file)
        file.write_bytes(file.read_bytes().replace(b'"' + present, b'"' + OLD_BYTES))
        return file
    file = _saved(estimator, folder)
    old = file.read_bytes().replace(present, OLD_BYTES)
    file.write_bytes(zlib.compress(old) if kind == "compressed" else old)
    return file


@pytest.mark.parametrize("kind", ["joblib", "compressed"])
def test_a_file_of_another_version_is_refused_with_both_and_the_way_out(tmp_path: Path, kind: str) -> None:
    file = _of_old_version(kind, tmp_path)
    with pytest.raises(Failure) as raised:
        _load(file)
    assert raised.value.reason is Reason.ENVIRONMENT_MISMATCH
    assert raised.value.message == (
        f"model.joblib was saved with scikit-learn {OLD}, this image has {sklearn.__version__}: save it again with "
        f"scikit-learn {sklearn.__version__}, use an image that has {OLD} (`modelway-runtime pack PATH --requirements "
        "FILE` writes its Dockerfile), or set model.options.versions to Ignore and hold it to golden requests"
    )
    assert _load(file, versions="Ignore").predict({"input": np.ones((1, 2))})


@pytest.mark.parametrize("saved", ["1.9.0", "1.9.1rc1"])
def test_another_patch_is_taken(saved: str) -> None:
    environment.check("m", "scikit-learn", saved, "1.9.1", {})


@pytest.mark.parametrize("saved", ["1.8.1", "2.9.1", "1.10.1"])
def test_another_minor_version_is_not(saved: str) -> None:
    with pytest.raises(Failure, match=f"saved with scikit-learn {saved}, this image has 1.9.1"):
        environment.check("m", "scikit-learn", saved, "1.9.1", {})
