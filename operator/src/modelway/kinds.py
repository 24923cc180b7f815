"""The Kubernetes kinds that Modelway reads and writes. Pure."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from modelway import names

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives in the API: enough to make its URLs and its `apiVersion`."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return self.name


MODEL_DEPLOYMENT = Kind(names.GROUP, names.VERSION, "modeldeployments", "ModelDeployment")
MODEL_RUNTIME = Kind(names.GROUP, names.VERSION, "modelruntimes", "ModelRuntime")
CLUSTER_MODEL_RUNTIME = Kind(
    names.GROUP, names.VERSION, "clustermodelruntimes", "ClusterModelRuntime", namespaced=False
)

CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
SERVICE = Kind("", "v1", "services", "Service")
POD = Kind("", "v1", "pods", "Pod")
CONTROLLER_REVISION = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
HORIZONTAL_POD_AUTOSCALER = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
GATEWAY_CLASS = Kind("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")

OWN_KINDS = (MODEL_DEPLOYMENT, MODEL_RUNTIME, CLUSTER_MODEL_RUNTIME)
CHILD_KINDS = (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    SERVICE,
    CONFIG_MAP,
    HORIZONTAL_POD_AUTOSCALER,
    POD_DISRUPTION_BUDGET,
    POD,
)
"""Children that every cluster can hold; HTTPRoute joins them where discovery finds it."""
