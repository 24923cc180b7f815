"""Where a fetched model lies for servers that are not ours."""

from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import manifest, settings
from modelway_runtime.fetch import command, layout

PLACES: list[Any] = [
    pytest.param("TritonRepository", ["iris.onnx"], ["fraud/1/model.onnx"], id="a-bare-file"),
    pytest.param(
        "TritonRepository",
        ["model.onnx", "labels.txt"],
        ["fraud/1/labels.txt", "fraud/1/model.onnx"],
        id="with-another-file",
    ),
    pytest.param(
        "TritonRepository", ["a.onnx", "b.onnx"], ["fraud/1/a.onnx", "fraud/1/b.onnx"], id="two-files-of-a-kind"
    ),
    pytest.param(
        "TritonRepository",
        ["saved_model.pb", "variables/variables.index"],
        ["fraud/1/model.savedmodel/saved_model.pb", "fraud/1/model.savedmodel/variables/variables.index"],
        id="a-saved-model",
    ),
    pytest.param(
        "TritonRepository",
        ["config.pbtxt", "1/model.onnx"],
        ["fraud/1/model.onnx", "fraud/config.pbtxt"],
        id="a-model-of-a-repository",
    ),
    pytest.param(
        "TritonRepository",
        ["chain/config.pbtxt", "chain/1/model.onnx", "parts/config.pbtxt"],
        ["chain/1/model.onnx", "chain/config.pbtxt", "parts/config.pbtxt"],
        id="a-repository",
    ),
    pytest.param(
        "TensorFlowServing",
        ["saved_model.pb", "variables/variables.index"],
        ["fraud/1/saved_model.pb", "fraud/1/variables/variables.index"],
        id="a-version",
    ),
    pytest.param("TensorFlowServing", ["3/saved_model.pb"], ["fraud/3/saved_model.pb"], id="versions"),
]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fetched(uri: str, volume: Path, kind: str) -> Path:
    """The layout's folder after `fetch`."""
    environ = {
        "MODELWAY_MODEL_URI": uri,
        "MODELWAY_MODEL_FORMAT": "triton",
        "MODELWAY_MODEL_NAME": "fraud",
        "MODELWAY_MODEL_PATH": str(volume),
        "MODELWAY_MODEL_LAYOUT": kind,
        "MODELWAY_LOCK_PATH": str(volume / "no-lock"),
    }
    command.fetch(settings.fetch(environ))
    return volume / layout.FOLDER


@pytest.mark.parametrize(("kind", "paths", "places"), PLACES)
def test_files_lie_where_the_server_looks_for_them(
    tmp_path: Path, kind: str, paths: list[str], places: list[str]
) -> None:
    for path in paths:
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_text(path)
    volume = tmp_path / "volume"
    folder = fetched(str(tmp_path / "source"), volume, kind)
    assert files(folder) == places
    assert sorted((folder / place).read_text() for place in places) == sorted(paths)
    # The same bytes once, and the same digest: the manifest knows nothing of layouts.
    assert all((folder / place).stat().st_nlink == 2 for place in places)
    assert sorted(manifest.read(volume).paths) == sorted(paths)


def test_a_second_fetch_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}/file{number}.bin").write_text("x")
    fetched(str(tmp_path / "v1"), tmp_path / "volume", "TensorFlowServing")
    folder = fetched(str(tmp_path / "v2"), tmp_path / "volume", "TensorFlowServing")
    assert files(folder) == ["fraud/1/file2.bin"]


def test_a_claim_is_linked_to_where_it_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "claims/shared/fraud").mkdir(parents=True)
    (tmp_path / "claims/shared/fraud/model.onnx").write_text("x")
    found = manifest.of_path(tmp_path / "claims/shared/fraud")
    layout.arrange(found, tmp_path / "volume", "TritonRepository", "fraud")
    link = tmp_path / "volume" / layout.FOLDER / "fraud/1/model.onnx"
    assert link.readlink() == tmp_path / "claims/shared/fraud/model.onnx"
