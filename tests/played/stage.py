"""A control plane with its controllers and a played node, and the ModelDeployments on it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import control_plane, gateway, waiting
from cluster.kubectl import Kubectl
from modelway import names
from modelway.kinds import Manifest
from played import node
from played.node import Node

PATIENCE = 90.0
CRDS = Path(__file__).parents[2] / "crds"
RUNTIME: Manifest = {
    "apiVersion": names.API_VERSION,
    "kind": "ClusterModelRuntime",
    "metadata": {"name": "played"},
    "spec": {
        "formats": [{"name": "onnx", "priority": 10}],
        "protocols": ["V2"],
        "template": {"spec": {"containers": [{"name": "model", "image": "example.com/none"}]}},
    },
}
QUICK = {"settle": "0s", "drain": "1s", "bake": "0s"}
STEPS = ({"weight": 20, "hold": "1s"}, {"weight": 50, "hold": "1s"})
CHILDREN = ("controllerrevisions", "deployments", "services", "configmaps", "httproutes", "pods")


class StageError(AssertionError):
    """Something did not come about in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One namespace of it."""

    plane: control_plane.Running
    node: Node
    namespace: str

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the cluster's administrator, not through any proxy."""
        return Kubectl(kubeconfig=str(self.plane.kubeconfig))

    def apply(self, *manifests: Manifest) -> None:
        """As `kubectl apply` does."""
        self.kubectl.run(
            "apply", "--filename=-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": manifests})
        )

    def model(self, name: str, version: str, *steps: Manifest, replicas: int = 2, **spec: Any) -> Manifest:
        """A ModelDeployment behind the played gateway."""
        traffic = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": [f"{name}.example.com"]}
        rollout = {"strategy": "Canary", "steps": list(steps or STEPS), **QUICK}
        model = {"uri": f"s3://models/{name}/{version}", "format": "onnx", "version": version}
        return {
            "apiVersion": names.API_VERSION,
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"model": model, "replicas": replicas, "traffic": traffic, "rollout": rollout, **spec},
        }

    def get(self, kind: str, *words: str) -> list[Manifest]:
        """Objects of the namespace."""
        found: list[Manifest] = self.kubectl.get(kind, f"--namespace={self.namespace}", *words)["items"]
        return found

    def children(self, name: str, *kinds: str) -> dict[str, list[Manifest]]:
        """What belongs to a model, by kind."""
        selector = f"--selector={names.MODEL_LABEL}={name}"
        return {kind: self.get(kind, selector) for kind in kinds or CHILDREN}

    def pods(self, name: str, revision: str = "") -> set[str]:
        """Uids of a model's pods, or of one revision's, by its hash."""
        found = self.children(name, "pods")["pods"]
        if revision:
            found = [pod for pod in found if pod["metadata"]["labels"][names.REVISION_LABEL] == revision]
        return {pod["metadata"]["uid"] for pod in found}

    def status(self, name: str) -> Manifest:
        """Of a ModelDeployment."""
        found = self.kubectl.get(f"modeldeployment/{name}", f"--namespace={self.namespace}")
        return dict(found.get("status") or {})

    def until(self, what: str, holds: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
        """Wait until it holds; what it gave. Raises StageError when that takes too long."""
        end = time.monotonic() + patience
        while not (found := holds()):
            if time.monotonic() > end:
                raise StageError(f"Not so after {patience:.0f} s: {what}")
            time.sleep(0.2)
        return found

    def until_serves(self, name: str, version: str) -> Manifest:
        """Wait until that version is all there is; the status."""
        return dict(self.until(f"{name} serves {version}", lambda: _serving(self.status(name), version)))

    def until_at(self, name: str, step: int, state: str) -> Manifest:
        """Wait until the rollout is there; the status."""

        def found() -> Manifest | None:
            status = self.status(name)
            rollout = status.get("rollout") or {}
            is_there = (rollout.get("stepIndex", 0), rollout.get("stepState")) == (step, state)
            return status if is_there and not rollout.get("finishedAt") else None

        return dict(self.until(f"{name} is at step {step}, {state}", found))


def _serving(status: Manifest, version: str) -> Manifest | None:
    stable = status.get("stableRevision") or {}
    is_it = status.get("phase") == "Healthy" and stable.get("version") == version
    return status if is_it else None


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything but the operator; gone afterwards."""
    with control_plane.running() as plane:
        kubectl = Kubectl(kubeconfig=str(plane.kubeconfig))
        kubectl.run("apply", f"--filename={CRDS}")
        gateway.install_definitions(kubectl)
        established = ("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        waiting.until(lambda: kubectl.answers(*established), (), "the CRDs are established")
        kubectl.run("apply", "--filename=-", stdin=json.dumps(RUNTIME))
        with control_plane.controllers(plane), node.playing(plane.kubeconfig) as playing:
            yield Stage(plane=plane, node=playing, namespace="default")
