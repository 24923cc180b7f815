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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Asked again at every interval until another one, or none, takes its place."""

    id: str
    """Names rollout, step and attempt; what is read carries it."""
    interval: timedelta
    targets: tuple[Target, ...] = ()
    metrics: tuple[Metric, ...] = ()
    """Those that a provider is asked for: prometheus, web, alertmanager."""
    bindings: Mapping[str, str]
    """What the placeholders of queries stand for, and the body of a web call: `candidate` and `stable` (hashes),
    `namespace`, `name`, `model`, `rollout`, `step`, `since` (RFC 3339: when the step's traffic had settled)."""
