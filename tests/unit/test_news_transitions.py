"""What is worth an Event: each transition once, by severity, and nothing at rest."""

from typing import Any

import pytest

from modelway.api import reasons
from modelway.kinds import Manifest
from modelway.news import News, news


def rollout(**fields: Any) -> Manifest:
    """A status with a rollout of two steps under way."""
    known = {"id": 2, "revision": "fraud-2", "strategy": "Canary", "source": "Spec", "stepIndex": 0, "stepCount": 3}
    return {"rollout": known | fields}


def ended(outcome: str, reason: str = "", **fields: Any) -> Manifest:
    """A status whose rollout has ended, with its line in the history."""
    known = {"outcome": outcome, "finishedAt": "2026-11-21T10:00:00Z"} | ({"reason": reason} if reason else {})
    found = rollout(**known, **fields)
    line = {"id": found["rollout"]["id"], "from": "fraud-1", "to": "fraud-2", **known}
    return found | {"history": [line]}


def command(result: str, at: str = "2026-11-21T10:00:00Z", **fields: str) -> Manifest:
    """A status with an answered command."""
    return {"rollout": {"lastCommand": {"verb": "promote", "result": result, "message": "why", "at": at} | fields}}


def condition(kind: str, status: str, reason: str) -> Manifest:
    """A status with one condition."""
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "why"}]}


