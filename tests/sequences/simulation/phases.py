"""What each phase means for those who watch: conditions, kstatus, Argo CD. The table that status is held to. Pure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One row: whether Ready is True, which abnormal condition is there, and what tools make of it."""

    is_ready: bool = False
    abnormal: str = ""
    """`Reconciling` or `Stalled`; empty for neither."""
    kstatus: str
    argocd: str


_MOVES = Told(abnormal="Reconciling", kstatus="InProgress", argocd="Progressing")
_STUCK = Told(abnormal="Stalled", kstatus="Failed", argocd="Degraded")

TABLE = {
    "Pending": _MOVES,
    "Initializing": _MOVES,
    "Progressing": _MOVES,
    "Promoting": _MOVES,
    "RollingBack": _MOVES,
    "Paused": Told(abnormal="Reconciling", kstatus="InProgress", argocd="Suspended"),
    "Healthy": Told(is_ready=True, kstatus="Current", argocd="Healthy"),
    "RolledBack": _STUCK,
    "Degraded": Told(abnormal="Reconciling", kstatus="InProgress", argocd="Degraded"),
    "Stalled": _STUCK,
    "Suspended": Told(is_ready=True, kstatus="Current", argocd="Suspended"),
}
UNSEEN = Told(kstatus="InProgress", argocd="Progressing")
TERMINATING = Told(kstatus="Terminating", argocd="Progressing")
SERVING = Told(is_ready=True, kstatus="Current", argocd="Healthy")
"""`readyWhen: Serving`, while a rollout moves or waits."""


def of(status: dict[str, Any]) -> Told:
    """The row of a status that was written."""
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    if (ready["status"], ready["reason"]) == ("True", "RolloutInProgress"):
        return SERVING
    return TABLE[status["phase"]]


def contradiction(status: dict[str, Any]) -> str:
    """How phase and conditions contradict each other; empty where they say the same."""
    told, found = of(status), {item["type"]: item["status"] for item in status["conditions"]}
    abnormal = [kind for kind in ("Reconciling", "Stalled") if kind in found]
    if found["Ready"] != str(told.is_ready) or abnormal != ([told.abnormal] if told.abnormal else []):
        return f"phase {status['phase']} with Ready={found['Ready']} and {abnormal or 'nothing abnormal'}"
    return ""
