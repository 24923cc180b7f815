"""What a rollout must remember between passes; kept in `status`, never in memory. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from modelway.kinds import Manifest

T = TypeVar("T")


class Strategy(StrEnum):
    """How a rollout gives traffic to its revision."""

    INITIAL = "Initial"
    ROLLING = "Rolling"
    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"
    RETURN = "Return"


class Source(StrEnum):
    """What asked for a rollout."""

    SPEC = "Spec"
    RETRY = "Retry"
    UNDO = "Undo"
    BAKE = "Bake"


class StepState(StrEnum):
    """Where a step is; in this order."""

    SCALING = "Scaling"
    LOADING = "Loading"
    WARMING = "Warming"
    VALIDATING = "Validating"
    ROUTING = "Routing"
    VERIFYING = "Verifying"
    SETTLING = "Settling"
    HOLDING = "Holding"
    ANALYZING = "Analyzing"
    PROMOTING = "Promoting"
    ROLLING_BACK = "RollingBack"


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    FAST_PROMOTED = "FastPromoted"
    ABORTED = "Aborted"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout of one revision: its intent, its place in the steps and its clocks."""

    id: int
    revision: str
    origin: str
    against: str = ""
    strategy: Strategy
    source: Source
    started_at: datetime
    state: StepState = StepState.SCALING
    step: int = 0
    step_started_at: datetime
    progress_at: datetime
    high_water: int = 0
    base: int = 0
    settled_at: datetime | None = None
    hold_started_at: datetime | None = None
    paused_at: datetime | None = None
    is_paused_by_command: bool = False
    is_approved: bool = False
    is_full: bool = False
    attempt: int = 0
    retry_at: datetime | None = None
    outcome: str = ""
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether it still has something to do."""
        return self.finished_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCommand:
    """The last command seen and what became of it; `raw` is never obeyed twice."""

    raw: str = ""
    raw_abort: str = ""
    id: str = ""
    verb: str = ""
    rollout: int = 0
    step: int = 0
    by: str = ""
    at: str = ""
    result: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One line of the history."""

    id: int
    origin: str
    revision: str
    outcome: str
    reason: str
    started_at: datetime
    finished_at: datetime

    @property
    def is_promotion(self) -> bool:
        """Whether its revision became stable."""
        return self.outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED)


HISTORY_LIMIT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is remembered about one ModelDeployment."""

    stable: str = ""
    rollout: Rollout | None = None
    last_command: LastCommand = field(default_factory=LastCommand)
    retire_at: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    history: tuple[Finished, ...] = ()

    @property
    def active(self) -> Rollout | None:
        """The rollout under way, if any."""
        return self.rollout if self.rollout and self.rollout.is_active else None

    @property
    def former(self) -> str:
        """The revision that stable took over from; empty where there was none, or where that is forgotten."""
        promoted = (line for line in reversed(self.history) if line.is_promotion and line.revision == self.stable)
        return next((line.origin for line in promoted), "")

    def finish(self, rollout: Rollout) -> "Record":
        """With that rollout ended and written into the history (the last ten are kept, and the last promotion)."""
        assert rollout.finished_at is not None
        line = Finished(
            id=rollout.id,
            origin=rollout.origin,
            revision=rollout.revision,
            outcome=rollout.outcome,
            reason=rollout.reason,
            started_at=rollout.started_at,
            finished_at=rollout.finished_at,
        )
        return replace(self, rollout=rollout, history=_recent((*self.history, line)))


def _recent(history: tuple[Finished, ...]) -> tuple[Finished, ...]:
    """The last ten; `undo` needs the last promotion, however many tries have failed since."""
    promotion = next((line for line in reversed(history) if line.is_promotion), None)
    recent = history[-HISTORY_LIMIT:]
    return recent if promotion is None or promotion in recent else (promotion, *recent[1:])


_NAMES = {
    "origin": "from",
    "step": "stepIndex",
    "state": "stepState",
    "is_paused_by_command": "paused",
    "is_approved": "approved",
    "is_full": "full",
    "paused_at": "pauseStartedAt",
    "progress_at": "lastProgressAt",
    "high_water": "highWaterReady",
    "base": "baseReplicas",
}
_TIMES = {
    "started_at",
    "step_started_at",
    "settled_at",
    "hold_started_at",
    "paused_at",
    "progress_at",
    "retry_at",
}
_TIMES |= {"finished_at"}


_FIRST_YEAR, _LAST_YEAR = 1970, 9000
"""Years that leave room for every duration."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The inverse of `timestamp`; raises ValueError for a time that no rollout can have."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not _FIRST_YEAR <= found.year < _LAST_YEAR:
        raise ValueError(f"{text} is no time of a rollout")
    return found


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _key(cls: type, name: str) -> str:
    if cls is Finished and name == "revision":
        return "to"
    if cls is LastCommand:
        return _camel(name)
    return _NAMES.get(name, _camel(name))


def dump(value: Rollout | LastCommand | Finished) -> Manifest:
    """One of the records above as JSON; empty values are left out."""
    found = {_key(type(value), item.name): getattr(value, item.name) for item in fields(value)}
    return {
        key: timestamp(item) if isinstance(item, datetime) else item
        for key, item in found.items()
        if item is not None and item is not False and item != ""
    }


def _load(cls: type[Any], raw: Manifest) -> Any:
    keys = {item.name: _key(cls, item.name) for item in fields(cls)}
    values = {name: raw[key] for name, key in keys.items() if key in raw}
    times = {name: moment(values[name]) for name in values.keys() & _TIMES}
    return cls(**values | times)


def _rollout(raw: Manifest) -> Rollout:
    rollout: Rollout = _load(Rollout, {"from": ""} | raw)
    is_over = rollout.finished_at is not None or rollout.state == StepState.ROLLING_BACK
    return replace(
        rollout,
        outcome=str(Outcome(rollout.outcome)) if is_over else "",
        strategy=Strategy(rollout.strategy),
        source=Source(rollout.source),
        state=StepState(rollout.state),
    )


def _finished(raw: Manifest) -> Finished:
    line: Finished = _load(Finished, {"reason": "", "from": ""} | raw)
    return line


def _readable(read: Callable[[Any], T], raw: Any) -> T | None:
    """What another version of the operator, or a person, wrote so that it cannot be read counts as lost."""
    try:
        return read(raw)
    except (KeyError, TypeError, ValueError):
        return None


def parse(status: Manifest) -> Record:
    """The record kept in a status; an empty one where there is none."""
    rollout = status.get("rollout") or {}
    retire = {item["name"]: _readable(moment, item.get("retainUntil")) for item in status.get("revisions", ())}
    history = (_readable(_finished, line) for line in status.get("history", ()))
    return Record(
        stable=status.get("stableRevision", {}).get("name", ""),
        rollout=_readable(_rollout, rollout) if "id" in rollout else None,
        last_command=_load(LastCommand, rollout.get("lastCommand", {})),
        retire_at=MappingProxyType({name: until for name, until in retire.items() if until is not None}),
        history=tuple(line for line in history if line is not None),
    )
