"""Loaders: what each format answers, and each way in which a file can be wrong."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris

from modelway_runtime import cpus, formats
from modelway_runtime.loaders import lean, loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import InputRejected, Model, TensorSpec, zeros
from modelway_runtime.reasons import Failure, Reason

FEATURES, LABELS = load_iris(return_X_y=True)


def _load(folder: Path, trust: str = "Safe") -> Model:
    names = tuple(path.name for path in folder.iterdir())
    model_format = formats.guess(names)
    file = folder / formats.find(names, model_format).path
    artifact = Artifact(root=folder, file=file, trust=trust, threads=1, options={})
    return loader.find(model_format)(artifact)


def test_an_onnx_model_answers_its_own_outputs(models: Path) -> None:
    model = _load(models / "iris")
    assert model.inputs == (TensorSpec(name="X", datatype="FP32", shape=(-1, 4)),)
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.outputs] == [
        ("label", "INT64", (-1,)),
        ("probabilities", "FP32", (-1, 3)),
    ]
    assert model.is_batchable
    outputs = model.predict({"X": FEATURES.astype(np.float32)})
    assert (outputs["label"] == LABELS).mean() > 0.95


def test_a_converted_classifier_with_maps_answers_like_scikit_learn(models: Path) -> None:
    mapped, plain = _load(models / "zipmap"), _load(models / "iris")
    assert [spec.name for spec in mapped.outputs] == ["label", "probabilities"]
    rows = {"X": FEATURES[:5].astype(np.float32)}
    np.testing.assert_allclose(mapped.predict(rows)["probabilities"], plain.predict(rows)["probabilities"], rtol=1e-6)


def test_an_onnx_model_of_fixed_size_is_not_batched(models: Path) -> None:
    assert not _load(models / "fixed").is_batchable


def test_every_datatype_passes_through_onnx(models: Path) -> None:
    model = _load(models / "identity")
    inputs = {spec.name: zeros(spec, 3) for spec in model.inputs}
    outputs = model.predict(inputs)
    for name, array in inputs.items():
        assert outputs[f"{name}_OUT"].tolist() == array.tolist()


@pytest.mark.parametrize("folder", ["skops", "joblib"])
def test_a_classifier_answers_label_and_probabilities(models: Path, folder: str) -> None:
    model = _load(models / folder, trust="Any")
    assert [(spec.name, spec.shape) for spec in model.outputs] == [("label", (-1,)), ("probabilities", (-1, 3))]
    outputs = model.predict({"input": FEATURES})
    assert (outputs["label"] == LABELS).mean() > 0.95
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1.0)


def test_labels_that_are_words_stay_words(models: Path) -> None:
    model = _load(models / "words")
    assert model.outputs[0].datatype == "BYTES"
    assert model.predict({"input": FEATURES[:1]})["label"].tolist() == ["red"]


def test_a_regressor_answers_prediction(models: Path) -> None:
    model = _load(models / "regressor")
    assert [spec.name for spec in model.outputs] == ["prediction"]
    assert model.predict({"input": FEATURES[:2]})["prediction"].shape == (2,)


def test_rows_of_the_wrong_kind_are_the_caller_s_fault(models: Path) -> None:
    with pytest.raises(InputRejected):
        _load(models / "skops").predict({"input": np.array([["a", "b", "c", "d"]], dtype=object)})


@pytest.mark.parametrize(
    ("folder", "reason", "message"),
    [
        ("truncated", Reason.MODEL_LOAD_FAILED, "model.onnx cannot be loaded"),
        ("empty", Reason.MODEL_LOAD_FAILED, "model.onnx is empty"),
        ("text", Reason.FORMAT_MISMATCH, "model.onnx is not an ONNX file"),
        ("truncated-skops", Reason.MODEL_LOAD_FAILED, "cut off"),
    ],
)
def test_each_kind_of_wrong_file_has_its_reason(models: Path, folder: str, reason: Reason, message: str) -> None:
    with pytest.raises(Failure, match=message) as raised:
        _load(models / folder)
    assert raised.value.reason is reason
    assert str(models) not in raised.value.message


def test_a_skops_file_of_another_kind_is_a_mismatch(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(b"\x08\x08onnx")
    with pytest.raises(Failure, match="not a skops file") as raised:
        _load(tmp_path)
    assert raised.value.reason is Reason.FORMAT_MISMATCH


def test_types_that_may_run_code_need_trust(models: Path, tmp_path: Path) -> None:
    _write_skops_with_foreign_type(models, tmp_path)
    with pytest.raises(Failure, match=r"not known to be safe: os\.system.*set trust to Any") as raised:
        _load(tmp_path)
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT


def _write_skops_with_foreign_type(models: Path, folder: Path) -> None:
    """A skops file whose schema names a function of the operating system."""
    from_zip = zipfile.ZipFile(models / "skops/model.skops")
    with from_zip as source, zipfile.ZipFile(folder / "model.skops", "w") as target:
        schema: dict[str, Any] = json.loads(source.read("schema.json"))
        schema.update({"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"})
        schema["content"] = {"module_path": "os", "function": "system"}
        target.writestr("schema.json", json.dumps(schema))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\x80\x04not a pickle", "model.pkl", id="broken"),
        pytest.param(b"cnowhere_at_all\nThing\n.", "needs the module nowhere_at_all", id="unknown module"),
        pytest.param(b"csys\nexit\n(I0\ntR.", "SystemExit: 0", id="exit"),
    ],
)
def test_a_pickle_that_cannot_be_opened_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(Failure, match=message) as raised:
        _load(tmp_path, trust="Any")
    assert raised.value.reason is Reason.MODEL_LOAD_FAILED


def test_an_object_that_cannot_predict_is_a_mismatch(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04K\x07.")
    with pytest.raises(Failure, match="holds a int, which has no predict") as raised:
        _load(tmp_path, trust="Any")
    assert raised.value.reason is Reason.FORMAT_MISMATCH


def test_what_predicts_and_is_no_estimator_says_why(tmp_path: Path) -> None:
    joblib.dump(SimpleNamespace(predict=len), tmp_path / "model.joblib")
    with pytest.raises(Failure, match=r"model\.joblib cannot be loaded") as raised:
        _load(tmp_path, trust="Any")
    assert raised.value.reason is Reason.MODEL_LOAD_FAILED


def test_a_format_without_loader_is_unsupported() -> None:
    with pytest.raises(Failure, match=r"has no loader here; there are .*onnx.*sklearn") as raised:
        loader.find("unheard-of")
    assert raised.value.reason is Reason.UNSUPPORTED_FORMAT


def test_a_format_whose_library_is_not_in_the_image_says_so() -> None:
    with lean.without("safetensors"), pytest.raises(Failure, match="needs the module safetensors") as raised:
        loader.find("torch")
    assert raised.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("files", "count"),
    [
        pytest.param({"cpu.max": "max 100000"}, 0, id="no limit"),
        pytest.param({"cpu.max": "200000 100000"}, 2, id="two"),
        pytest.param({"cpu.max": "250000 100000"}, 3, id="rounded up"),
        pytest.param({"cpu.max": "50000 100000"}, 1, id="half"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0, id="v1 no limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4, id="v1 four"),
        pytest.param({}, 0, id="no cgroup"),
    ],
)
def test_threads_follow_the_cgroup_s_quota(tmp_path: Path, files: dict[str, str], count: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert cpus.quota(tmp_path) == count
