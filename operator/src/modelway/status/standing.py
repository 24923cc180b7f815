"""What the API server refused in the last pass, as the stored status tells it. Pure.

The intent of a pass is written before anything is tried again. Without this, each such write would take back the
refusal, and the outcome would tell it anew: a condition that flips and an Event, again and again, for one cause.
"""

from modelway.plan.observed import Observed
from modelway.plan.trouble import Trouble

_ANSWERS = ("InvalidSpec", "RBACDenied", "WriteDenied", "Conflict", "WaitingForDeletion")
"""Reasons that an answer of the API server is given and that stall."""


def refusal(observed: Observed) -> Trouble | None:
    """The refusal that stands until the API server answers otherwise; none over a spec that it has not judged."""
    status = observed.status
    if status.get("observedGeneration") != observed.owner.generation:
        return None
    found = {item["type"]: item for item in status.get("conditions", ())}
    told = found.get("Stalled")
    if told is None or told["reason"] not in _ANSWERS:
        return None
    is_route = found.get("TrafficProgrammed", {}).get("reason") == "WriteDenied"
    return Trouble(reason=told["reason"], message=told["message"], subject="HTTPRoute" if is_route else "")
