"""What the oracle knows at the moment of a write: the stored objects, and the pods as the operator saw them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from modelway import kinds, names
from modelway.api import ModelDeploymentSpec
from modelway.kinds import Kind, Manifest
from simulation import rules
from simulation.actors import Gateway
from simulation.clock import parse
from simulation.pods import holds_devices
from simulation.selectors import is_ready, revision
from simulation.server import Write
from simulation.store import Store
from simulation.view import View


def need(weight: int, count: int) -> int:
    """Fewest ready pods that may carry a weight: the least k whose share floor(100·k/N) or more reaches it."""
    if weight >= 100:
        return count
    return (weight - 1) * count // 100 + 1 if weight else 0


_parsed: dict[tuple[str, int], tuple[Manifest, ModelDeploymentSpec | None]] = {}


def _parse(owner: Manifest) -> ModelDeploymentSpec | None:
    """The typed spec; parsed once for each state of the object."""
    key = (owner["metadata"]["uid"], owner["metadata"]["generation"])
    known = _parsed.get(key)
    if known and known[0] is owner["spec"]:
        return known[1]
    try:
        spec = ModelDeploymentSpec.model_validate(owner["spec"])
    except ValidationError:
        spec = None
    _parsed[key] = (owner["spec"], spec)
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One write, and the model that it belongs to."""

    write: Write
    store: Store
    view: View
    gateway: Gateway
    now: datetime
    owner: Manifest
    plans: Mapping[int, Manifest]
    """Raw `spec.rollout` at the moment when each rollout began."""
    selections: list[tuple[datetime, frozenset[str]]]
    """Since when the model's Service has selected which revisions (names)."""

    @property
    def namespace(self) -> str:
        """Namespace of the model."""
        return str(self.owner["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.owner["metadata"]["name"])

    @property
    def spec(self) -> ModelDeploymentSpec | None:
        """The spec as far as the operator knows it: an edit may be on its way. None while it is invalid."""
        known = self.view.cache.snapshot((self.namespace, self.name)).owner
        return _parse(known or self.owner)

    @property
    def status(self) -> dict[str, Any]:
        """The stored status."""
        return self.owner.get("status") or {}

    @property
    def rollout(self) -> dict[str, Any]:
        """The stored rollout."""
        return self.status.get("rollout") or {}

    @property
    def stable(self) -> str:
        """Name of the stable revision, "" for none."""
        return str((self.status.get("stableRevision") or {}).get("name", ""))

    @property
    def count(self) -> int:
        """N: pods wanted; with autoscaling the least that N can be."""
        spec = self.spec
        if spec is None:
            return 0
        if spec.autoscaling:
            return int(spec.autoscaling.min_replicas or 1)
        return 1 if spec.replicas is None else spec.replicas

    @property
    def most(self) -> int:
        """N, with autoscaling the most that N can be."""
        spec = self.spec
        return int(spec.autoscaling.max_replicas) if spec and spec.autoscaling else self.count

    @property
    def has_gateway(self) -> bool:
        """Whether the traffic goes through a gateway."""
        spec = self.spec
        return bool(spec and spec.traffic and spec.traffic.parent_refs)

    @property
    def surge(self) -> int:
        """Pods beyond N that the rollout may use until it keeps no pods of its origin; then as the known spec says."""
        if self.is_active and self.rollout.get("replacing"):
            return 0
        known = self.view.cache.snapshot((self.namespace, self.name)).owner or self.owner
        kept = {item["name"] for item in self.status.get("revisions", ()) if "retainUntil" in item}
        is_over = not self.is_active and self.rollout.get("from") not in kept
        plan = known["spec"].get("rollout") or {} if is_over else self.plan
        raw = plan.get("maxSurge", "25%" if plan.get("strategy", "Rolling") == "Rolling" else "100%")
        percent = int(str(raw).rstrip("%"))
        return raw if isinstance(raw, int) else math.ceil(percent * self.most / 100)

    @property
    def carrying(self) -> int:
        """Pods that carry all of the traffic: N, or in a rollout without surge one fewer, else it could not begin."""
        is_replacing = self.is_active and self.rollout.get("strategy") != "Initial" and not self.surge
        return max(0, self.count - int(is_replacing))

    @property
    def is_active(self) -> bool:
        """Whether a rollout is under way."""
        return bool(self.rollout) and "finishedAt" not in self.rollout

    @property
    def plan(self) -> Manifest:
        """The rollout's spec as it was when it began."""
        return self.plans.get(self.rollout.get("id", 0)) or self.owner["spec"].get("rollout") or {}

    @property
    def strategy(self) -> str:
        """Rolling or Canary, as planned."""
        return str(self.plan.get("strategy", "Rolling"))

    @property
    def drain(self) -> timedelta:
        """How long pods without traffic go on answering."""
        spec = self.spec
        return spec.rollout.drain if spec else timedelta(seconds=30)

    def revisions(self) -> list[str]:
        """Names of the revisions that have a Deployment."""
        found = self._own(kinds.DEPLOYMENT)
        return [item["metadata"]["name"] for item in found if names.REVISION_LABEL in item["metadata"]["labels"]]

    def desired(self, name: str) -> int:
        """Pods that a revision's Deployment asks for."""
        found = self.store.find(kinds.DEPLOYMENT, self.namespace, name)
        return int(found["spec"]["replicas"]) if found else 0

    def occupied(self, name: str) -> int:
        """Pods that a revision takes the room of: those asked for and, where they hold devices, those seen to end."""
        found = self.store.find(kinds.DEPLOYMENT, self.namespace, name)
        if not found or not holds_devices(found["spec"]["template"]):
            return self.desired(name)
        seen = [pod for pod in self.view.children((self.namespace, self.name), kinds.POD) if self._is_of(pod, name)]
        ending = [pod for pod in seen if "deletionTimestamp" in pod["metadata"]]
        holding = [pod for pod in ending if parse(pod["metadata"]["deletionTimestamp"]) > self.now]
        return len(holding) + max(self.desired(name), len(seen) - len(ending))

    def has_service(self, name: str) -> bool:
        """Whether a Service exists, as far as the operator could know."""
        seen = self.view.children((self.namespace, self.name), kinds.SERVICE)
        is_seen = any(item["metadata"]["name"] == name for item in seen)
        return is_seen or self.store.find(kinds.SERVICE, self.namespace, name) is not None

    def seen_ready(self, name: str) -> int:
        """Ready pods of a revision among those that the operator has seen."""
        pods = self.view.children((self.namespace, self.name), kinds.POD)
        return sum(is_ready(pod) and self._is_of(pod, name) for pod in pods)

    def ready(self, name: str) -> int:
        """Ready pods of a revision, as far as the operator could know: a Deployment may tell of them first."""
        reported: list[int] = [
            item.get("status", {}).get("readyReplicas", 0)
            for item in self.view.children((self.namespace, self.name), kinds.DEPLOYMENT)
            if item["metadata"]["name"] == name
        ]
        return max(self.seen_ready(name), *reported, 0)

    def really_ready(self, name: str) -> int:
        """Ready pods of a revision in truth."""
        return sum(is_ready(pod) and self._is_of(pod, name) for pod in self._own(kinds.POD))

    def pods(self, name: str) -> list[Manifest]:
        """Pods of a revision that may get requests, also those that end; but none that was evicted or lost its node."""
        return [pod for pod in self._own(kinds.POD) if self._is_of(pod, name) and not self._is_gone(pod)]

    def _is_gone(self, pod: Manifest) -> bool:
        end, conditions = pod["metadata"].get("deletionTimestamp"), pod["status"].get("conditions") or ()
        is_overdue = end is not None and parse(end) <= self.now
        is_unready = not any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
        return pod["status"].get("phase") == "Failed" or (is_overdue and is_unready)

    def weights(self, route: Manifest | None = None) -> dict[str, int]:
        """Weights of the stored route (or of that one) by revision name."""
        return rules.weights(route or self.store.find(kinds.HTTP_ROUTE, self.namespace, self.name))

    @property
    def seen_in_force(self) -> dict[str, int] | None:
        """The division that every gateway has confirmed, as the operator has seen it; None without a gateway."""
        if not self.has_gateway:
            return None
        routes = list(self.view.children((self.namespace, self.name), kinds.HTTP_ROUTE))
        if not routes:
            return {}
        parents = (routes[0].get("status") or {}).get("parents") or ()
        told = [item for parent in parents for item in parent["conditions"]]
        generation = routes[0]["metadata"]["generation"]
        is_confirmed = all((item["status"], item["observedGeneration"]) == ("True", generation) for item in told)
        return {name: weight for name, weight in self.weights(routes[0]).items() if weight and told and is_confirmed}

    def selected(self, service: Manifest) -> frozenset[str]:
        """Names of the revisions with pods or Deployments that a Service selects."""
        selector = service["spec"].get("selector") or {}
        if selector.get(names.MODEL_LABEL) != self.name:
            return frozenset()
        wanted = selector.get(names.REVISION_LABEL)
        known = {names.revision(self.name, revision(item)) for item in self._own(kinds.CONTROLLER_REVISION)}
        return frozenset({names.revision(self.name, wanted)} if wanted else known)

    def programmed(self, since: datetime) -> list[dict[str, int]]:
        """Every division of the requests that was in force at some moment after `since`."""
        history = self.gateway.history.get(f"{self.namespace}/{self.name}", [])
        return _in_force(history, since)

    def reached(self, since: datetime) -> set[str]:
        """Revisions that some request through the gateway could reach at some moment after `since`."""
        keys = (f"{self.namespace}/{self.name}", f"{self.namespace}/{names.preview(self.name)}")
        return {name for key in keys for found in _in_force(self.gateway.reached.get(key, []), since) for name in found}

    def selections_after(self, since: datetime) -> list[frozenset[str]]:
        """Every selection of the model's Service that was in force at some moment after `since`."""
        return _in_force(self.selections, since)

    def _own(self, kind: Kind) -> list[Manifest]:
        return [
            item
            for item in self.store.all(kind, self.namespace)
            if (item["metadata"].get("labels") or {}).get(names.MODEL_LABEL) == self.name
        ]

    def _is_of(self, pod: Manifest, name: str) -> bool:
        return names.revision(self.name, revision(pod)) == name


def _in_force(history: list[tuple[datetime, Any]], since: datetime) -> list[Any]:
    later = [value for at, value in history if at > since]
    earlier = [value for at, value in history if at <= since]
    return earlier[-1:] + later


Check = Callable[[Facts], str]
"""An invariant: the sentence that says how a write breaks it, "" when it does not."""
