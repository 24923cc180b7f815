"""The ways in to a model: its own Service and its HTTPRoute. Pure."""

from collections.abc import Mapping

from modelway import kinds, names
from modelway.api import Traffic
from modelway.kinds import Manifest
from modelway.resources.metadata import Parent, child, intent, selector


def service(parent: Parent, revision: str, ports: list[Manifest]) -> Manifest:
    """The Service that callers inside the cluster use: one revision's pods, or (without one) all of the model's."""
    return child(kinds.SERVICE, parent, names.service(parent.name)) | {
        "spec": {"selector": selector(parent.name, revision), "ports": ports}
    }


def route(parent: Parent, traffic: Traffic, model: str, weights: Mapping[str, int]) -> Manifest:
    """The HTTPRoute: for each path of the model the same weights over the revisions' Services.

    Its lists are replaced as wholes by every writer, so the operator owns the object alone; users bring their filters
    and timeouts through the ModelDeployment. What they leave out is written as empty, so that it goes when they take
    it back.
    """
    backends = [
        {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight} for name, weight in weights.items()
    ]
    rule: Manifest = {
        "matches": _matches(traffic, model),
        "backendRefs": backends,
        "timeouts": traffic.timeouts or {},
        "filters": list(traffic.filters),
    }
    spec: Manifest = {
        "parentRefs": [
            reference.model_dump(mode="json", by_alias=True, exclude_none=True) for reference in traffic.parent_refs
        ],
        "hostnames": list(traffic.hostnames),
        "rules": [rule],
    }
    return child(kinds.HTTP_ROUTE, parent, names.route(parent.name), annotations=intent(spec)) | {"spec": spec}


def _matches(traffic: Traffic, model: str) -> list[Manifest]:
    if traffic.paths == "All":
        return [{"path": {"type": "PathPrefix", "value": "/"}}]
    prefixes = [f"/v1/models/{model}", f"/v2/models/{model}"]
    return [
        *({"path": {"type": "PathPrefix", "value": prefix}} for prefix in prefixes),
        {"path": {"type": "Exact", "value": f"/v1/models/{model}:predict"}},
    ]
