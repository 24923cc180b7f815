"""What people ask for by annotation: read once, bound to what was current, and never obeyed twice. Pure."""

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from modelway import names
from modelway.plan.observed import Observed
from modelway.plan.record import LastCommand, Record, timestamp

FIELD_LIMIT = 63
RAW_LIMIT = 1024


class Verb(StrEnum):
    """What can be asked for."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"
    UNDO = "undo"
    PAUSE = "pause"
    RESUME = "resume"
    REFRESH = "refresh"


_STEP_VERBS = {Verb.PROMOTE}
_LARGEST = 2**31 - 1
"""Most that the status can hold as a number of a rollout or step."""

_ACTIVE_VERBS = {Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.ABORT, Verb.PAUSE, Verb.RESUME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, as written."""

    verb: str
    uid: str = ""
    rollout: int | None = None
    step: int | None = None
    id: str = ""
    by: str = ""
    at: str = ""
    revision: int | None = None
    problem: str = ""
    is_abort_annotation: bool = False


def pending(observed: Observed, record: Record) -> Command | None:
    """The command that was not seen before; an abort comes before anything else."""
    annotations = observed.owner.annotations
    abort = annotations.get(names.ABORT_ANNOTATION, "")[:RAW_LIMIT]
    if abort and abort != record.last_command.raw_abort:
        return replace(_parse_abort(abort), is_abort_annotation=True)
    raw = annotations.get(names.COMMAND_ANNOTATION, "")[:RAW_LIMIT]
    if raw and raw != record.last_command.raw:
        return _parse(raw)
    return None


def seen(observed: Observed, record: Record) -> Record:
    """With the raw values noted, also that there are none, so that a later equal one counts as new."""
    annotations = observed.owner.annotations
    last = replace(
        record.last_command,
        raw=annotations.get(names.COMMAND_ANNOTATION, "")[:RAW_LIMIT],
        raw_abort=annotations.get(names.ABORT_ANNOTATION, "")[:RAW_LIMIT],
    )
    return record if last == record.last_command else replace(record, last_command=last)


def answered(observed: Observed, record: Record, command: Command, refusal: str, effect: str) -> Record:
    """With the command and what became of it noted; it must have been `pending`."""
    annotations = observed.owner.annotations
    active = record.rollout
    present = annotations.get(names.COMMAND_ANNOTATION, "")[:RAW_LIMIT]
    raw = record.last_command.raw if command.is_abort_annotation else present
    last = LastCommand(
        raw=raw,
        raw_abort=annotations.get(names.ABORT_ANNOTATION, "")[:RAW_LIMIT],
        id=command.id,
        verb=command.verb[:FIELD_LIMIT],
        rollout=command.rollout if command.rollout is not None else (active.id if active else 0),
        step=command.step if command.step is not None else (active.step if active else 0),
        by=author(command, observed),
        at=timestamp(observed.now),
        result="Rejected" if refusal else "Accepted",
        message=refusal or effect,
    )
    return replace(record, last_command=last)


def author(command: Command, observed: Observed) -> str:
    """Who asked: the name that the command claims, else the field manager that wrote the annotation."""
    if command.by:
        return f"{command.by} (claimed)"
    annotation = names.ABORT_ANNOTATION if command.is_abort_annotation else names.COMMAND_ANNOTATION
    manager = observed.owner.writers.get(annotation, "")
    return f"{manager} (field manager)" if manager else ""


def refusal(command: Command, observed: Observed, record: Record) -> str:
    """Why the command does not apply to what is current; empty when it does."""
    if command.problem:
        return command.problem
    if command.verb not in set(Verb):
        return f"Unknown verb {command.verb[:FIELD_LIMIT]!r}: use one of {', '.join(Verb)}"
    if command.uid and command.uid != observed.owner.uid:
        return "It was meant for an earlier object of this name"
    return _misbound(command, record)


def _misbound(command: Command, record: Record) -> str:
    rollout = record.rollout
    if command.verb in _ACTIVE_VERBS and record.active is None:
        return f"There is no rollout under way to {command.verb}"
    if command.rollout is not None and command.rollout != (rollout.id if rollout else 0):
        return f"It was meant for rollout {command.rollout}, the current one is {rollout.id if rollout else 'none'}"
    if command.verb in _STEP_VERBS and rollout and command.step not in (None, rollout.step):
        return f"It was meant for step {(command.step or 0) + 1}, the rollout is at step {rollout.step + 1}"
    return ""


def _parse_abort(raw: str) -> Command:
    number = raw.strip()
    if number.isdecimal():
        return Command(verb=Verb.ABORT, rollout=int(number)) if int(number) <= _LARGEST else _unnumbered("rollout")
    if not raw.lstrip().startswith("{"):
        return Command(verb=Verb.ABORT)
    return replace(_parse(raw), verb=Verb.ABORT, step=None)


def _unnumbered(name: str, verb: str = Verb.ABORT) -> Command:
    return Command(verb=verb, problem=f"{name} must be a whole number from 0 to {_LARGEST}")


def _parse(raw: str) -> Command:
    if not raw.lstrip().startswith("{"):
        return Command(verb=raw.strip())
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return Command(verb="", problem="The annotation is neither a verb nor JSON")
    arguments = found.get("args") if isinstance(found.get("args"), dict) else {}
    numbers = {
        "rollout": found.get("rollout"),
        "step": found.get("step"),
        "revision": arguments.get("revision"),
    }
    for name, value in numbers.items():
        if value is not None and not _is_number(value):
            return _unnumbered(name, _text(found.get("verb", "")))
    verb, uid, identity, by, at = (_text(found.get(name, "")) for name in ("verb", "uid", "id", "by", "at"))
    return Command(verb=verb, uid=uid, id=identity, by=by, at=at, **numbers)


def _text(value: object) -> str:
    """As the status can hold it: JSON can spell half a character, UTF-8 cannot."""
    return str(value).encode(errors="replace").decode()[:FIELD_LIMIT]


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST
