"""The one thing to do next about a ModelDeployment, from the closed list of reasons. Pure."""

from collections.abc import Iterable

from modelway.api import reasons
from modelway.cli.objects import Model

_ORDER = ("Stalled", "RevisionFailed", "Paused", "RolledBack", "Reconciling")
"""Conditions that ask for somebody, the most pressing first. All of them are there only while true."""

_GENERAL = {"RolloutFailed", "ProgressDeadlineExceeded", "FailFast"}
"""Reasons that only point to another condition, which says it better."""

_NORMAL = ("Available", "TrafficProgrammed")
"""Conditions that ask for somebody while False."""


def next_step(model: Model) -> str:
    """What the person on call does next; empty where there is nothing to do."""
    troubles = [*_reasons(model, _ORDER, "True"), *_reasons(model, _NORMAL, "False")]
    telling = [name for name in troubles if name not in _GENERAL]
    for name in (*telling, *troubles):
        reason = reasons.find(name)
        if reason and reason.next_step != "Nothing to do.":
            return reason.next_step.replace(" NAME", f" {model.name} -n {model.namespace}")
    return ""


def _reasons(model: Model, kinds: Iterable[str], status: str) -> list[str]:
    """Reasons of the conditions of these types that have this status."""
    found = (model.condition(kind) for kind in kinds)
    return [item.reason for item in found if item and item.status == status]
