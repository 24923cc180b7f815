"""Metadata that every child has: labels, and the ModelDeployment as its controller. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from modelway import names
from modelway.kinds import Kind, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The ModelDeployment that a child belongs to."""

    namespace: str
    name: str
    uid: str


def child(
    kind: Kind,
    parent: Parent,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The head of a child's manifest, to be completed with its spec or data.

    `blockOwnerDeletion` is false: deleting a model never waits for its children.
    """
    metadata: Manifest = {
        "name": name,
        "namespace": parent.namespace,
        "labels": common_labels(parent) | dict(labels or {}),
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": "ModelDeployment",
                "name": parent.name,
                "uid": parent.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


def intent(spec: Manifest) -> dict[str, str]:
    """An annotation that changes with every part of what is asked for.

    A stored object that holds more than is asked for looks alike whether the API server filled it in or we asked for
    it before; this tells when the user has taken something back.
    """
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return {names.APPLIED_ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]}


def common_labels(parent: Parent) -> dict[str, str]:
    """The labels that say whose child an object is; the watch selects by the last."""
    return {
        names.MODEL_LABEL: parent.name,
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
    }


def selector(model: str, revision: str = "") -> dict[str, str]:
    """The pods of one revision, or (without one) of every revision of the model."""
    found = {names.MODEL_LABEL: model}
    return found | {names.REVISION_LABEL: revision} if revision else found
