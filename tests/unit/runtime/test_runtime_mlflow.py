"""Folders as MLflow saves them: answers of the library inside, trust by flavour, and descriptions that are wrong."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from modelway_runtime import formats, manifest
from modelway_runtime.loaders import environment, loader, mlflow
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.reasons import Failure, Reason

HERE = Path(__file__).resolve().parent
FEATURES, _ = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mlflow")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    command = [sys.executable, str(HERE / "mlflow_models.py"), str(root)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, env=environ)
    assert found.returncode == 0, found.stderr
    return root


def _load(folder: Path, trust: str = "Safe", **options: object) -> Model:
    names = tuple(path.name for path in folder.iterdir())
    assert formats.guess(names) == "mlflow"
    file = folder / formats.find(names, "mlflow").path
    return mlflow.load(Artifact(root=folder, file=file, trust=trust, threads=1, options=options))


@pytest.mark.parametrize(
    ("kind", "trust", "output"),
    [
        ("skops", "Safe", "probabilities"),
        ("pickle", "Any", "probabilities"),
        ("onnx", "Safe", "probabilities"),
        ("xgboost", "Safe", "prediction"),
        ("lightgbm", "Safe", "prediction"),
        ("lightgbm-class", "Any", "probabilities"),
    ],
)
def test_the_library_inside_answers(saved: Path, kind: str, trust: str, output: str) -> None:
    model = _load(saved / kind, trust)
    assert model.platform == "mlflow"
    table = {model.inputs[0].name: FEATURES.astype(np.float32 if kind == "onnx" else np.float64)}
    expected = np.load(saved / "expected.npz")[kind]
    np.testing.assert_allclose(model.predict(table)[output], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "library"),
    [
        ("skops", "sklearn"),
        ("pickle", "sklearn"),
        ("onnx", "onnx"),
        ("xgboost", "xgboost"),
        ("lightgbm", "lightgbm"),
        ("lightgbm-class", "sklearn"),
        ("function", "python"),
    ],
)
def test_threads_and_workers_follow_the_library_inside(saved: Path, kind: str, library: str) -> None:
    found = manifest.of_path(saved / kind)
    assert loader.library("", found) == loader.library("mlflow", found) == library


def test_of_a_description_that_is_none_no_library_is_known(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: 1")
    assert loader.library("", manifest.of_path(tmp_path)) == ""


def test_a_function_is_served_by_a_worker_of_its_own(saved: Path, serve: Callable[..., Any]) -> None:
    settings = {"model_name": "sum", "workers": "1", "PYTHONWARNINGS": "default"}
    runtime = serve(saved / "function", **settings).wait_until_ready()
    asked = {"inputs": [{"name": name, "datatype": "FP64", "shape": [1], "data": [1.5]} for name in "abcd"]}
    assert runtime.infer(asked, model="sum").json["outputs"][0]["data"] == [6.0]
    assert runtime.metrics()['modelway_runtime_workers{model="sum",version=""}'] == 1


@pytest.mark.parametrize("kind", ["pickle", "lightgbm-class", "function"])
def test_what_runs_code_is_refused_without_trust(saved: Path, kind: str) -> None:
    with pytest.raises(Failure, match="set trust to Any") as raised:
        _load(saved / kind)
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT


def test_the_signature_gives_the_datatypes_of_columns(saved: Path) -> None:
    model = _load(saved / "mixed")
    assert [(spec.name, spec.datatype) for spec in model.inputs] == [("age", "INT64"), ("city", "BYTES")]
    answer = model.predict({"age": np.array([25, 41]), "city": np.array(["Ulm", "Bonn"], dtype=object)})
    assert answer["label"].tolist() == [0, 1]


def test_a_function_is_asked_with_the_columns_of_its_signature(saved: Path) -> None:
    code = (
        "import sys; import numpy as np; from pathlib import Path; from modelway_runtime.loaders import mlflow, loader;"
        "root = Path(sys.argv[1]); artifact = loader.Artifact(root=root, file=root / 'MLmodel', trust='Any', threads=1,"
        "options={});"
        "answer = mlflow.load(artifact).predict({name: np.array([1.0, 2.0]) for name in 'abcd'});"
        "print(answer['prediction'].tolist())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(saved / "function")], check=False, capture_output=True, text=True
    )
    assert found.stdout == "[4.0, 8.0]\n", found.stderr


def _altered(saved: Path, kind: str, folder: Path, **replaced: str) -> Path:
    shutil.copytree(saved / kind, folder / kind)
    file = folder / kind / "MLmodel"
    text = file.read_text()
    for old, new in replaced.items():
        line = next(line for line in text.splitlines() if f" {old}:" in line)
        text = text.replace(line, line.partition(":")[0] + ": " + new)
    file.write_text(text)
    return folder / kind


@pytest.mark.parametrize(
    ("kind", "replaced", "message"),
    [
        ("skops", {"sklearn_version": "1.2.2"}, "saved with scikit-learn 1.2.2, this image has"),
        ("function", {"python_version": "3.8.1"}, "saved with Python 3.8.1, this image has"),
    ],
)
def test_other_versions_are_refused(saved: Path, tmp_path: Path, kind: str, replaced: Any, message: str) -> None:
    folder = _altered(saved, kind, tmp_path, **replaced)
    with pytest.raises(Failure, match=message) as raised:
        _load(folder, "Any")
    assert raised.value.reason is Reason.ENVIRONMENT_MISMATCH
    if kind == "skops":
        assert _load(folder, versions="Ignore").inputs


@pytest.mark.parametrize(
    ("pins", "reason", "message"),
    [
        ("numpy==1.0.1\n", Reason.ENVIRONMENT_MISMATCH, "saved with numpy 1.0.1"),
        (
            "nowhere-at-all[x]==2.0 ; python_version > '3'\n",
            Reason.MODEL_LOAD_FAILED,
            "module nowhere-at-all",
        ),
    ],
    ids=["older", "absent"],
)
def test_pinned_requirements_are_compared(pins: str, reason: Reason, message: str) -> None:
    with pytest.raises(Failure, match=message) as raised:
        environment.check_pins("MLmodel", f"# a comment\n-r other.txt\nnumpy\n{pins}", {})
    assert raised.value.reason is reason


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../model.ubj", "leaves the model's folder"),
        ("/etc/passwd", "leaves the model's folder"),
        ("none", "has no file"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(saved: Path, tmp_path: Path, path: str, message: str) -> None:
    folder = _altered(saved, "xgboost", tmp_path)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("data: model.ubj", f"data: {path}"))
    with pytest.raises(Failure, match=message) as raised:
        _load(folder)
    assert raised.value.reason is Reason.MODEL_LOAD_FAILED


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        ("[", Reason.MODEL_LOAD_FAILED, "cannot be loaded"),
        ("!!python/object/apply:os.system [true]", Reason.MODEL_LOAD_FAILED, "cannot be loaded"),
        ("just text", Reason.FORMAT_MISMATCH, "has no flavors"),
        ("flavors: {sklearn: 1}", Reason.FORMAT_MISMATCH, "has no flavors"),
        ("flavors: {spark: {}, mleap: {}}", Reason.UNSUPPORTED_FORMAT, "has the flavors spark, mleap; served are onnx"),
        ("flavors: {sklearn: {}}", Reason.MODEL_LOAD_FAILED, "does not say which file"),
        ("flavors: {}\nsignature: {inputs: '[1]'}", Reason.MODEL_LOAD_FAILED, "signature cannot be read"),
        ("# " + "x" * (1 << 20), Reason.FORMAT_MISMATCH, "too large"),
    ],
    ids=["no YAML", "code", "text", "flavour", "unknown", "no file", "signature", "large"],
)
def test_each_wrong_description_has_its_reason(tmp_path: Path, content: str, reason: Reason, message: str) -> None:
    (tmp_path / "MLmodel").write_text(content)
    with pytest.raises(Failure, match=message) as raised:
        _load(tmp_path)
    assert raised.value.reason is reason


@pytest.mark.parametrize(
    ("flavor", "keys", "file", "trust", "reason", "words"),
    [
        ("pytorch", "{model_data: data}", "data/model.pt2", "Safe", Reason.UNTRUSTED_FORMAT, "a program of PyTorch"),
        ("pytorch", "{model_data: data}", "data/model.pth", "Safe", Reason.UNTRUSTED_FORMAT, "a program of PyTorch"),
        ("keras", "{data: data}", "data/model.keras", "Safe", Reason.UNTRUSTED_FORMAT, "a Keras file"),
        ("tensorflow", "{data: data}", "data/model.h5", "Safe", Reason.UNTRUSTED_FORMAT, "a Keras file"),
        ("pytorch", "{model_data: data}", "data/model.pt2", "Any", Reason.UNSUPPORTED_FORMAT, "Format torch needs"),
        (
            "tensorflow",
            "{saved_model_dir: m}",
            "m/saved_model.pb",
            "Safe",
            Reason.UNSUPPORTED_FORMAT,
            "Format tensorflow",
        ),
        ("pytorch", "{model_data: data}", "other", "Any", Reason.MODEL_LOAD_FAILED, "no file data/model.pt2"),
        ("pytorch", "{model_data: ../data}", "data/model.pt2", "Any", Reason.MODEL_LOAD_FAILED, "leaves the model"),
    ],
    ids=["program", "object", "keras", "h5", "no-torch-here", "no-tensorflow-here", "no-file", "outside"],
)
def test_networks_need_trust_and_an_image_that_has_their_library(
    tmp_path: Path, flavor: str, keys: str, file: str, trust: str, reason: Reason, words: str
) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors: {{{flavor}: {keys}}}\n")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"PK")
    with pytest.raises(Failure, match=words) as raised:
        _load(tmp_path, trust)
    assert raised.value.reason is reason
