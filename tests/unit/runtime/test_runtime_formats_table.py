"""Every format through the whole of a load, from names to an answer; the table of it stands in the documentation.

`UPDATE_DOCS=1` writes the table anew.
"""

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from modelway_runtime import formats
from modelway_runtime.loaders import loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.reasons import Failure, Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
BEGIN, END = "<!-- answers: all -->\n", "<!-- end of answers -->\n"
FEATURES, LABELS = load_iris(return_X_y=True)
CLASSIFIER = LogisticRegression(max_iter=1000).fit(FEATURES, LABELS)
CODE = """
import numpy as np

class Model:
    def load(self, folder):
        self.weights = np.loadtxt(folder / "weights.csv")

    def predict(self, inputs):
        return inputs["input"] @ self.weights
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A model of a kind: written by its framework, and what the framework answers."""

    format: str
    file: str
    kind: str
    write: Callable[[Path], Any]
    """Writes the file and gives the framework's own answer."""
    output: str
    trust: str = "Safe"

    @property
    def id(self) -> str:
        return f"{self.file}, {self.kind}"


def _onnx(file: Path) -> Any:
    file.write_bytes(to_onnx(CLASSIFIER, FEATURES[:1].astype(np.float32)).SerializeToString())
    return CLASSIFIER.predict_proba(FEATURES)


def _skops(file: Path) -> Any:
    skops.io.dump(CLASSIFIER, file)
    return CLASSIFIER.predict_proba(FEATURES)


def _joblib(file: Path) -> Any:
    regressor = LinearRegression().fit(FEATURES, LABELS)
    joblib.dump(regressor, file)
    return regressor.predict(FEATURES)


def _xgboost(objective: str, file: Path) -> Any:
    more = {"num_class": 3} if objective.startswith("multi") else {}
    booster = xgboost.train({"objective": objective, **more}, xgboost.DMatrix(FEATURES, LABELS), 10)
    booster.save_model(file)
    return booster.predict(xgboost.DMatrix(FEATURES))


def _lightgbm(objective: str, file: Path) -> Any:
    more = {"num_class": 3} if objective.startswith("multi") else {}
    table = lightgbm.Dataset(FEATURES, LABELS)
    booster = lightgbm.train({"objective": objective, "verbosity": -1, **more}, table, 10)
    booster.save_model(file)
    return booster.predict(FEATURES)


def _code(file: Path) -> Any:
    file.write_text(CODE)
    weights = np.array([0.5, -1.0, 2.0, 0.25])
    np.savetxt(file.parent / "weights.csv", weights)
    return FEATURES @ weights


def _of(write: Callable[[str, Path], Any], objective: str) -> Callable[[Path], Any]:
    return functools.partial(write, objective)


CASES = (
    Case("onnx", "model.onnx", "classifier by skl2onnx", _onnx, "probabilities"),
    Case("sklearn", "model.skops", "classifier", _skops, "probabilities"),
    Case("sklearn", "model.joblib", "regressor", _joblib, "prediction", "Any"),
    Case("sklearn", "model.pkl", "regressor", _joblib, "prediction", "Any"),
    Case("xgboost", "model.json", "multi:softprob", _of(_xgboost, "multi:softprob"), "probabilities"),
    Case("xgboost", "model.ubj", "reg:squarederror", _of(_xgboost, "reg:squarederror"), "prediction"),
    Case("lightgbm", "model.txt", "multiclass", _of(_lightgbm, "multiclass"), "probabilities"),
    Case("lightgbm", "model.txt", "regression", _of(_lightgbm, "regression"), "prediction"),
    Case("python", "model.py", "class Model", _code, "prediction", "Any"),
)
ELSEWHERE = ("mlflow", "torch", "tensorflow")
"""MLflow has tests of its own, the others an environment of their own."""
BOUND = 1e-6
"""Single precision against double is the largest difference."""


def _load(folder: Path, trust: str) -> Model:
    """As the server does."""
    names = tuple(path.name for path in folder.iterdir())
    model_format = formats.guess(names)
    found = formats.find(names, model_format)
    formats.check_trust(found, trust)
    artifact = Artifact(root=folder, file=folder / found.path, trust=trust, threads=1, options={})
    return loader.find(model_format)(artifact)


def _difference(case: Case, folder: Path) -> float:
    """The largest difference between the framework's answers for 150 rows and the runtime's."""
    folder.mkdir()
    expected = case.write(folder / case.file)
    model = _load(folder, case.trust)
    (spec,) = model.inputs
    answer = model.predict({spec.name: FEATURES.astype(np.float32) if spec.datatype == "FP32" else FEATURES})
    return float(np.abs(answer[case.output] - expected).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_answer_is_the_framework_s_own(case: Case, tmp_path: Path) -> None:
    assert _difference(case, tmp_path / "model") <= BOUND


@pytest.mark.parametrize("case", [case for case in CASES if case.trust != "Safe"], ids=lambda case: case.id)
def test_what_needs_trust_is_refused_without_it(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path / case.file)
    with pytest.raises(Failure) as raised:
        _load(tmp_path, "Safe")
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT


def test_every_file_that_is_looked_for_has_a_row() -> None:
    looked_for = {(name, one.name) for name, candidates in formats.FORMATS.items() for one in candidates}
    own = {(name, file) for name, file in looked_for if name not in ELSEWHERE}
    assert own == {(case.format, case.file) for case in CASES}


def test_the_page_shows_the_answers(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + BEGIN + "".join(_rows(tmp_path)) + END + after
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert text == wanted or os.environ.get("UPDATE_DOCS"), "UPDATE_DOCS=1 writes the table anew"


def _rows(folder: Path) -> Iterator[str]:
    """No digits of the differences: they are the processor's."""
    yield "\n| `format` | file | model | `trust` | output | largest difference |\n|---|---|---|---|---|---|\n"
    for number, case in enumerate(CASES):
        difference = _difference(case, folder / str(number))
        shown = (
            "none" if difference == 0 else "rounding of double precision" if difference < 1e-12 else f"below {BOUND:g}"
        )
        yield f"| `{case.format}` | `{case.file}` | {case.kind} | `{case.trust}` | `{case.output}` | {shown} |\n"
    yield "\n"
