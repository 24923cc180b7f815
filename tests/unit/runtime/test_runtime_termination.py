"""The termination message."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelway_runtime import termination
from modelway_runtime.reasons import Reason
from modelway_runtime.termination import Outcome


@pytest.mark.timeout(60)
@given(st.text(max_size=4000) | st.builds(str.__mul__, st.characters(exclude_categories=[]), st.integers(0, 6000)))
@example("\0" * 5000)
@example("\ud800" * 5000)
@example("a" * 1_000_000)
def test_any_message_fits_in_one_line_of_json(message: str) -> None:
    outcome = Outcome(reason=Reason.MODEL_LOAD_FAILED, message=message, digest="sha256:" + "a" * 64, size=7)
    line = termination.line(outcome)
    assert len(line) <= termination.LIMIT
    assert b"\n" not in line
    read = json.loads(line)
    assert (read["reason"], read["digest"], read["bytes"]) == ("ModelLoadFailed", "sha256:" + "a" * 64, 7)


def test_a_short_message_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    termination.write(path, Outcome(reason=Reason.DISK_FULL, message="No space"))
    assert json.loads(path.read_text()) == {"reason": "DiskFull", "message": "No space", "digest": "", "bytes": 0}


def test_nothing_is_written_where_no_file_waits_for_it(tmp_path: Path) -> None:
    termination.write(tmp_path / "log", Outcome(reason=Reason.DISK_FULL, message="No space"))
    assert not (tmp_path / "log").exists()