TRANSITIONS: list[Any] = [
    pytest.param({}, rollout(), [("Normal", "NewRevisionCreated")], id="begun"),
    pytest.param(rollout(id=1), rollout(), [("Normal", "NewRevisionCreated")], id="the-next-one"),
    pytest.param(rollout(id=1), rollout(source="Undo"), [("Normal", "UserUndo")], id="an-undo"),
    pytest.param(rollout(), rollout(stepIndex=1), [("Normal", "ShiftingTraffic")], id="next-step"),
    pytest.param(rollout(), rollout(stepState="Loading"), [], id="another-state-of-a-step"),
    pytest.param(rollout(), rollout(edited=True, plan="p"), [("Normal", "RolloutInProgress")], id="edited"),
    pytest.param(rollout(edited=True), rollout(edited=True, plan="p"), [], id="edited-again"),
    pytest.param(rollout(), ended("Promoted"), [("Normal", "RevisionPromoted")], id="promoted"),
    pytest.param(rollout(), ended("FastPromoted", stepIndex=2), [("Normal", "RevisionPromoted")], id="fast"),
    pytest.param(
        rollout(),
        ended("Failed", "ModelLoadFailed"),
        [("Warning", "ModelLoadFailed")],
        id="failed",
    ),
    pytest.param(rollout(), ended("Aborted", "UserAbort"), [("Warning", "UserAbort")], id="aborted"),
    pytest.param(rollout(), ended("Superseded", "Superseded"), [("Normal", "Superseded")], id="newer"),
    pytest.param(
        rollout(),
        ended("RolledBack", "SpecReverted"),
        [("Normal", "SpecReverted")],
        id="back",
    ),
    pytest.param(ended("Promoted"), ended("Promoted"), [], id="still-ended"),
    pytest.param(
        rollout(),
        rollout(id=3) | {"history": [{"id": 2, "to": "fraud-2", "outcome": "Superseded", "reason": "Superseded"}]},
        [("Normal", "Superseded"), ("Normal", "NewRevisionCreated")],
        id="one-gives-way-to-the-next",
    ),
    pytest.param(command("Accepted"), command("Rejected"), [], id="the-same-moment"),
    pytest.param(
        command("Rejected"),
        command("Rejected", raw="another"),
        [("Warning", "CommandRejected")],
        id="another-in-the-same-moment",
    ),
    pytest.param(command("Rejected", raw="one"), command("Rejected", raw=""), [], id="the-annotation-was-taken-away"),
    pytest.param({}, command("Rejected"), [("Warning", "CommandRejected")], id="refused"),
    pytest.param(
        command("Rejected"),
        command("Rejected", "2026-11-21T10:00:01Z"),
        [("Warning", "CommandRejected")],
        id="refused-again",
    ),
    pytest.param({}, command("Accepted"), [], id="accepted"),
    pytest.param(command("Rejected"), command("Rejected"), [], id="refused-before"),
    pytest.param({}, condition("Stalled", "True", "InvalidSpec"), [("Warning", "InvalidSpec")], id="stalled"),
    pytest.param({}, condition("Stalled", "True", "RolloutFailed"), [], id="told-by-the-revision"),
    pytest.param(
        condition("Stalled", "True", "InvalidSpec"),
        condition("Stalled", "True", "RuntimeNotFound"),
        [("Warning", "RuntimeNotFound")],
        id="stalled-otherwise",
    ),
    pytest.param(
        condition("Stalled", "True", "InvalidSpec"), condition("Stalled", "True", "InvalidSpec"), [], id="still-stalled"
    ),
    pytest.param(condition("Stalled", "True", "InvalidSpec"), {}, [], id="no-longer-stalled"),
    pytest.param({}, condition("Paused", "True", "UserPause"), [("Normal", "UserPause")], id="paused"),
    pytest.param(
        condition("Available", "True", "MinimumReplicasReady"),
        condition("Available", "False", "MinimumReplicasUnavailable"),
        [("Warning", "MinimumReplicasUnavailable")],
        id="no-longer-available",
    ),
    pytest.param(
        condition("Available", "True", "MinimumReplicasReady"),
        condition("Available", "False", "MinimumReplicasUnavailable") | {"phase": "Suspended"},
        [],
        id="not-wanted-any-more",
    ),
    pytest.param(
        rollout(),
        ended("Failed", "ModelLoadFailed") | condition("RevisionFailed", "True", "ModelLoadFailed"),
        [("Warning", "ModelLoadFailed")],
        id="condemned-and-over-at-once",
    ),
    pytest.param(
        rollout(outcome="Failed", reason="ModelLoadFailed") | condition("RevisionFailed", "True", "ModelLoadFailed"),
        ended("Failed", "ModelLoadFailed") | condition("RevisionFailed", "True", "ModelLoadFailed"),
        [],
        id="over-after-it-was-condemned",
    ),
    pytest.param(
        rollout(),
        ended("Failed", "ArtifactNotFound") | condition("Stalled", "True", "ProgressDeadlineExceeded"),
        [("Warning", "ProgressDeadlineExceeded")],
        id="given-up-for-now",
    ),
    pytest.param(
        rollout() | condition("Stalled", "True", "ProgressDeadlineExceeded"),
        ended("Failed", "ArtifactNotFound") | condition("Stalled", "True", "ProgressDeadlineExceeded"),
        [("Warning", "ArtifactNotFound")],
        id="given-up-again",
    ),
    pytest.param({}, condition("Available", "False", "MinimumReplicasUnavailable"), [], id="not-yet-available"),
    pytest.param({}, condition("Ready", "False", "RolloutInProgress"), [], id="not-ready"),
    pytest.param({}, {}, [], id="nothing"),
]


@pytest.mark.parametrize(("old", "new", "expected"), TRANSITIONS)
def test_65_a_transition_is_told_once(old: Manifest, new: Manifest, expected: list[tuple[str, str]]) -> None:
    found = list(news(old, new))
    assert [(item.type, item.reason) for item in found] == expected
    assert all(reasons.find(item.reason) and item.message for item in found)


@pytest.mark.parametrize("row", [pytest.param(row.values[1], id=row.id) for row in TRANSITIONS])
def test_61_nothing_is_told_at_rest(row: Manifest) -> None:
    assert list(news(row, row)) == []


def test_a_rejected_command_says_what_and_why() -> None:
    assert list(news({}, command("Rejected"))) == [
        News(type="Warning", reason="CommandRejected", message="promote: why")
    ]
