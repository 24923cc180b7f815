"""Commands by annotation: how they are read, what they are bound to, and that each is answered once."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway import names
from modelway.api import Status
from modelway.plan import commands
from modelway.plan.commands import Verb
from modelway.plan.ledger import dump
from modelway.plan.observed import Features, Observed, Owner
from modelway.plan.record import LastCommand, Record, Rollout, Source, StepState, Strategy

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
UID = "uid-1"


def observed(command: str | None = None, abort: str | None = None) -> Observed:
    """A ModelDeployment that carries these annotations."""
    pairs = ((names.COMMAND_ANNOTATION, command), (names.ABORT_ANNOTATION, abort))
    return Observed(
        now=NOW,
        rounded_up=NOW,
        epoch=1,
        owner=Owner(
            namespace="payments",
            name="fraud",
            uid=UID,
            generation=1,
            resource_version="1",
            annotations={name: value for name, value in pairs if value is not None},
            is_deleting=False,
        ),
        spec=None,
        invalid="",
        record=Record(),
        status={},
        features=Features(gateway=True, runtime_image=""),
    )


def rollout(**changes: Any) -> Rollout:
    """Rollout 7 at step 2."""
    known = Rollout(
        id=7,
        revision="fraud-2",
        origin="fraud-1",
        strategy=Strategy.CANARY,
        source=Source.SPEC,
        started_at=NOW,
        state=StepState.HOLDING,
        step=2,
        step_started_at=NOW,
        progress_at=NOW,
    )
    return replace(known, **changes)


ACTIVE = Record(stable="fraud-1", rollout=rollout())
IDLE = Record(stable="fraud-2", rollout=rollout(finished_at=NOW, outcome="Promoted"))
FIRST = Record()


def answer(record: Record, command: str | None = None, abort: str | None = None) -> tuple[str, str, str]:
    """Verb, result and message of what the annotations ask for; empty when they ask for nothing new."""
    seen = observed(command, abort)
    found = commands.pending(seen, record)
    if found is None:
        return "", "", ""
    refusal = commands.refusal(found, seen, record)
    last = commands.answered(seen, record, found, refusal, "done").last_command
    return last.verb, last.result, last.message


def asked(verb: Any = "promote", **fields: Any) -> str:
    """A command as JSON."""
    return json.dumps({"verb": verb, **fields})


UNDERSTOOD: list[Any] = [
    pytest.param("promote", "promote", id="bare"),
    pytest.param("  promote\n", "promote", id="bare-with-blanks"),
    pytest.param(asked(), "promote", id="json"),
    pytest.param(asked(uid=UID, rollout=7, step=2, id="a", by="anna", at="now"), "promote", id="json-in-full"),
    pytest.param("  " + asked(), "promote", id="json-with-blanks"),
    pytest.param(asked("promote-full", rollout=7, step=0), "promote-full", id="step-of-a-verb-without-steps"),
    pytest.param(asked("abort", rollout=7), "abort", id="abort-in-the-other-annotation"),
    pytest.param(asked("undo", args={"revision": 1}), "undo", id="undo-to-a-revision"),
    pytest.param(asked("undo", args="all"), "undo", id="arguments-that-are-no-map"),
    pytest.param(asked("undo", args=None), "undo", id="arguments-null"),
    pytest.param(asked(unknown={"a": [1]}), "promote", id="unknown-fields"),
]


@pytest.mark.parametrize(("raw", "verb"), UNDERSTOOD)
def test_a_command_for_what_is_current_is_accepted(raw: str, verb: str) -> None:
    assert answer(ACTIVE, raw) == (verb, "Accepted", "done")


REFUSED: list[Any] = [
    pytest.param("dance", "Unknown verb 'dance'", id="unknown-verb"),
    pytest.param("Promote", "Unknown verb 'Promote'", id="capitals"),
    pytest.param("promote,abort", "Unknown verb", id="two-verbs"),
    pytest.param("{", "neither a verb nor JSON", id="cut"),
    pytest.param('{"verb": "promote"', "neither a verb nor JSON", id="json-cut"),
    pytest.param('{"a":' * 200, "neither a verb nor JSON", id="deep"),
    pytest.param("{" + "[" * 1023, "neither a verb nor JSON", id="deep-list"),
    pytest.param(asked() + "x" * 2000, "neither a verb nor JSON", id="json-and-more"),
    pytest.param("x" * 300_000, "Unknown verb", id="huge"),
    pytest.param("{}", "Unknown verb ''", id="no-verb"),
    pytest.param(asked(None), "Unknown verb 'None'", id="verb-null"),
    pytest.param(asked(["promote"]), "Unknown verb", id="verb-list"),
    pytest.param(asked({"verb": "promote"}), "Unknown verb", id="verb-nested"),
    pytest.param('["promote"]', "Unknown verb", id="list"),
    pytest.param('"promote"', "Unknown verb", id="text"),
    pytest.param("\x00\ud800", "Unknown verb", id="no-text"),
    pytest.param(asked(rollout="7"), "rollout must be a whole number", id="rollout-text"),
    pytest.param(asked(rollout=7.0), "rollout must be a whole number", id="rollout-fraction"),
    pytest.param(asked(rollout=True), "rollout must be a whole number", id="rollout-boolean"),
    pytest.param(asked(rollout=-1), "rollout must be a whole number", id="rollout-negative"),
    pytest.param(asked(rollout=10**30), "rollout must be a whole number", id="rollout-huge"),
    pytest.param(asked(step=[2]), "step must be a whole number", id="step-list"),
    pytest.param(asked("undo", args={"revision": "1"}), "revision must be a whole number", id="revision-text"),
    pytest.param(asked(uid="uid-0"), "an earlier object of this name", id="other-uid"),
    pytest.param(asked(rollout=6), "meant for rollout 6, the current one is 7", id="former-rollout"),
    pytest.param(asked(rollout=8), "meant for rollout 8", id="later-rollout"),
    pytest.param(asked(rollout=7, step=1), "meant for step 2, the rollout is at step 3", id="former-step"),
    pytest.param(asked(rollout=7, step=3), "meant for step 4, the rollout is at step 3", id="later-step"),
]


@pytest.mark.parametrize(("raw", "says"), REFUSED)
def test_48_what_cannot_be_meant_is_rejected_with_a_reason(raw: str, says: str) -> None:
    _, result, message = answer(ACTIVE, raw)
    assert result == "Rejected"
    assert says in message
    assert len(message) <= 512


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.ABORT, Verb.PAUSE, Verb.RESUME])
@pytest.mark.parametrize("record", [pytest.param(IDLE, id="over"), pytest.param(FIRST, id="never-one")])
def test_verbs_about_a_rollout_need_one_under_way(verb: str, record: Record) -> None:
    assert answer(record, verb)[1:] == ("Rejected", f"There is no rollout under way to {verb}")


@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.UNDO])
def test_other_verbs_need_none(verb: str) -> None:
    assert answer(IDLE, verb)[1] == "Accepted"


@pytest.mark.parametrize("verb", Verb)
def test_a_command_for_a_rollout_that_never_was_is_rejected(verb: str) -> None:
    assert answer(FIRST, asked(verb, rollout=1))[1] == "Rejected"


ABORTS: list[Any] = [
    pytest.param("7", "Accepted", id="number"),
    pytest.param(" 7 ", "Accepted", id="number-with-blanks"),
    pytest.param("6", "Rejected", id="former-rollout"),
    pytest.param("²", "Accepted", id="a-digit-that-is-no-number"),
    pytest.param("9" * 900, "Rejected", id="huge-number"),
    pytest.param("yes", "Accepted", id="any-word"),
    pytest.param(json.dumps({"uid": UID, "rollout": 7}), "Accepted", id="json"),
    pytest.param(json.dumps({"rollout": 7, "step": 0, "verb": "promote"}), "Accepted", id="json-with-other-fields"),
    pytest.param(json.dumps({"rollout": 6}), "Rejected", id="json-of-a-former-rollout"),
    pytest.param(json.dumps({"uid": "uid-0"}), "Rejected", id="json-of-a-former-object"),
    pytest.param("{", "Rejected", id="cut"),
]


@pytest.mark.parametrize(("raw", "result"), ABORTS)
def test_49_the_abort_annotation_only_ever_aborts(raw: str, result: str) -> None:
    assert answer(ACTIVE, abort=raw)[:2] == ("abort", result)


def answered(record: Record, command: str | None = None, abort: str | None = None) -> Record:
    """The record after everything that is pending was answered, as pass after pass does."""
    seen = observed(command, abort)
    for _ in range(5):
        found = commands.pending(seen, record)
        if found is None:
            return commands.seen(seen, record)
        record = commands.answered(seen, record, found, commands.refusal(found, seen, record), "done")
    raise AssertionError("the same annotations are answered again and again")


ANNOTATIONS = st.none() | st.sampled_from(["", "promote", "abort", "7", asked(), asked("abort"), asked(rollout=9), "{"])


@given(ANNOTATIONS, ANNOTATIONS, st.lists(st.tuples(ANNOTATIONS, ANNOTATIONS), max_size=3))
def test_48_each_value_is_answered_once(
    command: str | None, abort: str | None, before: list[tuple[str | None, str | None]]
) -> None:
    record = ACTIVE
    for former in before:
        record = answered(record, *former)
    record = answered(record, command, abort)
    assert commands.pending(observed(command, abort), record) is None
    assert commands.seen(observed(command, abort), record) == record


def test_49_abort_comes_before_any_other_command() -> None:
    seen = observed("promote", "7")
    first = commands.pending(seen, ACTIVE)
    assert first is not None
    assert first.verb == Verb.ABORT
    second = commands.pending(seen, commands.answered(seen, ACTIVE, first, "", "done"))
    assert second is not None
    assert second.verb == Verb.PROMOTE


def test_49_an_abort_in_either_annotation_is_answered_once_in_each() -> None:
    record = answered(ACTIVE, None, "7")
    record = answered(record, "abort", "7")
    assert commands.pending(observed("abort", "7"), record) is None


AGAIN: list[Any] = [
    pytest.param(["promote"], False, id="same"),
    pytest.param(["promote", None], True, id="absent-between"),
    pytest.param(["promote", ""], True, id="empty-between"),
    pytest.param(["promote", "pause"], True, id="another-between"),
]


@pytest.mark.parametrize(("history", "counts"), AGAIN)
def test_48_a_value_counts_again_after_another_or_none(history: list[str | None], counts: bool) -> None:
    record = ACTIVE
    for value in history:
        record = answered(record, value)
    assert (commands.pending(observed("promote"), record) is not None) == counts


def test_48_a_command_is_about_the_rollout_and_step_at_which_it_was_seen() -> None:
    last = answered(ACTIVE, "promote").last_command
    assert (last.rollout, last.step, last.at) == (7, 2, "2026-11-21T10:00:00Z")


def test_who_asked_is_kept() -> None:
    last = answered(ACTIVE, asked(by="anna", id="1", rollout=7, step=2)).last_command
    assert (last.by, last.id, last.verb, last.result) == ("anna (claimed)", "1", "promote", "Accepted")


@given(st.text(max_size=2000), st.text(max_size=2000))
def test_any_annotation_leaves_a_status_that_the_schema_takes(command: str, abort: str) -> None:
    last = answered(ACTIVE, command, abort).last_command
    Status.model_validate({"rollout": {"lastCommand": {key: item for key, item in dump(last).items() if item}}})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_in_any_field_leaves_a_status_that_the_schema_takes(value: Any) -> None:
    for field in ("verb", "uid", "rollout", "step", "id", "by", "at", "args"):
        last = answered(ACTIVE, json.dumps({"verb": "promote", field: value})).last_command
        Status.model_validate({"rollout": {"lastCommand": {key: item for key, item in dump(last).items() if item}}})


def test_nothing_asked_changes_nothing() -> None:
    assert commands.pending(observed(), ACTIVE) is None
    assert commands.seen(observed(), ACTIVE).last_command == LastCommand()


def test_half_a_character_that_json_can_spell_does_not_reach_the_status() -> None:
    seen = observed(abort='{"by": "ada\\ud800", "id": "\\udfff"}')
    found = commands.pending(seen, ACTIVE)
    assert found is not None
    last = commands.answered(seen, ACTIVE, found, "", f"by {found.by}").last_command
    assert json.dumps(dump(last), ensure_ascii=False).encode()
    assert last.by.startswith("ada")
