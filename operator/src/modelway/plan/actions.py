"""What a pass decided: writes as data, each with the reason for it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from modelway.analysis.archive import NO_EVIDENCE, Archive
from modelway.analysis.inquiry import Inquiry
from modelway.analysis.verdicts import Judgement
from modelway.kinds import Kind, Manifest
from modelway.plan.record import Record
from modelway.plan.trouble import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Ask the API server to check a manifest without storing it."""

    kind: Kind
    manifest: Manifest
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """POST an object that the cache lacks; one of ours that is already there counts as created."""

    kind: Kind
    manifest: Manifest
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply an object that exists and is ours."""

    kind: Kind
    manifest: Manifest
    note: str
    is_repair: bool = False
    """Whether it was as we want it, and somebody else has changed it."""
    otherwise: "tuple[Action, ...] | None" = None
    """What is done in its place where the API server refuses it, before all else goes on; None: all else waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Set a Deployment's count, provided that it is still as it was read."""

    kind: Kind
    name: str
    replicas: int
    resource_version: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete this very object."""

    kind: Kind
    name: str
    uid: str
    note: str


Action = Verify | Create | Apply | Scale | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many pods the model has and should have."""

    desired: int = 0
    stable: int = 0
    candidate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decision of one pass. `record` is the intent: it is stored before the actions are done."""

    record: Record
    actions: tuple[Action, ...] = ()
    wake: datetime | None = None
    hold_until: datetime | None = None
    awaits_approval: bool = False
    desired: str = ""
    weight: int = 0
    counts: Counts = Counts()
    blocked: Trouble | None = None
    trouble: Trouble | None = None
    stable_trouble: Trouble | None = None
    traffic_trouble: Trouble | None = None
    inquiry: Inquiry | None = None
    archive: Archive = NO_EVIDENCE
    judgements: tuple[Judgement, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know besides, in sentences."""
