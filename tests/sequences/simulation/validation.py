"""What the API server fills in and what it refuses, as far as the operator can meet it. Pure."""

import re
from typing import Any

from modelway import kinds
from modelway.cluster.api import Invalid
from modelway.kinds import Kind, Manifest
from simulation.selectors import contains


def default(kind: Kind, manifest: Manifest) -> Manifest:
    """The same with the fields that the API server sets when nobody else does (the spec is changed in place)."""
    filler = {
        kinds.DEPLOYMENT: _default_deployment,
        kinds.SERVICE: _default_service,
        kinds.HTTP_ROUTE: _default_route,
        kinds.HORIZONTAL_POD_AUTOSCALER: _default_autoscaler,
    }.get(kind)
    if filler:
        filler(manifest.setdefault("spec", {}))
    return manifest


def _default_deployment(spec: dict[str, Any]) -> None:
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault(
        "strategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    )
    pod = spec.setdefault("template", {}).setdefault("spec", {})
    for field, value in _POD_DEFAULTS.items():
        pod.setdefault(field, value)
    for container in [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")


_POD_DEFAULTS: dict[str, Any] = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}


def _default_service(spec: dict[str, Any]) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("clusterIP", "10.96.0.10")
    spec.setdefault("clusterIPs", ["10.96.0.10"])
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _default_route(spec: dict[str, Any]) -> None:
    for parent in spec.get("parentRefs") or ():
        parent.setdefault("group", "gateway.networking.k8s.io")
        parent.setdefault("kind", "Gateway")
    for rule in spec.get("rules") or ():
        rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
        for backend in rule.get("backendRefs") or ():
            backend.setdefault("group", "")
            backend.setdefault("kind", "Service")
            backend.setdefault("weight", 1)


def _default_autoscaler(spec: dict[str, Any]) -> None:
    spec.setdefault("minReplicas", 1)
    spec.setdefault(
        "metrics",
        [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    )


def check(kind: Kind, before: Manifest | None, after: Manifest) -> None:
    """Raise Invalid for what a real API server refuses."""
    spec = after.get("spec") or {}
    if kind == kinds.DEPLOYMENT:
        _check_deployment(before, spec)
    if kind == kinds.HTTP_ROUTE:
        _check_route(spec)
    if kind == kinds.CONTROLLER_REVISION and before is not None and before.get("data") != after.get("data"):
        raise refusal("data", "field is immutable")
    is_autoscaler = kind == kinds.HORIZONTAL_POD_AUTOSCALER
    if is_autoscaler and not 1 <= spec["minReplicas"] <= spec.get("maxReplicas", 0):
        raise refusal("spec.maxReplicas", "must be greater than or equal to `minReplicas`")


def _check_deployment(before: Manifest | None, spec: dict[str, Any]) -> None:
    selector = spec.get("selector", {}).get("matchLabels") or {}
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if not selector or not contains(labels, selector):
        raise refusal("spec.template.metadata.labels", "`selector` does not match template `labels`")
    if before is not None and before["spec"]["selector"] != spec["selector"]:
        raise refusal("spec.selector", "field is immutable")
    if spec["replicas"] < 0:
        raise refusal("spec.replicas", "must be greater than or equal to 0")


_SPAN = re.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")


def _check_route(spec: dict[str, Any]) -> None:
    for number, rule in enumerate(spec.get("rules") or ()):
        for name, value in (rule.get("timeouts") or {}).items():
            if not _SPAN.fullmatch(value):
                raise refusal(f"spec.rules[{number}].timeouts.{name}", f'"{value}" should match {_SPAN.pattern}')
        for place, backend in enumerate(rule.get("backendRefs") or ()):
            weight = backend.get("weight", 1)
            if not isinstance(weight, int) or not 0 <= weight <= 1_000_000:
                raise refusal(f"spec.rules[{number}].backendRefs[{place}].weight", "must be 0 to 1000000")


def refusal(field: str, message: str) -> Invalid:
    """The 422 for one field."""
    return Invalid(422, "Invalid", f"{field}: Invalid value: {message}", ((field, message),))
