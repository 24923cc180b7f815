"""The HorizontalPodAutoscaler of a revision with traffic. Pure."""

from modelway import kinds, names
from modelway.api import Autoscaling
from modelway.kinds import Manifest
from modelway.resources.merge import overlay
from modelway.resources.metadata import Parent, child, intent

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
_BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
"""The defaults of Kubernetes, written out: what is left out of an object that exists stays as it was."""


def autoscaler(
    revision: str, parent: Parent, identity: str, autoscaling: Autoscaling, *, floor: int, ceiling: int
) -> Manifest:
    """The user's metrics and behaviour for one revision's Deployment, and bounds within those of the user.

    `floor`: pods below which the revision may not fall while it has its share of the traffic. `ceiling`: pods that a
    rollout without any to spare leaves it.
    """
    most = max(1, min(ceiling, autoscaling.max_replicas))
    spec: Manifest = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision},
        "minReplicas": max(1, min(floor, most)),
        "maxReplicas": most,
        "metrics": list(autoscaling.metrics) or [_CPU],
        "behavior": overlay(_BEHAVIOR, autoscaling.behavior or {}),
    }
    labels = {names.REVISION_LABEL: identity}
    head = child(kinds.HORIZONTAL_POD_AUTOSCALER, parent, revision, labels=labels, annotations=intent(spec))
    return head | {"spec": spec}
