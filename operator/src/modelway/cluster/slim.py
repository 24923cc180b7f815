"""What the cache keeps of an object, and reads of its metadata. Pure."""

from typing import Any

from modelway import names
from modelway.kinds import MODEL_DEPLOYMENT, POD_DISRUPTION_BUDGET, Kind, Manifest

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def slim(kind: Kind, manifest: Manifest) -> Manifest:
    """The object without what nobody reads: field ownership and kubectl's copy of it. Shares the rest.

    Of a ModelDeployment it is kept who owns any field of the spec, and which annotations.
    """
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    if kind == MODEL_DEPLOYMENT and manifest["metadata"].get("managedFields"):
        metadata["managedFields"] = [_coarse(entry) for entry in manifest["metadata"]["managedFields"]]
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {name: value for name, value in annotations if name != LAST_APPLIED}
    return {**manifest, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


UNHEARD = frozenset({POD_DISRUPTION_BUDGET})
"""Kinds whose status nobody reads: it changes with every pod."""


def _coarse(entry: Manifest) -> Manifest:
    """Who wrote last, without which field of the spec."""
    fields = entry.get("fieldsV1") or {}
    annotations = (fields.get("f:metadata") or {}).get("f:annotations")
    kept: Manifest = {"f:spec": {}} if "f:spec" in fields else {}
    kept |= {"f:metadata": {"f:annotations": annotations}} if annotations else {}
    return {**entry, "fieldsV1": kept}


def asks_same(before: Manifest, after: Manifest) -> bool:
    """Whether two states of an object differ in nothing but its status; both as `slim` leaves them."""
    unlike = {"metadata", "status"}
    parts = [{key: value for key, value in item.items() if key not in unlike} for item in (before, after)]
    heads = [
        {key: value for key, value in item["metadata"].items() if key != "resourceVersion"} for item in (before, after)
    ]
    return parts[0] == parts[1] and heads[0] == heads[1]


def is_newer(version: str, than: str) -> bool:
    """Whether one resourceVersion comes after another: numbers, as Kubernetes promises since 1.35."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than


def controller(manifest: Manifest) -> dict[str, Any] | None:
    """The controlling owner if it is a ModelDeployment, by its reference."""
    for reference in manifest["metadata"].get("ownerReferences") or ():
        is_ours = reference["kind"] == MODEL_DEPLOYMENT.name
        if is_ours and reference.get("controller") and reference["apiVersion"].startswith(f"{names.GROUP}/"):
            return dict(reference)
    return None


def epoch(model: Manifest) -> int:
    """The epoch in which a ModelDeployment's status was written; 0 before the first time."""
    return int((model.get("status") or {}).get("epoch") or 0)
