"""What the operator wants to know about a rollout now: which processes to read and which providers to ask. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from modelway.api.analysis import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A process with figures: a model pod, or the comparator (whose revision is empty)."""

    pod: str
    address: str
    """Host and port of its internal calls, such as `10.0.0.7:8002`."""
    revision: str
    has_drift: bool = False
    """Whether its drift is judged: the candidate's, where a metric asks for it."""
    known: tuple[str, int] | None = None
    """The process and the slot of its counts by group up to which they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How model pods are to divide what they count."""

    input: str
    names: tuple[str, ...]
    """The groups that are counted each for itself."""
    more: int
    """How many further ones each may count: the first that come."""
    has_latency: bool
    slot: timedelta
    """How fine the counts are in time; what is read is so much older than the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Asked again at every interval until another one, or none, takes its place."""

    id: str
    """Names rollout, step and attempt; what is read carries it."""
    interval: timedelta
    targets: tuple[Target, ...] = ()
    division: Division | None = None
    metrics: tuple[Metric, ...] = ()
    """Those that a provider is asked for: prometheus, web, alertmanager."""
    bindings: Mapping[str, str]
    """What the placeholders of queries stand for, and the body of a web call: `candidate` and `stable` (hashes),
    `namespace`, `name`, `model`, `rollout`, `step`, `since` (RFC 3339: when the step's traffic had settled)."""
