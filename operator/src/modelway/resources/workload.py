"""The children that run a revision: Deployment, Service, golden requests and lock. Pure."""

import json
from typing import Any

from modelway import kinds, names
from modelway.api import Validation
from modelway.kinds import Manifest
from modelway.resources.metadata import Parent, child

EVIDENCE = "evidence.json"


def deployment(controller_revision: Manifest, parent: Parent, role: str) -> Manifest:
    """A revision's Deployment without its count, which is only ever set through the scale subresource."""
    return _child_of(kinds.DEPLOYMENT, controller_revision, parent, role) | {
        "spec": controller_revision["data"]["rendered"]["deployment"]
    }


def deployment_at_birth(controller_revision: Manifest, parent: Parent, role: str, replicas: int) -> Manifest:
    """The Deployment as it is created: with the count wanted now, else the API server would start one pod."""
    manifest = deployment(controller_revision, parent, role)
    return manifest | {"spec": manifest["spec"] | {"replicas": replicas}}


def service(controller_revision: Manifest, parent: Parent, role: str) -> Manifest:
    """A revision's own Service. Its selector never changes."""
    return _child_of(kinds.SERVICE, controller_revision, parent, role) | {
        "spec": controller_revision["data"]["rendered"]["service"]
    }


def _child_of(kind: kinds.Kind, controller_revision: Manifest, parent: Parent, role: str) -> Manifest:
    metadata = controller_revision["metadata"]
    labels = {names.REVISION_LABEL: metadata["labels"][names.REVISION_LABEL], names.ROLE_LABEL: role}
    return child(kind, parent, metadata["name"], labels=labels)


def lock(revision: str, parent: Parent, identity: str, digest: str) -> Manifest:
    """The ConfigMap that holds every later pod of a revision to the bytes of the first."""
    labels = {names.REVISION_LABEL: identity}
    return child(kinds.CONFIG_MAP, parent, names.lock(revision), labels=labels) | {"data": {"digest": digest}}


def golden(revision: str, parent: Parent, identity: str, validation: Validation) -> Manifest:
    """The ConfigMap with a revision's golden requests, as they were when it was born."""
    requests = [request.model_dump(mode="json", by_alias=True) for request in validation.requests]
    labels = {names.REVISION_LABEL: identity}
    text = json.dumps(requests, sort_keys=True, separators=(",", ":"))
    return child(kinds.CONFIG_MAP, parent, names.golden(revision), labels=labels) | {"data": {"requests.json": text}}


def plan(parent: Parent, rollout_id: int, spec: Manifest) -> Manifest:
    """The ConfigMap with `spec.rollout` as it was when a rollout began."""
    labels = {names.ROLLOUT_LABEL: str(rollout_id)}
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return child(kinds.CONFIG_MAP, parent, names.rollout(parent.name, rollout_id), labels=labels) | {
        "data": {"rollout.json": text}
    }


def evidence(plan: Manifest) -> str:
    """The evidence kept beside a rollout's plan; empty where there is none."""
    return str((plan.get("data") or {}).get(EVIDENCE, ""))


def with_evidence(plan: Manifest, parent: Parent, text: str) -> Manifest:
    """A rollout's ConfigMap with that evidence in place of the former."""
    kept = adopted(plan, parent)
    return kept | {"data": kept["data"] | {EVIDENCE: text}}


def adopted(stored: Manifest, parent: Parent) -> Manifest:
    """The same ConfigMap as a child of the parent."""
    metadata = stored["metadata"]
    return child(kinds.CONFIG_MAP, parent, metadata["name"], labels=metadata["labels"]) | {
        "data": stored.get("data") or {}
    }


def planned(manifest: Manifest) -> Any:
    """The inverse of `plan`: `spec.rollout` as JSON."""
    return json.loads(manifest["data"]["rollout.json"])
