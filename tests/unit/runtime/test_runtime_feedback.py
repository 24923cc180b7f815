"""What came true: outcomes are counted for the revision that predicted, and no call can make the counts grow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime.server.answers import Refused
from modelway_runtime.server.feedback import MOST_AT_ONCE, MOST_REVISIONS, Feedback, is_same

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
    assert feedback.described() == {"abc": {"labels": 3, "right": 2}, "other": {"labels": 1, "right": 1}}


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


def test_a_server_takes_it_and_tells_it_to_operators_and_prometheus(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", revision="abc", grpc="off").wait_until_ready()
    answer = runtime.post("/v2/models/iris/feedback", body(told(0, 0), told(0, 1)))
    assert (answer.status, answer.json) == (200, {"counted": 2})
    figures = runtime.get("/internal/figures", internal=True).json
    assert (figures["feedback"], figures["requests"]) == ({"abc": {"labels": 2, "right": 1}}, 0)
    labels = 'model="iris",revision="abc",version=""'
    assert runtime.metrics()[f"modelway_runtime_feedback_labels_total{{{labels}}}"] == 2
    assert runtime.metrics()[f"modelway_runtime_feedback_right_total{{{labels}}}"] == 1
    assert runtime.post("/v2/models/iris/feedback", b"{").status == 400
    refused = runtime.get("/v2/models/iris/feedback")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
