"""Models in Python: what they declare and answer, how their errors are told, and that they need trust."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway_runtime.loaders import python
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

DECLARED = """
from pathlib import Path
import scales

class Model:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}, {"name": "word", "datatype": "BYTES", "shape": [-1]}]
    outputs = [{"name": "sum", "datatype": "FP32", "shape": [-1]}, {"name": "loud", "datatype": "BYTES", "shape": [-1]}]

    def load(self, folder: Path) -> None:
        self.factor = float((folder / "weights" / "factor.txt").read_text()) * scales.UNIT

    def predict(self, inputs):
        return {"sum": self.factor * inputs["x"].sum(axis=1), "loud": [word.upper() for word in inputs["word"]]}
"""

FAILING = """
from modelway_runtime.protocol.tensors import InputRejected

class Model:
    def predict(self, inputs):
        rows = inputs["input"]
        if rows.size == 0:
            raise InputRejected("no rows")
        if rows.ndim == 1:
            return rows.tolist()
        return self.missing
"""


def _written(folder: Path, code: str, **files: str) -> Artifact:
    (folder / "model.py").write_text(code)
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)
    return Artifact(root=folder, file=folder / "model.py", trust="Any", threads=1, options={})


@pytest.fixture
def declared(tmp_path: Path) -> python.PythonModel:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/factor.txt").write_text("2.5")
    return python.load(_written(tmp_path, DECLARED, scales="UNIT = 2.0"))


def test_a_model_answers_what_it_declares(declared: python.PythonModel) -> None:
    assert declared.inputs == (
        TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),
        TensorSpec(name="word", datatype="BYTES", shape=(-1,)),
    )
    assert [spec.name for spec in declared.outputs] == ["sum", "loud"]
    assert declared.is_batchable
    answer = declared.predict({"x": np.ones((2, 2), np.float64), "word": np.array(["a", "b"], dtype=object)})
    assert (answer["sum"].dtype, answer["sum"].tolist()) == (np.float32, [10.0, 10.0])
    assert answer["loud"].tolist() == ["A", "B"]


def test_a_model_that_declares_nothing_takes_one_tensor_and_answers_prediction(tmp_path: Path) -> None:
    model = python.load(_written(tmp_path, FAILING))
    assert model.inputs[0].is_any_shape
    assert model.inputs[0].is_open
    assert not model.is_batchable
    assert model.predict({"input": np.array([1, 2])})["prediction"].tolist() == [1, 2]


def test_a_model_can_refuse_what_it_is_asked(tmp_path: Path) -> None:
    with pytest.raises(InputRejected, match="no rows"):
        python.load(_written(tmp_path, FAILING)).predict({"input": np.array([])})


def test_an_error_is_logged_with_the_line_of_the_model_s_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = python.load(_written(tmp_path, FAILING))
    with pytest.raises(AttributeError, match="missing"):
        model.predict({"input": np.ones((1, 1))})
    (record,) = caplog.records
    assert record.__dict__["fields"]["at"] == "model.py:11 in predict"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        pytest.param("{'sum': [1]}", "gave 'sum', but not 'loud'", id="too few"),
        pytest.param("[1]", "gave a list; with several outputs it must be a dict", id="one of several"),
        pytest.param("{'sum': ['a'], 'loud': ['b']}", "Cannot cast", id="text for a number"),
        pytest.param("{'sum': [[1], [1, 2]], 'loud': ['b']}", "inhomogeneous", id="unequal"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_the_model_s_error(tmp_path: Path, returned: str, message: str) -> None:
    code = f"class Model:\n    outputs = {_OUTPUTS}\n    def predict(self, inputs):\n        return {returned}\n"
    model = python.load(_written(tmp_path, code))
    with pytest.raises((TypeError, ValueError), match=message):
        model.predict({"input": np.ones(1)})


_OUTPUTS = [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in (("sum", "FP32"), ("loud", "BYTES"))]


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        ("x = 1", Reason.FORMAT_MISMATCH, "model.py has no class Model"),
        ("class Model: pass", Reason.FORMAT_MISMATCH, "no method predict"),
        ("class Model(:", Reason.MODEL_LOAD_FAILED, "model.py:1: SyntaxError"),
        ("import nowhere_at_all", Reason.MODEL_LOAD_FAILED, "needs the module nowhere_at_all.*use an image"),
        ("raise SystemExit(0)", Reason.MODEL_LOAD_FAILED, "model.py:1 in <module>: SystemExit: 0"),
        (
            "class Model:\n    def load(self, folder):\n        open(folder / 'none')\n    predict = load",
            Reason.MODEL_LOAD_FAILED,
            "model.py:3 in load: FileNotFoundError",
        ),
        (
            "class Model:\n    inputs = ['x']\n    def predict(self, x): ...",
            Reason.MODEL_LOAD_FAILED,
            "not declared well",
        ),
        (
            "class Model:\n    inputs = [{'name': 'x', 'datatype': 'FLOAT', 'shape': [1]}]\n    predict = print",
            Reason.MODEL_LOAD_FAILED,
            "'FLOAT' is not one of BOOL",
        ),
    ],
    ids=["no class", "no predict", "syntax", "module", "exit", "load", "no tensors", "datatype"],
)
def test_each_way_in_which_code_can_be_wrong_is_told(tmp_path: Path, code: str, reason: Reason, message: str) -> None:
    with pytest.raises(Failure, match=message) as raised:
        python.load(_written(tmp_path, code))
    assert raised.value.reason is reason


def test_the_folder_leaves_the_path_after_the_import(declared: python.PythonModel, tmp_path: Path) -> None:
    assert declared.platform == "python"
    assert str(tmp_path) not in sys.path


def test_a_server_serves_it_when_trusted(serve: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    _written(folder, FAILING)
    runtime = serve(folder, model_format="python", trust="Any").wait_until_ready()
    tensor = {"name": "rows", "datatype": "INT64", "shape": [2], "data": [3, 4]}
    assert runtime.infer({"inputs": [tensor]}).json["outputs"][0]["data"] == [3, 4]
    failed = runtime.infer({"inputs": [{**tensor, "shape": [2, 1]}]})
    assert failed.status == 500
    assert "Traceback" not in failed.body.decode()
    assert any(line.get("at") == "model.py:11 in predict" for line in runtime.lines)
