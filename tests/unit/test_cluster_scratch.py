"""Temporary folders of the test cluster do not pile up."""

from pathlib import Path

import pytest

from cluster import scratch


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_after_use_with_all_that_is_in_it() -> None:
    with scratch.folder("part-") as made:
        (made / "file").write_text("text")
    assert not made.exists()


def test_a_folder_whose_owner_was_killed_is_removed_by_the_next_one(temporary_files: Path) -> None:
    left = temporary_files / "part-left"
    left.mkdir()
    (left / scratch.LOCK).touch()
    with scratch.folder("part-"):
        assert not left.exists()


def test_a_folder_in_use_and_one_of_another_kind_are_left_alone(temporary_files: Path) -> None:
    other = temporary_files / "other"
    other.mkdir()
    (other / scratch.LOCK).touch()
    with scratch.folder("part-") as first, scratch.folder("part-") as second:
        assert first.exists()
        assert first != second
    assert other.exists()
