"""What a rollout must remember between passes; kept in `status`, never in memory. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType


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
    REFRESH = "Refresh"


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
    by: str = ""
    """Who asked for it; later whose command approved, ended or undid it, or who wrote the spec that did."""
    turned_back_at: datetime | None = None
    is_replacing: bool = False
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
    strategy: str = ""
    steps: int | None = None
    """How many steps it reached, of `step_count`."""
    step_count: int | None = None
    by: str = ""
    message: str = ""

    @property
    def is_promotion(self) -> bool:
        """Whether its revision became stable."""
        return self.outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Which refresh of the runtime the revision of a spec carries, as commands decided it."""

    id: str = ""
    """Id of the command; empty: the revision is meant that carries none."""
    spec_hash: str
    """Hash of the `model` and `runtime` that this is about."""
    by: str = ""
    """Who asked for it."""


HISTORY_LIMIT = 10

LINE_LIMIT = 256
"""Characters of a message in the history; ten lines must stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is remembered about one ModelDeployment."""

    stable: str = ""
    rollout: Rollout | None = None
    last_command: LastCommand = field(default_factory=LastCommand)
    refresh: Refresh | None = None
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

    def finish(self, rollout: Rollout, step_count: int) -> "Record":
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
            strategy=rollout.strategy,
            steps=min(rollout.step + 1, step_count),
            step_count=step_count,
            by=rollout.by,
            message=rollout.message[:LINE_LIMIT],
        )
        return replace(self, rollout=rollout, history=_recent((*self.history, line)))


def _recent(history: tuple[Finished, ...]) -> tuple[Finished, ...]:
    """The last ten; `undo` needs the last promotion, however many tries have failed since."""
    promotion = next((line for line in reversed(history) if line.is_promotion), None)
    recent = history[-HISTORY_LIMIT:]
    return recent if promotion is None or promotion in recent else (promotion, *recent[1:])


_FIRST_YEAR, _LAST_YEAR = 1970, 9000
"""Years that leave room for every duration."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes times."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def moment(text: str) -> datetime:
    """The inverse of `timestamp`; raises ValueError for a time that no rollout can have."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not _FIRST_YEAR <= found.year < _LAST_YEAR:
        raise ValueError(f"{text} is no time of a rollout")
    return found
