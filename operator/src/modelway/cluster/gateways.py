"""What the Gateways that a ModelDeployment names can do, as their classes report it. Pure."""

from collections.abc import Iterator, Mapping

from modelway import kinds
from modelway.kinds import Kind, Manifest

KINDS = (kinds.GATEWAY_CLASS, kinds.GATEWAY)
"""Objects of others, which are only looked at."""

_Place = tuple[str, str]

_MIRRORS = frozenset({"HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"})
_KNOWN = {
    "agentgateway.dev/agentgateway": _MIRRORS,
    "gateway.envoyproxy.io/gatewayclass-controller": _MIRRORS,
    "gateway.nginx.org/nginx-gateway-controller": _MIRRORS,
    "io.cilium/gateway-controller": _MIRRORS,
    "istio.io/gateway-controller": _MIRRORS,
    "kgateway.dev/kgateway": _MIRRORS,
}
"""What controllers can do by their published conformance reports; asked only where a class reports nothing at all."""


def features(
    model: Manifest, gateways: Mapping[_Place, Manifest], classes: Mapping[_Place, Manifest]
) -> frozenset[str]:
    """What every Gateway that the model names can do; nothing where one of them, or its class, is not known."""
    found = []
    for place in named(model):
        gateway = gateways.get(place)
        found.append(_reported(classes.get(("", _class(gateway)))) if gateway else frozenset())
    return frozenset.intersection(*found) if found else frozenset()


def named(model: Manifest) -> Iterator[_Place]:
    """Namespace and name of each Gateway in a ModelDeployment's spec."""
    traffic = (model.get("spec") or {}).get("traffic") or {}
    for parent in traffic.get("parentRefs") or ():
        # Whoever got round the schema may have left anything out.
        if parent.get("kind", kinds.GATEWAY.name) == kinds.GATEWAY.name and parent.get("name"):
            yield parent.get("namespace") or model["metadata"]["namespace"], parent["name"]


def concerns(kind: Kind, manifest: Manifest, model: Manifest) -> bool:
    """Whether a change of this Gateway or GatewayClass may mean something to the model."""
    metadata = manifest["metadata"]
    if kind == kinds.GATEWAY_CLASS:
        return any(True for _ in named(model))
    return (metadata["namespace"], metadata["name"]) in named(model)


def tells_same(before: Manifest, after: Manifest) -> bool:
    """Whether nothing that we read differs; their status changes with every route that comes and goes."""
    return _class(before) == _class(after) and _reported(before) == _reported(after)


def _class(gateway: Manifest) -> str:
    return str((gateway.get("spec") or {}).get("gatewayClassName") or "")


def _reported(gateway_class: Manifest | None) -> frozenset[str]:
    status = (gateway_class or {}).get("status") or {}
    # Until version 1.2 of the Gateway API the list held plain names.
    items = status.get("supportedFeatures") or ()
    if not items:
        return _KNOWN.get(str(((gateway_class or {}).get("spec") or {}).get("controllerName") or ""), frozenset())
    return frozenset(item["name"] if isinstance(item, dict) else str(item) for item in items)
