"""Refreshing many: what each object needs, and the table of what became of it. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelway.cli import grid
from modelway.cli.objects import Model
from modelway.cli.paint import PLAIN, Paint


class Result(StrEnum):
    """What became of one object; the words of the table."""

    REFRESHED = "refreshed"
    ASKED = "asked"
    WOULD = "would be refreshed"
    CURRENT = "up to date"
    SKIPPED = "skipped"
    BUSY = "busy"
    FAILED = "failed"
    LATE = "late"
    UNTRIED = "not tried"


UNDONE = (Result.BUSY, Result.FAILED, Result.LATE, Result.UNTRIED)
"""What a further call has to look at again."""

BROKEN = (Result.FAILED, Result.LATE)
"""What stops the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One object and its result."""

    namespace: str
    name: str
    result: Result
    message: str = ""


def hindrance(model: Model) -> Line | None:
    """Why nothing is to be asked of an object; None where it is to be refreshed, or a refresh is under way."""
    active, runtime = model.active, model.status.runtime
    if model.is_deleting:
        return _line(model, Result.SKIPPED, "it is being deleted")
    if active and active.source == "Refresh":
        return None
    if active:
        return _line(model, Result.BUSY, f"rollout {active.id} is under way")
    if not model.status.stable_revision:
        return _line(model, Result.SKIPPED, "nothing serves yet")
    if model.spec and model.spec.replicas == 0:
        return _line(model, Result.SKIPPED, "it is suspended")
    if runtime is None or not runtime.outdated:
        return _line(model, Result.CURRENT, "")
    if model.spec and model.spec.rollout.paused:
        return _line(model, Result.BUSY, "spec.rollout.paused lets no rollout begin")
    return None


def refreshed(model: Model, message: str) -> Line:
    """A refresh that was promoted."""
    return _line(model, Result.REFRESHED, message)


def missed(model: Model, message: str, rollout: int) -> Line:
    """A refresh that was rejected or not promoted: it failed, unless another rollout was faster than that one."""
    last = model.last_command
    is_rejected = last is not None and last.result == "Rejected"
    is_overtaken = is_rejected and model.rollout is not None and (model.rollout.id or 0) >= rollout
    return hindrance(model) or _line(model, Result.BUSY if is_overtaken else Result.FAILED, message)


def _line(model: Model, result: Result, message: str) -> Line:
    return Line(namespace=model.namespace, name=model.name, result=result, message=message)


def table(lines: Sequence[Line], paint: Paint = PLAIN) -> str:
    """Each object that was not up to date and its result, and a last line that counts all of them."""
    told = sorted((line for line in lines if line.result is not Result.CURRENT), key=_place)
    head = ("NAMESPACE", "NAME", "RESULT", "MESSAGE")
    rows = [(line.namespace, line.name, line.result.value, line.message) for line in told]
    found = Counter(line.result for line in lines)
    summary = ", ".join(f"{found[result]} {result}" for result in Result if found[result])
    advice = "; the same command goes on with the rest" if any(line.result in UNDONE for line in lines) else ""
    return "\n".join([*(grid.lines(head, rows, paint) if rows else ()), f"{summary or 'nothing found'}{advice}"]) + "\n"


def _place(line: Line) -> tuple[str, str]:
    return line.namespace, line.name
