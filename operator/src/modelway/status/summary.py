"""The whole status of one pass, and when it is worth writing. Pure."""

import json
from datetime import datetime

from modelway import names
from modelway.kinds import Manifest
from modelway.plan import ledger
from modelway.plan.actions import Plan
from modelway.plan.observed import Observed
from modelway.plan.trouble import Trouble
from modelway.status import conditions, figures, phases
from modelway.status.view import View

REVISIONS_SHOWN = 50
REVISIONS_BYTES = 4 * 1024
"""Room for what is known of revisions beyond name and pods, so that a status stays below 32 KiB in the worst case."""


def status(observed: Observed, plan: Plan, failure: Trouble | None = None) -> Manifest:
    """The complete status. `failure` is what the API server refused in this pass."""
    view = View(observed=observed, plan=plan, failure=failure)
    state = phases.state(view)
    found: Manifest = {
        "observedGeneration": observed.owner.generation,
        "epoch": observed.epoch,
        "phase": str(state.phase),
        "message": conditions.shortened(state.told),
        "weight": plan.weight,
        "address": figures.address(view),
        "runtime": figures.runtime(view),
        "conditions": conditions.conditions(view, state),
        "replicas": sum(not pod.is_terminating for item in observed.revisions for pod in item.pods),
        "readyReplicas": sum(item.ready for item in observed.revisions),
        "selector": f"{names.MODEL_LABEL}={observed.owner.name}",
        "stableRevision": figures.reference(view.stable),
        "candidateRevision": figures.reference(view.candidate),
        "latestReadyRevision": figures.latest_ready(view),
        "lastFailedRevision": figures.last_failed(view),
        "revisions": _revisions(view),
        "traffic": list(figures.traffic(view)),
        "rollout": figures.rollout(view),
        "route": figures.route(view),
        "history": [ledger.dump(line) for line in plan.record.history],
    }
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _revisions(view: View) -> list[Manifest]:
    """At most fifty, and whole while there is room; what has pods comes first, as it must not be lost, then the newest.

    The rest is left to `kubectl get controllerrevisions`: a status is read by everybody who watches.
    """
    ranked = sorted(view.observed.revisions, key=lambda item: (bool(item.replicas or item.pods), item.number))
    room, found = REVISIONS_BYTES, list[Manifest]()
    for item in reversed(ranked[-REVISIONS_SHOWN:]):
        whole = figures.revision(view, item)
        size = len(json.dumps(whole, ensure_ascii=False).encode())
        found.append(whole if size <= room else figures.brief(view, item))
        room -= size if size <= room else 0
    return sorted(found, key=lambda item: int(item["number"]))


def is_news(old: Manifest, new: Manifest) -> bool:
    """Whether the status says anything new; another epoch alone does not."""
    return {**old, "epoch": 0} != {**new, "epoch": 0}


def next_wake(plan: Plan, now: datetime) -> datetime | None:
    """When to come back by clock; None when only an event can change anything."""
    return plan.wake if plan.wake and plan.wake > now else None
