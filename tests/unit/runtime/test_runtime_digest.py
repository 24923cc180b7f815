"""Digests of files and folders."""

import hashlib
from pathlib import Path

import pytest

from modelway_runtime import digest
from modelway_runtime.__main__ import main
from modelway_runtime.reasons import Failure, Reason


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"abc")
    assert digest.of_path(tmp_path / "model.onnx")[0] == f"sha256:{_hex(b'abc')}"


def test_a_folder_has_the_digest_of_its_sorted_lines(tmp_path: Path) -> None:
    for name in ("b", "a/z", "B", "ä"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    names = sorted(("b", "a/z", "B", "ä"), key=str.encode)
    lines = "".join(f"{_hex(name.encode())}  {name}\n" for name in names)
    assert names == ["B", "a/z", "b", "ä"]
    assert digest.of_path(tmp_path)[0] == f"sha256:{_hex(lines.encode())}"


def test_our_own_folder_is_no_part_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"abc")
    before = digest.of_path(tmp_path)
    (tmp_path / ".modelway").mkdir()
    (tmp_path / ".modelway/manifest.json").write_text("{}")
    assert digest.of_path(tmp_path) == before


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.onnx").symlink_to(tmp_path / "secret")
    with pytest.raises(Failure, match="leads out") as raised:
        digest.of_path(tmp_path / "model")
    assert raised.value.reason is Reason.FORMAT_MISMATCH


def test_links_within_the_folder_are_files(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/model.onnx").write_bytes(b"abc")
    (tmp_path / "model.onnx").symlink_to("..data/model.onnx")
    assert digest.listing(tmp_path) == ("..data/model.onnx", "model.onnx")


def test_the_command_prints_what_to_pin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(b"abc")
    assert main(["digest", str(tmp_path / "model.onnx")]) == 0
    assert capsys.readouterr().out == f"sha256:{_hex(b'abc')}\n"


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digest", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
