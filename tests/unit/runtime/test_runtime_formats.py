"""Which file of a folder is the model, and which may be opened."""

import pytest

from modelway_runtime import formats
from modelway_runtime.reasons import Failure, Reason


@pytest.mark.parametrize(
    ("model_format", "paths", "found"),
    [
        pytest.param("onnx", ("model.onnx", "other.onnx"), "model.onnx", id="the name of the table"),
        pytest.param("onnx", ("fraud.onnx", "README.md"), "fraud.onnx", id="the only file of the suffix"),
        pytest.param("sklearn", ("model.pkl", "model.skops"), "model.skops", id="the safe one first"),
        pytest.param("sklearn", ("model.pkl", "model.joblib"), "model.joblib", id="in order"),
        pytest.param("xgboost", ("model.ubj", "model.json"), "model.json", id="xgboost"),
        pytest.param("xgboost", ("fraud.ubj",), "fraud.ubj", id="xgboost by its ending"),
        pytest.param("lightgbm", ("model.txt", "requirements.txt"), "model.txt", id="lightgbm"),
        pytest.param("own", ("anything.bin",), "anything.bin", id="a format without rules and one file"),
        pytest.param("own", ("a", "b"), "", id="a format without rules gets the folder"),
    ],
)
def test_the_file_is_found(model_format: str, paths: tuple[str, ...], found: str) -> None:
    assert formats.find(paths, model_format).path == found


@pytest.mark.parametrize(
    ("model_format", "paths"),
    [
        pytest.param("onnx", ("model.skops",), id="another format"),
        pytest.param("onnx", ("a.onnx", "b.onnx"), id="two candidates"),
        pytest.param("onnx", ("deep/model.onnx",), id="not at the top"),
        pytest.param("onnx", (), id="nothing"),
    ],
)
def test_no_file_of_the_format_is_a_mismatch_that_says_what_is_there(model_format: str, paths: tuple[str, ...]) -> None:
    with pytest.raises(Failure, match=r"needs a file model\.onnx") as raised:
        formats.find(paths, model_format)
    assert raised.value.reason is Reason.FORMAT_MISMATCH


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (("model.onnx",), "onnx"),
        (("my.skops",), "sklearn"),
        (("m.pkl",), "sklearn"),
        (("model.json",), "xgboost"),
        (("my.ubj", "config.json"), "xgboost"),
        (("model.txt",), "lightgbm"),
        (("fraud.onnx", "requirements.txt"), "onnx"),
        (("model.py", "weights.json"), "python"),
    ],
    ids=str,
)
def test_the_format_is_guessed_from_names(paths: tuple[str, ...], found: str) -> None:
    assert formats.guess(paths) == found


@pytest.mark.parametrize("path", ["requirements.txt", "config.json", "serve.py"])
def test_an_ending_that_many_files_have_tells_no_format(path: str) -> None:
    with pytest.raises(Failure, match="No known model file"):
        formats.guess((path,))


def test_a_folder_without_a_model_has_no_format() -> None:
    with pytest.raises(Failure, match="No known model file") as raised:
        formats.guess(("README.md",))
    assert raised.value.reason is Reason.UNSUPPORTED_FORMAT


def test_a_pickle_is_refused_and_the_message_names_the_way_out() -> None:
    found = formats.find(("model.pkl",), "sklearn")
    with pytest.raises(Failure, match=r"modelway-runtime convert model\.pkl --to skops .*set trust to Any") as raised:
        formats.check_trust(found, "Safe")
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT
    formats.check_trust(found, "Any")
    formats.check_trust(found, "Signed")


def test_python_code_is_refused_unless_trusted() -> None:
    found = formats.find(("model.py",), "python")
    with pytest.raises(Failure, match=r"model\.py is Python code.*set trust to Any"):
        formats.check_trust(found, "Safe")
    formats.check_trust(found, "Any")
