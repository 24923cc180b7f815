"""TensorFlow in an environment of its own: SavedModels and Keras files answer as TensorFlow and Keras do."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelway_runtime import formats
from modelway_runtime.loaders import mlflow
from modelway_runtime.loaders import tensorflow as loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.loaders.mlflow import MlflowModel
from modelway_runtime.protocol.tensors import InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

ROWS = np.random.default_rng(7).normal(size=(20, 4)).astype(np.float32)


def _load(folder: Path, trust: str = "Safe") -> loader.TensorflowModel:
    found = formats.find(tuple(path.name for path in folder.iterdir()), "tensorflow")
    formats.check_trust(found, trust)
    return loader.load(Artifact(root=folder, file=folder / found.path, trust=trust, threads=1, options={}))


def _network() -> Any:
    keras.utils.set_random_seed(7)
    shape = keras.layers.Input((4,), name="rows")
    hidden = keras.layers.Dense(8, activation="relu")(shape)
    return keras.Model(shape, keras.layers.Dense(3, activation="softmax", name="scores")(hidden))


class Words(tf.Module):
    """A module with strings and several outputs."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word"), tf.TensorSpec([None, 2], tf.int64, "pair")])
    def serve(self, word: Any, pair: Any) -> dict[str, Any]:
        return {"loud": tf.strings.upper(word), "sum": tf.reduce_sum(pair, axis=1)}


@pytest.mark.parametrize(("name", "trust"), [("model.keras", "Any"), ("model.h5", "Any"), ("exported", "Safe")])
@pytest.mark.filterwarnings("ignore")
def test_a_network_of_keras_answers_as_keras(tmp_path: Path, name: str, trust: str) -> None:
    network = _network()
    folder = tmp_path / "exported"
    if name == "exported":
        network.export(folder, verbose=False)
    else:
        folder.mkdir()
        network.save(folder / name)
    model = _load(folder, trust)
    assert [(spec.datatype, spec.shape) for spec in model.inputs] == [("FP32", (-1, 4))]
    assert [(spec.datatype, spec.shape) for spec in model.outputs] == [("FP32", (-1, 3))]
    assert model.is_batchable
    (answer,) = model.predict({model.inputs[0].name: ROWS}).values()
    np.testing.assert_allclose(answer, network(ROWS).numpy(), rtol=1e-6, atol=1e-7)


def test_strings_and_several_outputs_pass(tmp_path: Path) -> None:
    module = Words()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model = _load(tmp_path)
    assert model.inputs == (
        TensorSpec(name="pair", datatype="INT64", shape=(-1, 2)),
        TensorSpec(name="word", datatype="BYTES", shape=(-1,)),
    )
    inputs = {"word": np.array(["ab", "ü"], dtype=object), "pair": np.array([[1, 2], [3, 4]])}
    answer = model.predict(inputs)
    assert answer["loud"].tolist() == [b"AB", "ü".encode()]
    assert answer["sum"].tolist() == [3, 7]


def test_rows_that_do_not_fit_are_the_caller_s_fault(tmp_path: Path) -> None:
    _network().export(tmp_path / "exported", verbose=False)
    model = _load(tmp_path / "exported")
    with pytest.raises(InputRejected):
        model.predict({model.inputs[0].name: ROWS[:, :2]})


def test_a_keras_file_needs_trust(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with pytest.raises(Failure, match="set trust to Any") as raised:
        _load(tmp_path)
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT


def test_a_model_without_the_serving_signature_says_so(tmp_path: Path) -> None:
    module = Words()
    tf.saved_model.save(module, str(tmp_path), signatures={"other": module.serve})
    with pytest.raises(Failure, match="has no signature serving_default; it has other") as raised:
        _load(tmp_path)
    assert raised.value.reason is Reason.MODEL_LOAD_FAILED


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("saved_model.pb", b"", Reason.MODEL_LOAD_FAILED),
        ("saved_model.pb", b"<html>", Reason.FORMAT_MISMATCH),
        ("saved_model.pb", b"\x08\x01\x12\xff", Reason.MODEL_LOAD_FAILED),
        ("model.keras", b"PK\x03\x04cut", Reason.MODEL_LOAD_FAILED),
        ("model.keras", b"<html>", Reason.FORMAT_MISMATCH),
        ("model.h5", b"\x89HDFcut", Reason.MODEL_LOAD_FAILED),
    ],
)
def test_each_kind_of_wrong_file_has_its_reason(tmp_path: Path, name: str, content: bytes, reason: Reason) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Failure) as raised:
        _load(tmp_path, "Any")
    assert raised.value.reason is reason
    assert str(tmp_path) not in raised.value.message


def _mlflow(folder: Path, flavor: str, keys: str) -> MlflowModel:
    """The model of a folder as MLflow writes it; MLflow itself is not in the image."""
    signature = r'[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
    text = f"flavors: {{{flavor}: {keys}}}\nsignature:\n  inputs: '{signature}'\n"
    (folder / "MLmodel").write_text(text)
    return mlflow.load(Artifact(root=folder, file=folder / "MLmodel", trust="Any", threads=1, options={}))


@pytest.mark.parametrize(
    ("flavor", "keys", "file"),
    [
        ("keras", "{data: data, save_exported_model: false}", "data/model.keras"),
        ("keras", "{data: data, save_exported_model: true}", "data/model"),
        ("tensorflow", "{data: data, model_type: keras, save_format: tf}", "data/model.keras"),
        ("tensorflow", "{data: data, model_type: keras, save_format: h5}", "data/model.h5"),
        ("tensorflow", "{saved_model_dir: tf2model, model_type: tf2-module}", "tf2model"),
    ],
    ids=["keras", "keras-exported", "tensorflow", "tensorflow-h5", "module"],
)
@pytest.mark.filterwarnings("ignore")
def test_a_network_in_a_folder_of_mlflow_answers_as_keras(tmp_path: Path, flavor: str, keys: str, file: str) -> None:
    network = _network()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    if "." in file:
        network.save(tmp_path / file)
    else:
        network.export(tmp_path / file, verbose=False)
    model = _mlflow(tmp_path, flavor, keys)
    assert [(spec.datatype, spec.shape) for spec in model.inputs] == [("FP32", (-1, 4))]
    (answer,) = model.predict({model.inputs[0].name: ROWS}).values()
    np.testing.assert_allclose(answer, network(ROWS).numpy(), rtol=1e-6, atol=1e-7)
