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


def judge(command: Command, model: Model) -> Verdict:
    """Whether the command has had its effect, judged from the object as it is now."""
    last = model.last_command
    is_last = last is not None and last.id == command.caller.id
    if not is_last and not _is_under_way(command, model):
        return _waits("waiting for the operator to see the command")
    if is_last and last and last.result == "Rejected":
        return Verdict(is_done=True, is_good=False, message=f"rejected: {last.message or 'no message'}")
    return _JUDGES[command.verb](command, model)


def _is_under_way(command: Command, model: Model) -> bool:
    """Whether it was accepted, though others came after it, such as the approvals of its own rollout."""
    refresh = model.rollout.refresh if model.rollout else None
    return command.verb is Verb.REFRESH and refresh is not None and refresh.id == command.caller.id


def _waits(message: str) -> Verdict:
    return Verdict(is_done=False, is_good=False, message=message)


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
    rollout = model.rollout
    if rollout is None or (rollout.id or 0) <= command.rollout:
        return _waits("waiting for the new rollout")
    return _ended(model, rollout, _PROMOTED)


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
    if rollout is None or (rollout.id or 0) <= command.rollout:
        return _waits("waiting for the way back to begin")
    return _ended(model, rollout, _WENT_BACK)


def _pause(command: Command, model: Model) -> Verdict:
    is_paused = model.active is not None and model.active.paused
    return _good("paused") if is_paused else _waits("waiting for the pause")


def _resume(command: Command, model: Model) -> Verdict:
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
