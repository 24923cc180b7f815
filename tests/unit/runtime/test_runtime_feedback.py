"""What came true: outcomes are counted for the revision that predicted, and no call can make the counts grow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.analysis.deviations import BOUNDS
from modelway_runtime.server.answers import Refused
from modelway_runtime.server.feedback import DEVIATIONS, MOST_AT_ONCE, MOST_REVISIONS, Feedback, deviation, is_same

Serve = Callable[..., Any]


def told(predicted: Any, actual: Any, revision: str = "abc") -> dict[str, Any]:
    """One outcome."""
    return {"revision": revision, "predicted": predicted, "actual": actual}


def body(*items: Any) -> bytes:
    return json.dumps(list(items)).encode()


def test_outcomes_are_counted_by_the_revision_that_predicted() -> None:
    feedback = Feedback()
    assert feedback.take(body(told("cat", "cat"), told("cat", "dog"), told(1, 1, "other"))) == 3
    assert feedback.take(json.dumps({**told(True, True), "id": "42", "at": "2026-11-20T12:00:00Z"}).encode()) == 1
    assert feedback.described() == {
        "abc": {"labels": 3, "right": 2},
        "other": {"labels": 1, "right": 1, "deviations": {"0": [1, 0.0, 0.0]}},
    }


@pytest.mark.parametrize(
    ("predicted", "actual", "is_right"),
    [
        (7, 7, True),
        (2, "2", True),
        (1.0, "1", True),
        (True, "true", True),
        (True, False, False),
        ("a", "A", False),
        (0.1, 0.2, False),
        ("1.0", 1, False),
    ],
)
def test_labels_are_compared_as_they_are_written(predicted: Any, actual: Any, *, is_right: bool) -> None:
    assert is_same(predicted, actual) is is_right


WRONG: list[Any] = [
    pytest.param(b"{", 400, "the feedback is not understood", id="no-json"),
    pytest.param(b'{"revision":"\xff"}', 400, "the feedback is not understood", id="no-utf-8"),
    pytest.param(b"[" * 100_000, 400, "the feedback is not understood", id="deep"),
    pytest.param(body({"revision": "abc", "predicted": 1}), 400, "missing required field `actual`", id="missing"),
    pytest.param(body(told([1], 1)), 400, "not understood", id="no-label"),
    pytest.param(body(told(1, 1), told(1, 1, "A B")), 400, "[1].revision: 'A B' is none", id="revision"),
    pytest.param(body({**told(1, 1), "label": 2}), 400, "label", id="unknown-field"),
    pytest.param(body(*[told(1, 1)] * (MOST_AT_ONCE + 1)), 413, "send at most 10000", id="many"),
]


@pytest.mark.parametrize(("content", "status", "message"), WRONG)
def test_what_is_not_understood_counts_as_nothing(content: bytes, status: int, message: str) -> None:
    feedback = Feedback()
    with pytest.raises(Refused) as raised:
        feedback.take(content)
    assert raised.value.status == status
    assert message in raised.value.message
    assert feedback.described() == {}


def test_so_many_revisions_are_kept_and_no_more() -> None:
    feedback = Feedback()
    for number in range(3 * MOST_REVISIONS):
        feedback.take(body(told(1, 1, f"r{number}")))
    assert list(feedback.described()) == [f"r{number}" for number in range(2 * MOST_REVISIONS, 3 * MOST_REVISIONS)]


def test_errors_of_numbers_are_summed_by_bucket() -> None:
    feedback = Feedback()
    feedback.take(body(told(10, 11.5), told(3.5, 2), told(7, 7), told(-40, 60), told(1e300, -1e308)))
    feedback.take(body(told("a", 1), told(True, 0), told(2, "2")))
    bounds = {"28": [2, 3.0, 4.5], "0": [1, 0.0, 0.0], "33": [1, 100.0, 10_000.0], "72": [1, 1e15, 1e30]}
    assert feedback.described() == {"abc": {"labels": 8, "right": 2, "deviations": bounds}}
    assert [DEVIATIONS[int(bucket)] for bucket in bounds] == [2, 1e-9, 100, 1e15]


def test_an_integer_larger_than_any_number_with_a_point_is_far_off() -> None:
    assert deviation(10**400, 1.5) == 1e15
    assert deviation(-(10**400), 10**400) == 1e15


def test_operator_and_runtime_count_errors_in_the_same_buckets() -> None:
    assert DEVIATIONS == BOUNDS


def test_a_server_takes_it_and_tells_it_to_operators_and_prometheus(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", revision="abc", grpc="off").wait_until_ready()
    answer = runtime.post("/v2/models/iris/feedback", body(told(0, 0), told(0, 1)))
    assert (answer.status, answer.json) == (200, {"counted": 2})
    figures = runtime.get("/internal/figures", internal=True).json
    off = {"0": [1, 0.0, 0.0], "27": [1, 1.0, 1.0]}
    assert (figures["feedback"], figures["requests"]) == ({"abc": {"labels": 2, "right": 1, "deviations": off}}, 0)
    labels = 'model="iris",revision="abc",version=""'
    assert runtime.metrics()[f"modelway_runtime_feedback_labels_total{{{labels}}}"] == 2
    assert runtime.metrics()[f"modelway_runtime_feedback_right_total{{{labels}}}"] == 1
    assert runtime.metrics()[f"modelway_runtime_feedback_numbers_total{{{labels}}}"] == 2
    assert runtime.metrics()[f"modelway_runtime_feedback_off_total{{{labels}}}"] == 1
    assert runtime.post("/v2/models/iris/feedback", b"{").status == 400
    refused = runtime.get("/v2/models/iris/feedback")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
