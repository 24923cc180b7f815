"""From a verb and the object as it is now to the annotation that the operator obeys. Pure.

Each command names the object's uid, the rollout and the step that it was meant for, so that one which comes
late, twice or from a copy of the manifest does nothing. What cannot work is refused here, with the next step.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum

from modelway import names
from modelway.api.status import RolloutStatus
from modelway.cli.exits import Failure
from modelway.cli.objects import Model


class Verb(StrEnum):
    """What can be asked for; the words of the annotation."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"
    UNDO = "undo"
    PAUSE = "pause"
    RESUME = "resume"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, when (RFC 3339), and under which id the answer is found again."""

    id: str
    by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, bound to what was current when it was made."""

    verb: Verb
    uid: str
    rollout: int
    step: int
    caller: Caller
    args: dict[str, int] = field(default_factory=dict)

    @property
    def annotation(self) -> str:
        """Name of the annotation. Abort has one of its own, so that nothing written later hides it."""
        return names.ABORT_ANNOTATION if self.verb is Verb.ABORT else names.COMMAND_ANNOTATION

    @property
    def value(self) -> str:
        """Value of the annotation."""
        caller = {"id": self.caller.id, "by": self.caller.by, "at": self.caller.at}
        bound: dict[str, object] = {"uid": self.uid, "rollout": self.rollout}
        if self.verb is not Verb.ABORT:
            bound = {"verb": self.verb.value, **bound, "step": self.step}
        return json.dumps(bound | caller | ({"args": self.args} if self.args else {}))


def make(verb: Verb, model: Model, caller: Caller, *, to_revision: int | None = None) -> Command:
    """The command for the object as it is now. Raises Failure where it cannot work."""
    if model.is_deleting:
        raise Failure(
            f"{model.name} is being deleted", advice="Its pods answer until they are gone; apply it again to serve."
        )
    rollout = _CHECKS[verb](model)
    if to_revision is not None:
        _check_revision(model, to_revision)
    return Command(
        verb=verb,
        uid=model.uid,
        rollout=(rollout.id or 0) if rollout else 0,
        step=(rollout.step_index or 0) if rollout else 0,
        caller=caller,
        args={} if to_revision is None else {"revision": to_revision},
    )


def _run(verb: str, model: Model) -> str:
    """A command for this very object, to be copied."""
    return f"`kubectl modelway {verb} {model.name} -n {model.namespace}`"


def _status(model: Model) -> str:
    return f"See {_run('status', model)}."


def _under_way(model: Model) -> RolloutStatus:
    """The rollout that moves or waits. Raises Failure where nothing does."""
    if model.active:
        return model.active
    serving = model.status.stable_revision
    what = f"revision {serving.number} serves" if serving else "nothing serves yet"
    raise Failure(f"no rollout of {model.name} is under way: {what}", advice=_status(model))


def _for_abort(model: Model) -> RolloutStatus:
    if not model.active:
        raise Failure(
            f"no rollout of {model.name} is under way, so there is nothing to abort",
            advice=f"To go back to the revision before, run {_run('undo', model)}.",
        )
    return model.active


def _for_retry(model: Model) -> RolloutStatus:
    rollout = model.rollout
    if rollout is None:
        raise Failure(f"{model.name} had no rollout yet, so there is nothing to retry", advice=_status(model))
    if model.active and not rollout.retry_at:
        raise Failure(
            f"rollout {rollout.id} of {model.name} is still under way",
            advice=f"To begin again, run {_run('abort', model)} first.",
        )
    if rollout.outcome in ("Promoted", "FastPromoted") and not rollout.against:
        raise Failure(f"rollout {rollout.id} of {model.name} was promoted, so there is nothing to retry")
    return rollout


def _for_undo(model: Model) -> RolloutStatus | None:
    if not model.status.stable_revision:
        raise Failure(
            f"no revision of {model.name} serves yet, so there is none before it",
            advice="Apply a corrected spec.",
        )
    return model.rollout


def _for_refresh(model: Model) -> RolloutStatus | None:
    """Whoever asks for many knows already which of them can be refreshed."""
    return model.rollout


def _for_pause(model: Model) -> RolloutStatus:
    rollout = _under_way(model)
    if rollout.paused:
        raise Failure(
            f"rollout {rollout.id} of {model.name} is paused already",
            advice=f"To go on, run {_run('resume', model)}.",
        )
    return rollout


def _for_resume(model: Model) -> RolloutStatus:
    rollout = _under_way(model)
    if model.spec and model.spec.rollout.paused:
        raise Failure(
            f"{model.name} is paused by its spec, which no command changes",
            advice="Write `spec.rollout.paused: false` and apply.",
        )
    if not rollout.paused:
        raise Failure(
            f"rollout {rollout.id} of {model.name} is not paused",
            advice=f"To approve a step or to end its hold, run {_run('promote', model)}.",
        )
    return rollout


def _check_revision(model: Model, number: int) -> None:
    if model.revision(number):
        serving = model.status.stable_revision
        if serving and serving.number == number and not model.active and not model.is_true("RolledBack"):
            raise Failure(f"revision {number} of {model.name} serves already")
        return
    kept = ", ".join(str(item.number) for item in model.status.revisions) or "none"
    raise Failure(
        f"revision {number} of {model.name} is not kept; kept are: {kept}",
        advice="Older ones go by `spec.revisionHistoryLimit`; apply the old spec instead.",
    )


_CHECKS = {
    Verb.PROMOTE: _under_way,
    Verb.PROMOTE_FULL: _under_way,
    Verb.ABORT: _for_abort,
    Verb.RETRY: _for_retry,
    Verb.UNDO: _for_undo,
    Verb.PAUSE: _for_pause,
    Verb.RESUME: _for_resume,
    Verb.REFRESH: _for_refresh,
}
