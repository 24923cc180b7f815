"""The whole status of one pass, and when it is worth writing. Pure."""

from datetime import datetime

from modelway import names
from modelway.kinds import Manifest
from modelway.plan import ledger
from modelway.plan.actions import Plan
from modelway.plan.observed import Observed, Revision
from modelway.plan.trouble import Trouble
from modelway.status import conditions, figures, phases
from modelway.status.conditions import MESSAGE_LIMIT
from modelway.status.view import View

REVISIONS_SHOWN = 50


def status(observed: Observed, plan: Plan, failure: Trouble | None = None) -> Manifest:
    """The complete status. `failure` is what the API server refused in this pass."""
    view = View(observed=observed, plan=plan, failure=failure)
    phase, message = phases.phase(view)
    found: Manifest = {
        "observedGeneration": observed.owner.generation,
        "epoch": observed.epoch,
        "phase": phase,
        "message": message[:MESSAGE_LIMIT],
        "weight": plan.weight,
        "address": figures.address(view),
        "runtime": figures.runtime(view),
        "conditions": conditions.conditions(view),
        "replicas": sum(not pod.is_terminating for item in observed.revisions for pod in item.pods),
        "readyReplicas": sum(item.ready for item in observed.revisions),
        "selector": f"{names.MODEL_LABEL}={observed.owner.name}",
        "stableRevision": figures.reference(view.stable),
        "candidateRevision": figures.reference(view.candidate),
        "lastFailedRevision": figures.last_failed(view),
        "revisions": [figures.revision(view, item) for item in _listed(view)],
        "traffic": list(figures.traffic(view)),
        "rollout": figures.rollout(view),
        "route": figures.route(view),
        "history": [ledger.dump(line) for line in plan.record.history],
    }
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _listed(view: View) -> list[Revision]:
    """At most fifty: those with pods, for what is recorded of them must not be lost, then the newest."""
    ranked = sorted(view.observed.revisions, key=lambda item: (bool(item.replicas or item.pods), item.number))
    return sorted(ranked[-REVISIONS_SHOWN:], key=lambda item: item.number)


def is_news(old: Manifest, new: Manifest) -> bool:
    """Whether the status says anything new; another epoch alone does not."""
    return {**old, "epoch": 0} != {**new, "epoch": 0}


def next_wake(plan: Plan, now: datetime) -> datetime | None:
    """When to come back by clock; None when only an event can change anything."""
    return plan.wake if plan.wake and plan.wake > now else None
