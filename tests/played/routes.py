"""The status that a gateway gives to an HTTPRoute that it has taken. Pure."""

from datetime import datetime

from modelway.kinds import Manifest

CONTROLLER = "faults.example.com/gateway"


def is_taken(route: Manifest) -> bool:
    """Whether the status is about the route as it is."""
    generation = route["metadata"]["generation"]
    parents = (route.get("status") or {}).get("parents") or ()
    found = [condition for parent in parents for condition in parent["conditions"]]
    return len(parents) == len(route["spec"]["parentRefs"]) and all(
        condition["observedGeneration"] == generation for condition in found
    )


def taken(route: Manifest, now: datetime) -> Manifest:
    """Accepted, with its references resolved, by every parent."""
    conditions = [
        {
            "type": name,
            "status": "True",
            "reason": name,
            "message": "",
            "observedGeneration": route["metadata"]["generation"],
            "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for name in ("Accepted", "ResolvedRefs")
    ]
    return {
        "parents": [
            {"parentRef": reference, "controllerName": CONTROLLER, "conditions": conditions}
            for reference in route["spec"]["parentRefs"]
        ]
    }
