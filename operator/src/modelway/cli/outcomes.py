"""What became of a command: read from the status, again and again until it says. Pure."""

from dataclasses import dataclass

from modelway.api.status import HistoryEntry, RolloutStatus
from modelway.cli.commands import Command, Verb
from modelway.cli.objects import Model

_PROMOTED = ("Promoted", "FastPromoted")
_WENT_BACK = ("RolledBack", *_PROMOTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Where a command is. `is_done` with `is_good` false means that it will not come about."""

    is_done: bool
    is_good: bool
    message: str
    is_overtaken: bool = False
    """Whether that is because another command, or a new version, took its place."""


def judge(command: Command, model: Model) -> Verdict:
    """Whether the command has had its effect, judged from the object as it is now.

    Nothing is waited for that another command, a new version or the end of the object has made impossible.
    """
    if model.uid != command.uid or model.is_deleting:
        return _overtaken(f"{model.name} {'is being deleted' if model.is_deleting else 'is another object by now'}")
    last = model.last_command
    is_last = last is not None and last.id == command.caller.id
    if is_last and last and last.result == "Rejected":
        return Verdict(is_done=True, is_good=False, message=f"rejected: {last.message or 'no message'}")
    if is_last or _goes_on(command, model):
        return _JUDGES[command.verb](command, model)
    seen, present = _seen(command, model), _present(command, model)
    if present == command.value != seen:
        return _waits("waiting for the operator to see the command")
    found = _JUDGES[command.verb](command, model) if command.verb in _BOUND else None
    if found and found.is_done:
        return found
    return _overtaken(_later(model) if seen in (command.value, present) else "another command was written over it")


_BOUND = (Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.ABORT, Verb.PAUSE, Verb.RESUME)
"""About the rollout that was under way; what becomes of that is told, whoever brought it about."""


def _goes_on(command: Command, model: Model) -> bool:
    """Whether it was accepted and goes on, though other commands came after it, such as approvals of its rollout."""
    rollout = model.rollout
    if rollout is None:
        return False
    if command.verb in (Verb.RETRY, Verb.UNDO) and _begun(command, model) is not None:
        return rollout.source in (None, _SOURCES[command.verb])
    is_back = rollout.id == command.rollout and rollout.step_state == "RollingBack"
    is_its_doing = command.verb in _REASONS and rollout.reason == _REASONS[command.verb]
    return _is_under_way(command, model) or (is_back and is_its_doing)


_SOURCES = {Verb.RETRY: "Retry", Verb.UNDO: "Undo"}
_REASONS = {Verb.ABORT: "UserAbort", Verb.UNDO: "UserUndo"}


def _present(command: Command, model: Model) -> str:
    """What the annotation holds; where it is gone, as GitOps may have stripped it, that means nothing."""
    annotations = model.manifest["metadata"].get("annotations") or {}
    return str(annotations.get(command.annotation, command.value))


def _seen(command: Command, model: Model) -> str | None:
    """What the operator has read from that annotation last, also where it has answered the other one since."""
    last = model.last_command
    return (last.raw_abort if command.verb is Verb.ABORT else last.raw) if last else None


def _later(model: Model) -> str:
    last = model.last_command
    if last is None:
        return "another command followed"
    return f"another command followed: {last.verb}{f' by {last.by}' if last.by else ''}: {last.message or last.result}"


def _is_under_way(command: Command, model: Model) -> bool:
    """Whether a refresh is what the spec's revision carries by now."""
    refresh = model.rollout.refresh if model.rollout else None
    return command.verb is Verb.REFRESH and refresh is not None and refresh.id == command.caller.id


def _waits(message: str) -> Verdict:
    return Verdict(is_done=False, is_good=False, message=message)


def _overtaken(message: str) -> Verdict:
    return Verdict(is_done=True, is_good=False, message=message, is_overtaken=True)


def _good(message: str) -> Verdict:
    return Verdict(is_done=True, is_good=True, message=message)


def _own(command: Command, model: Model) -> RolloutStatus | HistoryEntry | None:
    """The rollout that the command was meant for, also when another one has followed it."""
    if model.rollout and model.rollout.id == command.rollout:
        return model.rollout
    return next((entry for entry in model.status.history if entry.id == command.rollout), None)


def _ended(model: Model, rollout: RolloutStatus | HistoryEntry | None, wanted: tuple[str, ...]) -> Verdict:
    """How a rollout ended, if it has."""
    if rollout is None or not rollout.finished_at:
        return _waits(model.status.message or "under way")
    why = f" ({rollout.reason})" if rollout.reason else ""
    serving = model.status.stable_revision
    serves = f"revision {serving.number} serves" if serving else "nothing serves"
    message = f"rollout {rollout.id} ended: {rollout.outcome}{why}; {serves}"
    if rollout.outcome == "Superseded" and rollout.outcome not in wanted:
        return _overtaken(message)
    return Verdict(is_done=True, is_good=rollout.outcome in wanted, message=message)


def _promote(command: Command, model: Model) -> Verdict:
    """One step further counts, and so does the end."""
    rollout = model.active
    if rollout and rollout.id == command.rollout and (rollout.step_index or 0) > command.step:
        return _good(f"rollout {rollout.id} is at step {(rollout.step_index or 0) + 1}")
    return _ended(model, _own(command, model), _PROMOTED)


def _promote_full(command: Command, model: Model) -> Verdict:
    return _ended(model, _own(command, model), _PROMOTED)


def _abort(command: Command, model: Model) -> Verdict:
    return _ended(model, _own(command, model), ("Aborted", "RolledBack"))


def _retry(command: Command, model: Model) -> Verdict:
    begun = _begun(command, model)
    return _ended(model, begun, _PROMOTED) if begun else _waits("waiting for the new rollout")


def _begun(command: Command, model: Model) -> RolloutStatus | HistoryEntry | None:
    """The first rollout after the one that was current when the command was made."""
    found: list[RolloutStatus | HistoryEntry] = [*([model.rollout] if model.rollout else ()), *model.status.history]
    later = [item for item in found if (item.id or 0) > command.rollout]
    return min(later, key=lambda item: item.id or 0, default=None)


def _refresh(command: Command, model: Model) -> Verdict:
    return follow(command.rollout + 1, model)


def follow(number: int, model: Model) -> Verdict:
    """How the rollout of that number, or one after it, stands or ended; good only where it was promoted."""
    rollout = model.rollout
    ended = next((entry for entry in model.status.history if entry.id == number), None)
    if ended is None and (rollout is None or (rollout.id or 0) < number):
        return _waits("waiting for the rollout to begin")
    return _ended(model, ended or rollout, _PROMOTED)


def _undo(command: Command, model: Model) -> Verdict:
    """An undo begins a rollout of its own, whose end counts; towards the stable revision it turns the present one."""
    rollout = model.rollout
    if rollout and rollout.id == command.rollout and rollout.reason == "UserUndo":
        return _ended(model, rollout, ("Aborted", *_WENT_BACK))
    is_withdrawn = rollout is not None and rollout.refresh is not None and not model.is_true("RolledBack")
    if rollout and rollout.id == command.rollout and rollout.finished_at and is_withdrawn:
        return _good("a refresh was taken back, without a rollout")
    begun = _begun(command, model)
    return _ended(model, begun, _WENT_BACK) if begun else _waits("waiting for the way back to begin")


def _pause(command: Command, model: Model) -> Verdict:
    own = _own(command, model)
    if own is not None and own.finished_at:
        return _ended(model, own, ())
    is_paused = model.active is not None and model.active.paused
    return _good("paused") if is_paused else _waits("waiting for the pause")


def _resume(command: Command, model: Model) -> Verdict:
    own = _own(command, model)
    if own is not None and own.finished_at:
        return _ended(model, own, _PROMOTED)
    is_paused = model.active is not None and model.active.paused
    return _waits("waiting for the rollout to go on") if is_paused else _good("resumed")


_JUDGES = {
    Verb.PROMOTE: _promote,
    Verb.PROMOTE_FULL: _promote_full,
    Verb.ABORT: _abort,
    Verb.RETRY: _retry,
    Verb.UNDO: _undo,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.REFRESH: _refresh,
}
