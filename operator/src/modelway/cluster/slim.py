"""What the cache keeps of an object, and reads of its metadata. Pure."""

from typing import Any

from modelway import names
from modelway.kinds import MODEL_DEPLOYMENT, Kind, Manifest

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def slim(kind: Kind, manifest: Manifest) -> Manifest:
    """The object without what nobody reads: field ownership and kubectl's copy of it. Shares the rest."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {name: value for name, value in annotations if name != LAST_APPLIED}
    return {**manifest, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


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
