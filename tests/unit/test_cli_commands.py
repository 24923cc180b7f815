"""Commands of the command line: what they write, when they are refused, and what becomes of them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from modelway import names
from modelway.cli import commands, outcomes
from modelway.cli.commands import Caller, Command, Verb
from modelway.cli.exits import Failure
from modelway.cli.objects import Model

CALLER = Caller(id="c0ffee00", by="ada", at="2026-11-21T10:00:00Z")
ACTIVE = {
    "id": 3,
    "revision": "fraud-b",
    "strategy": "Canary",
    "stepIndex": 1,
    "startedAt": "2026-11-21T09:00:00Z",
}
PROMOTED = ACTIVE | {"outcome": "Promoted", "finishedAt": "2026-11-21T09:30:00Z"}
FAILED = ACTIVE | {"outcome": "Failed", "finishedAt": "2026-11-21T09:30:00Z", "reason": "ModelLoadFailed"}
REVISIONS = [{"name": "fraud-a", "number": 1}, {"name": "fraud-b", "number": 2}]


def _model(
    rollout: dict[str, Any] | None, *, paused: bool = False, stable: bool = True, history: Sequence[object] = ()
) -> Model:
    status: dict[str, Any] = {"revisions": REVISIONS, "history": history}
    if stable:
        status["stableRevision"] = {"name": "fraud-a", "number": 1}
    if rollout:
        status["rollout"] = rollout
    spec = {"model": {"uri": "s3://models/fraud", "format": "onnx"}, "rollout": {"paused": paused}}
    metadata = {"name": "fraud", "namespace": "payments", "uid": "u-1", "generation": 4}
    return Model.parse({"metadata": metadata, "spec": spec, "status": status})


def _command(verb: Verb, rollout: int = 3, step: int = 1) -> Command:
    return Command(verb=verb, uid="u-1", rollout=rollout, step=step, caller=CALLER)


def test_a_command_names_the_object_the_rollout_and_the_step_it_was_meant_for() -> None:
    command = commands.make(Verb.PROMOTE, _model(ACTIVE), CALLER)
    assert command.annotation == names.COMMAND_ANNOTATION
    assert json.loads(command.value) == {
        "verb": "promote",
        "uid": "u-1",
        "rollout": 3,
        "step": 1,
        "id": "c0ffee00",
        "by": "ada",
        "at": "2026-11-21T10:00:00Z",
    }


def test_abort_has_an_annotation_of_its_own_without_verb_and_step() -> None:
    command = commands.make(Verb.ABORT, _model(ACTIVE), CALLER)
    assert command.annotation == names.ABORT_ANNOTATION
    assert json.loads(command.value).keys() == {"uid", "rollout", "id", "by", "at"}


def test_undo_names_the_revision_to_go_back_to() -> None:
    command = commands.make(Verb.UNDO, _model(PROMOTED), CALLER, to_revision=2)
    assert json.loads(command.value)["args"] == {"revision": 2}


@pytest.mark.parametrize(
    ("verb", "model"),
    [
        pytest.param(Verb.PROMOTE_FULL, _model(ACTIVE), id="promote --full in the middle"),
        pytest.param(Verb.ABORT, _model(ACTIVE), id="abort in the middle"),
        pytest.param(Verb.ABORT, _model(ACTIVE | {"paused": True}), id="abort of a paused rollout"),
        pytest.param(Verb.RETRY, _model(FAILED), id="retry after a failure"),
        pytest.param(Verb.RETRY, _model(ACTIVE | {"retryAt": "2026-11-21T10:05:00Z"}), id="retry before its time"),
        pytest.param(Verb.UNDO, _model(ACTIVE), id="undo in the middle"),
        pytest.param(Verb.UNDO, _model(FAILED), id="undo after a failure"),
        pytest.param(Verb.PAUSE, _model(ACTIVE), id="pause"),
        pytest.param(Verb.RESUME, _model(ACTIVE | {"paused": True}), id="resume"),
    ],
)
def test_a_command_that_can_work_is_made(verb: Verb, model: Model) -> None:
    assert commands.make(verb, model, CALLER).rollout == 3


@pytest.mark.parametrize(
    ("verb", "model", "message", "advice"),
    [
        pytest.param(Verb.PROMOTE, _model(PROMOTED), "no rollout", "modelway status", id="promote of nothing"),
        pytest.param(Verb.ABORT, _model(PROMOTED), "nothing to abort", "modelway undo", id="abort after the end"),
        pytest.param(Verb.RETRY, _model(ACTIVE), "still under way", "modelway abort", id="retry in the middle"),
        pytest.param(Verb.RETRY, _model(PROMOTED), "was promoted", "", id="retry of a success"),
        pytest.param(Verb.RETRY, _model(None), "had no rollout", "modelway status", id="retry of nothing"),
        pytest.param(Verb.UNDO, _model(ACTIVE, stable=False), "no revision", "Apply", id="undo of the first"),
        pytest.param(Verb.PAUSE, _model(ACTIVE | {"paused": True}), "already", "resume", id="pause twice"),
        pytest.param(Verb.RESUME, _model(ACTIVE, paused=True), "by its spec", "paused: false", id="resume of a spec"),
        pytest.param(Verb.RESUME, _model(ACTIVE), "not paused", "modelway promote", id="resume of nothing"),
    ],
)
def test_a_command_that_cannot_work_is_refused_with_the_next_step(
    verb: Verb, model: Model, message: str, advice: str
) -> None:
    with pytest.raises(Failure) as refusal:
        commands.make(verb, model, CALLER)
    assert message in refusal.value.message
    assert advice in refusal.value.advice
    assert refusal.value.advice.count("kubectl modelway") == refusal.value.advice.count("fraud -n payments")


def test_undo_to_a_revision_that_is_gone_lists_those_that_are_kept() -> None:
    with pytest.raises(Failure, match="kept are: 1, 2"):
        commands.make(Verb.UNDO, _model(PROMOTED), CALLER, to_revision=9)


def test_undo_to_the_revision_that_serves_is_refused() -> None:
    with pytest.raises(Failure, match="serves already"):
        commands.make(Verb.UNDO, _model(PROMOTED), CALLER, to_revision=1)


_REFRESH = {"refresh": {"id": "c0ffee00", "specHash": "d749732d6f"}}
_TAKEN_BACK = {"refresh": {"specHash": "d749732d6f"}}
_SEEN = {"lastCommand": {"id": "c0ffee00", "verb": "promote", "result": "Accepted"}}
_REJECTED = {"lastCommand": {"id": "c0ffee00", "result": "Rejected", "message": "step 0 is over"}}


@pytest.mark.parametrize(
    ("command", "rollout", "done", "good"),
    [
        pytest.param(_command(Verb.PROMOTE), ACTIVE, False, False, id="not seen yet"),
        pytest.param(_command(Verb.PROMOTE), ACTIVE | _REJECTED, True, False, id="rejected"),
        pytest.param(_command(Verb.PROMOTE), ACTIVE | _SEEN, False, False, id="seen, same step"),
        pytest.param(_command(Verb.PROMOTE), ACTIVE | _SEEN | {"stepIndex": 2}, True, True, id="next step"),
        pytest.param(_command(Verb.PROMOTE), FAILED | _SEEN, True, False, id="failed meanwhile"),
        pytest.param(_command(Verb.PROMOTE_FULL), ACTIVE | _SEEN | {"stepIndex": 2}, False, False, id="full goes on"),
        pytest.param(_command(Verb.PROMOTE_FULL), PROMOTED | _SEEN, True, True, id="full is over"),
        pytest.param(_command(Verb.ABORT), PROMOTED | _SEEN, True, False, id="promoted before the abort"),
        pytest.param(_command(Verb.ABORT), PROMOTED | _SEEN | {"outcome": "Aborted"}, True, True, id="aborted"),
        pytest.param(_command(Verb.RETRY), FAILED | _SEEN, False, False, id="retry not begun"),
        pytest.param(_command(Verb.RETRY, rollout=2), PROMOTED | _SEEN, True, True, id="retry promoted"),
        pytest.param(_command(Verb.UNDO), PROMOTED | _SEEN, False, False, id="undo not begun"),
        pytest.param(_command(Verb.UNDO, rollout=2), PROMOTED | _SEEN, True, True, id="undone"),
        pytest.param(_command(Verb.UNDO), FAILED | _SEEN | _TAKEN_BACK, True, True, id="a refresh taken back"),
        pytest.param(_command(Verb.REFRESH), PROMOTED, False, False, id="refresh not seen"),
        pytest.param(_command(Verb.REFRESH), PROMOTED | _REFRESH, False, False, id="refresh not begun"),
        pytest.param(_command(Verb.REFRESH, rollout=2), ACTIVE | _REFRESH, False, False, id="refresh goes on"),
        pytest.param(_command(Verb.REFRESH, rollout=2), PROMOTED | _REFRESH, True, True, id="refreshed"),
        pytest.param(_command(Verb.REFRESH, rollout=2), FAILED | _REFRESH, True, False, id="refresh failed"),
        pytest.param(_command(Verb.REFRESH), PROMOTED | _REJECTED, True, False, id="refresh rejected"),
        pytest.param(_command(Verb.PAUSE), ACTIVE | _SEEN, False, False, id="not paused yet"),
        pytest.param(_command(Verb.PAUSE), ACTIVE | _SEEN | {"paused": True}, True, True, id="paused"),
        pytest.param(_command(Verb.RESUME), ACTIVE | _SEEN | {"paused": True}, False, False, id="not resumed yet"),
        pytest.param(_command(Verb.RESUME), ACTIVE | _SEEN, True, True, id="resumed"),
    ],
)
def test_waiting_follows_the_command_to_its_effect(
    command: Command, rollout: dict[str, Any], done: bool, good: bool
) -> None:
    verdict = outcomes.judge(command, _model(rollout))
    assert (verdict.is_done, verdict.is_good) == (done, good)
    assert verdict.message


@pytest.mark.parametrize(
    ("verb", "outcome", "good"),
    [
        pytest.param(Verb.PROMOTE, "Superseded", False, id="a new spec came before the promotion"),
        pytest.param(Verb.PROMOTE_FULL, "Promoted", True, id="promoted, and then a new spec came"),
        pytest.param(Verb.ABORT, "Aborted", True, id="aborted, and then a new spec came"),
    ],
)
def test_waiting_ends_with_its_own_rollout_and_not_with_the_next_one(verb: Verb, outcome: str, good: bool) -> None:
    ended = {"id": 3, "to": "fraud-b", "outcome": outcome, "finishedAt": "2026-11-21T09:30:00Z"}
    model = _model(ACTIVE | _SEEN | {"id": 4}, history=[ended])
    verdict = outcomes.judge(_command(verb), model)
    assert (verdict.is_done, verdict.is_good) == (True, good)
    assert f"rollout 3 ended: {outcome}" in verdict.message


OTHER = {"id": "0ddba11", "verb": "abort", "by": "bob (claimed)", "result": "Accepted", "message": "Traffic goes back"}
REFUSED = {"id": "0ddba11", "verb": "promote", "by": "bob (claimed)", "result": "Rejected", "message": "RollingBack"}
SUPERSEDED = {"outcome": "Superseded", "reason": "Superseded", "finishedAt": "2026-11-21T09:30:00Z"}
BACK = ACTIVE | {"stepState": "RollingBack"}
NEXT = ACTIVE | {"id": 4}


def _after(verb: Verb, rollout: dict[str, Any], *, annotation: str = "", seen: bool = True, **more: Any) -> Any:
    """A command and the model as it is once something else has happened."""
    command = _command(verb)
    raw = {"rawAbort" if verb is Verb.ABORT else "raw": command.value} if seen else {}
    last = rollout.get("lastCommand", {}) | raw
    model = _model(rollout | {"lastCommand": last}, history=more.pop("history", ()))
    written = {command.annotation: annotation or command.value}
    metadata = model.manifest["metadata"] | {"annotations": written} | more
    return command, Model.parse(model.manifest | {"metadata": metadata})


BY_OTHERS: list[Any] = [
    pytest.param(Verb.PROMOTE, BACK | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="promote, abort"),
    pytest.param(Verb.PROMOTE_FULL, BACK | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="full, abort"),
    pytest.param(Verb.PAUSE, BACK | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="pause, abort"),
    pytest.param(
        Verb.RESUME, BACK | {"paused": True, "lastCommand": OTHER}, {}, "abort by bob (claimed)", id="resume, abort"
    ),
    pytest.param(Verb.RETRY, FAILED | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="retry, another"),
    pytest.param(Verb.UNDO, PROMOTED | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="undo, another"),
    pytest.param(Verb.REFRESH, PROMOTED | {"lastCommand": OTHER}, {}, "abort by bob (claimed)", id="refresh, another"),
    *(
        pytest.param(verb, rollout, {"annotation": "pause", "seen": False}, "written over it", id=f"{verb} overwritten")
        for verb, rollout in [
            *((verb, ACTIVE) for verb in (Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.ABORT, Verb.PAUSE)),
            (Verb.RESUME, ACTIVE | {"paused": True}),
            *((verb, FAILED) for verb in (Verb.RETRY, Verb.UNDO, Verb.REFRESH)),
        ]
    ),
    pytest.param(
        Verb.PROMOTE,
        ACTIVE | {"lastCommand": OTHER | {"verb": "pause", "raw": "pause"}},
        {"annotation": "pause", "seen": False},
        "pause by bob (claimed)",
        id="promote, a pause that was answered",
    ),
    *(
        pytest.param(verb, ACTIVE | SUPERSEDED | _SEEN, {}, "ended: Superseded", id=f"{verb}, a new version")
        for verb in (Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.ABORT, Verb.PAUSE, Verb.RESUME)
    ),
    *(
        pytest.param(
            verb,
            ACTIVE | {"id": 5, "source": "Spec"} | _SEEN,
            {"history": [{"id": 4, **SUPERSEDED}]},
            "rollout 4 ended: Superseded",
            id=f"{verb} had begun, a new version",
        )
        for verb in (Verb.RETRY, Verb.UNDO, Verb.REFRESH)
    ),
    *(
        pytest.param(verb, ACTIVE, {"deletionTimestamp": "2026-11-21T10:00:00Z"}, "deleted", id=f"{verb}, deleted")
        for verb in Verb
    ),
    *(pytest.param(verb, ACTIVE, {"uid": "u-2"}, "another object", id=f"{verb}, created again") for verb in Verb),
]


@pytest.mark.parametrize(("verb", "rollout", "more", "message"), BY_OTHERS)
def test_waiting_ends_where_something_else_took_the_place_of_the_command(
    verb: Verb, rollout: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    verdict = outcomes.judge(*_after(verb, rollout, **more))
    assert (verdict.is_done, verdict.is_good, verdict.is_overtaken) == (True, False, True)
    assert message in verdict.message


def test_a_step_that_is_over_was_approved_whoever_commanded_meanwhile() -> None:
    approved = ACTIVE | {"stepIndex": 2, "lastCommand": OTHER | {"verb": "promote", "raw": "promote"}}
    verdict = outcomes.judge(*_after(Verb.PROMOTE, approved, annotation="promote", seen=False))
    assert (verdict.is_done, verdict.is_good) == (True, True)


ON_ITS_WAY: list[Any] = [
    pytest.param(Verb.ABORT, BACK | {"reason": "UserAbort", "lastCommand": REFUSED}, id="abort, a promote refused"),
    pytest.param(Verb.UNDO, BACK | {"reason": "UserUndo", "lastCommand": REFUSED}, id="undo, a promote refused"),
    pytest.param(Verb.UNDO, NEXT | {"source": "Undo", "lastCommand": OTHER}, id="undo, then a promote of it"),
    pytest.param(Verb.RETRY, NEXT | {"source": "Retry", "lastCommand": OTHER}, id="retry, then a promote of it"),
    pytest.param(Verb.REFRESH, NEXT | _REFRESH | {"lastCommand": OTHER}, id="refresh, then a promote of it"),
]


@pytest.mark.parametrize(("verb", "rollout"), ON_ITS_WAY)
def test_waiting_goes_on_where_another_command_changes_nothing(verb: Verb, rollout: dict[str, Any]) -> None:
    assert not outcomes.judge(*_after(verb, rollout)).is_done


@pytest.mark.parametrize("verb", Verb)
def test_an_annotation_that_is_gone_is_no_other_command(verb: Verb) -> None:
    rollout = ACTIVE | {"paused": verb is Verb.RESUME}
    assert outcomes.judge(_command(verb), _model(rollout)).message == "waiting for the operator to see the command"
