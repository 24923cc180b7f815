"""Golden requests: reading them, and telling a right answer from a wrong one."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import golden
from modelway_runtime.reasons import Failure, Reason

GIVEN = {
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 2]},
        {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.5, 100.0]},
        {"name": "color", "datatype": "BYTES", "shape": [2], "data": ["red", "blue"]},
    ]
}


def _golden(*outputs: dict[str, Any], **more: Any) -> golden.Golden:
    return golden.Golden(name="one", request={}, outputs=outputs, **more)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"name": "label", "data": [0, 2]}, id="equal"),
        pytest.param({"name": "label", "data": [0.0, 2.0]}, id="numbers of another type"),
        pytest.param({"name": "score", "data": [[0.5], [100.0]]}, id="nested"),
        pytest.param({"name": "score", "data": [0.5004, 100.09]}, id="within the tolerance"),
        pytest.param({"name": "score", "shape": [2, 1], "datatype": "FP32"}, id="shape and datatype only"),
        pytest.param({"name": "color", "data": ["red", "blue"]}, id="strings"),
    ],
)
def test_an_expected_answer_has_no_difference(wanted: dict[str, Any]) -> None:
    assert golden.difference(_golden(wanted), GIVEN) == ""


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        pytest.param({"name": "label", "data": [2, 0]}, "output 'label': value 0 is 0, expected 2", id="swapped"),
        pytest.param({"name": "label", "data": [0]}, "output 'label': 2 values, expected 1", id="too many"),
        pytest.param({"name": "score", "data": [0.51, 100.0]}, "output 'score': value 0 is 0.5", id="too far off"),
        pytest.param({"name": "color", "data": ["red", "Blue"]}, "value 1 is 'blue', expected 'Blue'", id="strings"),
        pytest.param({"name": "label", "data": ["0", "2"]}, "value 0 is 0, expected '0'", id="other types"),
        pytest.param({"name": "label", "data": [None, 2]}, "value 0 is 0, expected None", id="null"),
        pytest.param({"name": "label", "data": [{"a": 1}, 2]}, "value 0 is 0, expected {'a': 1}", id="an object"),
        pytest.param({"name": "nope", "data": []}, "output 'nope' is missing; the model gives 'label'", id="name"),
        pytest.param({"name": "score", "shape": [2]}, "shape is [2, 1], expected [2]", id="shape"),
        pytest.param({"name": "score", "datatype": "FP64"}, "datatype is FP32, expected FP64", id="datatype"),
    ],
)
def test_a_wrong_answer_is_told_with_output_value_and_expectation(wanted: dict[str, Any], difference: str) -> None:
    assert difference in golden.difference(_golden(wanted), GIVEN)


def test_the_tolerance_is_the_request_s_own() -> None:
    wanted = {"name": "score", "data": [0.6, 100.0]}
    assert golden.difference(_golden(wanted), GIVEN)
    assert not golden.difference(_golden(wanted, absolute=0.11, relative=0.0), GIVEN)


def test_the_label_beside_a_large_one_is_wrong() -> None:
    given = {"outputs": [{"name": "label", "datatype": "INT64", "shape": [1], "data": [5001]}]}
    wanted = {"name": "label", "data": [5000]}
    assert golden.difference(_golden(wanted), given)
    assert not golden.difference(_golden(wanted, absolute=1.0), given)


def test_long_answers_are_shown_in_part() -> None:
    given = {"outputs": [{"name": "y", "shape": [500], "datatype": "FP32", "data": [0.123456789] * 500}]}
    shown = golden.difference(_golden({"name": "y", "data": [9.0] * 500}), given)
    assert shown.endswith(", …])")
    assert len(shown) < 250


REQUEST = {"name": "one", "request": {"inputs": []}, "expect": {"outputs": [{"name": "y"}]}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            json.dumps({**REQUEST, "note": "a\u2028b\u0085c"}, ensure_ascii=False), id="line ends in a string"
        ),
        pytest.param(f"{json.dumps(REQUEST)}\r\n  \r\n", id="blank lines"),
    ],
)
def test_only_line_feeds_end_a_line(text: str) -> None:
    assert [read.name for read in golden.parse(text.encode(), "here")] == ["one"]


@pytest.mark.parametrize(
    "text", [json.dumps([REQUEST]), json.dumps(REQUEST) + "\n\n", json.dumps([REQUEST], indent=2)], ids=repr
)
def test_a_list_and_lines_are_read(text: str) -> None:
    (read,) = golden.parse(text.encode(), "here")
    assert (read.name, read.outputs, read.absolute, read.relative) == ("one", ({"name": "y"},), 1e-5, 1e-3)


WRONG_FILES = [
    pytest.param(b"[", id="cut off"),
    pytest.param(b"[1]", id="a number"),
    pytest.param(b'[{"name": "x"}]', id="no request"),
    pytest.param(b"nope", id="no JSON"),
    pytest.param(b"\xff\xfe", id="no UTF-8"),
    pytest.param(b"[" * 100_000, id="nested without end"),
    pytest.param(json.dumps([{**REQUEST, "tolerance": 3}]).encode(), id="tolerance"),
    pytest.param(b'[{"request": {}}]', id="nothing expected"),
    pytest.param(b'[{"request": {}, "expect": {}}]', id="no outputs expected"),
    pytest.param(b'[{"request": {}, "expect": {"outputs": []}}]', id="an empty list expected"),
    pytest.param(b'[{"request": {}, "expect": {"outputs": ["y"]}}]', id="a name expected"),
    pytest.param(b'[{"request": {}, "expect": {"outputs": {"name": "y"}}}]', id="no list expected"),
]


@pytest.mark.parametrize("text", WRONG_FILES)
def test_what_is_no_golden_request_is_a_failure_with_its_place(text: bytes) -> None:
    with pytest.raises(Failure, match=r"golden\.jsonl holds no golden requests") as raised:
        golden.parse(text, "golden.jsonl")
    assert raised.value.reason is Reason.GOLDEN_REQUEST_FAILED


def test_a_model_s_own_file_without_a_request_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text("\n")
    with pytest.raises(Failure, match=r"golden\.jsonl is empty"):
        golden.read(tmp_path / "absent.json", tmp_path / "golden.jsonl")


def test_both_sources_count_and_the_mounted_file_may_be_absent(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(json.dumps(REQUEST))
    assert golden.read(tmp_path / "absent.json", None) == ()
    assert len(golden.read(tmp_path / "absent.json", tmp_path / "own.jsonl")) == 1
    (tmp_path / "mounted.json").write_text(json.dumps([REQUEST]))
    assert len(golden.read(tmp_path / "mounted.json", tmp_path / "own.jsonl")) == 2
