"""What is worth an Event: the transitions from one status to the next. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from modelway import transitions
from modelway.kinds import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One Event to write."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


_TOLD = {"Stalled": "Warning", "RevisionFailed": "Warning", "Paused": "Normal"}
_TOLD_ELSEWHERE = ("RolloutFailed", "RolloutAborted")
_BEGINNINGS = {"Undo": "UserUndo"}


def news(old: Manifest, new: Manifest) -> Iterator[News]:
    """Every transition, once: rollouts begun, moved and ended, commands refused, conditions that became true."""
    now = new.get("rollout") or {}
    ended = transitions.ended(old, new)
    conditions = tuple(_of_conditions(_by_type(old), _by_type(new)))
    is_told = _is_told(now, new, conditions)
    yield from (_end(line) for line in ended if line["id"] != now.get("id"))
    yield from _of_rollout(old.get("rollout") or {}, now)
    yield from (_end(line) for line in ended if line["id"] == now.get("id") and not is_told)
    yield from _of_command(transitions.answered(old, new) or {})
    yield from conditions
    yield from _of_outage(old, new)


def _is_told(rollout: Manifest, new: Manifest, conditions: Iterable[News]) -> bool:
    """Whether a condition says why a rollout ended, with more words than its end would."""
    failed = _by_type(new).get("RevisionFailed", {})
    is_overdue = any(item.reason == "ProgressDeadlineExceeded" for item in conditions)
    return failed.get("reason") == rollout.get("reason", "") or is_overdue


def _by_type(status: Manifest) -> dict[str, Manifest]:
    return {item["type"]: item for item in status.get("conditions", ())}


def _of_rollout(old: Manifest, new: Manifest) -> Iterator[News]:
    if "id" not in new:
        return
    name, number = new["revision"], new["id"]
    if old.get("id") != number:
        yield _normal(
            _BEGINNINGS.get(new["source"], "NewRevisionCreated"),
            f"Rollout {number} of {name} began ({new['strategy']}, by {new['source']})",
        )
    step = (number, new.get("stepIndex", 0))
    if "finishedAt" not in new and step[1] and step != (old.get("id"), old.get("stepIndex", 0)):
        yield _normal("ShiftingTraffic", f"Rollout {number} of {name} reached step {step[1] + 1} of {new['stepCount']}")
    was_edited = old.get("edited") and old.get("id") == number
    if new.get("edited") and not was_edited:
        text = f"Rollout {number} keeps its plan ({new['plan']}): the edit of spec.rollout counts from the next one"
        yield _normal("RolloutInProgress", text)


def _end(line: Manifest) -> News:
    """The end of a rollout, as the history tells it."""
    number, name, outcome = line["id"], line.get("to"), line["outcome"]
    if outcome in ("Promoted", "FastPromoted"):
        return _normal("RevisionPromoted", f"Rollout {number}: {name} has all of the traffic")
    text = f"Rollout {number} of {name} ended: {outcome}, {line.get('reason', 'for no reason given')}"
    is_wish = outcome in ("Superseded", "RolledBack")
    severity: Literal["Normal", "Warning"] = "Normal" if is_wish else "Warning"
    return News(type=severity, reason=line.get("reason") or "RolloutFailed", message=text)


def _normal(reason: str, message: str) -> News:
    return News(type="Normal", reason=reason, message=message)


def _of_command(command: Manifest) -> Iterator[News]:
    if command.get("result") == "Rejected":
        message = f"{command.get('verb')}: {command.get('message')}"
        yield News(type="Warning", reason="CommandRejected", message=message)


def _of_conditions(old: dict[str, Manifest], new: dict[str, Manifest]) -> Iterator[News]:
    for kind, severity in _TOLD.items():
        now, before = new.get(kind), old.get(kind)
        if now is not None and now["reason"] in _TOLD_ELSEWHERE:
            continue
        if now is not None and (before is None or before["reason"] != now["reason"]):
            yield News(
                type="Warning" if severity == "Warning" else "Normal",
                reason=now["reason"],
                message=now["message"],
            )


def _of_outage(old: Manifest, new: Manifest) -> Iterator[News]:
    """Nobody answers any more, though somebody should."""
    now, before = _by_type(new).get("Available"), _by_type(old).get("Available")
    if new.get("phase") == "Suspended":
        return
    if now and before and now["status"] == "False" and before["status"] == "True":
        yield News(type="Warning", reason=now["reason"], message=now["message"])
