"""The comparator of a rollout: a small Deployment that gets mirrored requests and asks both revisions. Pure."""

from dataclasses import dataclass

from modelway import kinds, names
from modelway.api.analysis import Shadow
from modelway.kinds import Manifest
from modelway.resources.metadata import Parent, child
from modelway.resources.pod import POD_SECURITY, SECURITY

REST_PORT, METRICS_PORT = 8000, 8002
_CONTAINER = "compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Which revisions are compared in which rollout, and how."""

    parent: Parent
    rollout: int
    stable: str
    candidate: str
    """Names of the revisions, and so of their Services."""
    shadow: Shadow
    image: str

    @property
    def name(self) -> str:
        """Name of the Deployment and of its Service."""
        return names.comparator(self.parent.name, self.rollout)

    @property
    def host(self) -> str:
        """Host name of the Service inside the cluster."""
        return f"{self.name}.{self.parent.namespace}.svc"


def deployment(comparison: Comparison) -> Manifest:
    """One pod: it is bounded by itself, and what it has no room for it drops and counts."""
    labels = {names.COMPARATOR_LABEL: comparison.name}
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 0,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod(comparison)},
    }
    return _child(kinds.DEPLOYMENT, comparison) | {"spec": spec}


def service(comparison: Comparison) -> Manifest:
    """What the gateway sends copies to, and the operator reads the figures from."""
    ports = [
        {"name": "http", "port": 80, "targetPort": REST_PORT},
        {"name": "metrics", "port": METRICS_PORT, "targetPort": METRICS_PORT},
    ]
    return _child(kinds.SERVICE, comparison) | {
        "spec": {"selector": {names.COMPARATOR_LABEL: comparison.name}, "ports": ports}
    }


def _child(kind: kinds.Kind, comparison: Comparison) -> Manifest:
    labels = {names.ROLE_LABEL: "Comparator", names.ROLLOUT_LABEL: str(comparison.rollout)}
    return child(kind, comparison.parent, comparison.name, labels=labels)


def _pod(comparison: Comparison) -> Manifest:
    ready = {"httpGet": {"path": "/v2/health/ready", "port": REST_PORT}}
    container = {
        "name": _CONTAINER,
        "image": comparison.image,
        "args": ["compare"],
        "env": _environment(comparison),
        "ports": [
            {"name": "http", "containerPort": REST_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
        ],
        "readinessProbe": ready | {"periodSeconds": 2, "timeoutSeconds": 2},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  the only writable folder
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return {
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "securityContext": POD_SECURITY,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 15,
    }


def _environment(comparison: Comparison) -> list[Manifest]:
    shadow, namespace = comparison.shadow, comparison.parent.namespace
    values = {
        "MODELWAY_STABLE_URL": f"http://{comparison.stable}.{namespace}.svc",
        "MODELWAY_STABLE_REVISION": comparison.stable,
        "MODELWAY_CANDIDATE_URL": f"http://{comparison.candidate}.{namespace}.svc",
        "MODELWAY_CANDIDATE_REVISION": comparison.candidate,
        "MODELWAY_TOLERANCE_RELATIVE": f"{shadow.tolerance:.10f}".rstrip("0"),
        "MODELWAY_BASELINE_PERCENT": str(shadow.baseline_percent),
        "MODELWAY_MAX_REQUESTS_PER_SECOND": str(shadow.max_requests_per_second),
        "MODELWAY_REDACT": str(shadow.redact).lower(),
    }
    return [{"name": name, "value": value} for name, value in values.items()]
