"""The ClusterModelRuntimes that come with the operator, applied by the leader from a mounted folder."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modelway import kinds, names
from modelway.cluster.api import Api, NotFound
from modelway.kinds import Manifest

log = logging.getLogger(__name__)


def read(folder: Path) -> tuple[Manifest, ...]:
    """Every ClusterModelRuntime in the folder's YAML files. Raises ValueError for anything else."""
    if not folder.is_dir():
        raise ValueError(f"{folder} with the default runtimes is no folder")
    found: list[Manifest] = []
    for path in sorted(folder.glob("*.y*ml")):
        try:
            found += [_checked(manifest) for manifest in _documents(path)]
        except (ValueError, yaml.YAMLError) as failure:
            raise ValueError(f"{path}: {failure}") from failure
    return tuple(found)


def _documents(path: Path) -> list[Any]:
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return [document for document in documents if document is not None]


def _checked(manifest: Any) -> Manifest:
    """A ClusterModelRuntime with our mark. Raises ValueError for anything else."""
    kind = manifest.get("kind") if isinstance(manifest, Mapping) else type(manifest).__name__
    if kind != kinds.CLUSTER_MODEL_RUNTIME.name:
        raise ValueError(f"{kind} is not a ClusterModelRuntime")
    if not (manifest.get("metadata") or {}).get("name"):
        raise ValueError("a ClusterModelRuntime has no name")
    return _marked(dict(manifest))


async def apply(wanted: tuple[Manifest, ...], api: Api) -> int:
    """Make the cluster's runtimes equal to these, one write for each that differs. Returns the writes.

    The answers do not go into the cache: the watch brings them, and wakes every object that waits for one.
    """
    writes = 0
    for manifest in wanted:
        name = manifest["metadata"]["name"]
        present = await _present(api, name)
        if present is not None and not _is_ours(present):
            log.warning("Left ClusterModelRuntime %s as it is: it is not managed by Modelway", name)
            continue
        if present is not None and is_equal(manifest, present):
            continue
        await api.apply(kinds.CLUSTER_MODEL_RUNTIME, manifest)
        writes += 1
        log.info("Applied ClusterModelRuntime %s", name)
    return writes


def is_equal(wanted: Manifest, present: Manifest) -> bool:
    """Whether the last apply was of exactly this, and nobody changed what it set since."""
    return _digest(present) == _digest(wanted) and _covers(present, wanted)


async def _present(api: Api, name: str) -> Manifest | None:
    """Read from the API server, as a new leader's cache may lag behind the former leader's writes."""
    try:
        return await api.get(kinds.CLUSTER_MODEL_RUNTIME, None, name)
    except NotFound:
        return None


def _marked(manifest: Manifest) -> Manifest:
    """With our label, and the digest of the whole, by which a later version sees a field that went away."""
    metadata = manifest["metadata"]
    content = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    annotations = {
        **(metadata.get("annotations") or {}),
        names.APPLIED_ANNOTATION: hashlib.sha256(content).hexdigest()[:16],
    }
    labels = {**(metadata.get("labels") or {}), names.MANAGED_BY_LABEL: names.MANAGED_BY}
    return {**manifest, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def _is_ours(manifest: Manifest) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)


def _digest(manifest: Manifest) -> str | None:
    annotations: Mapping[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations.get(names.APPLIED_ANNOTATION)


def _covers(present: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; the API server may have added defaults."""
    if isinstance(wanted, Mapping) and isinstance(present, Mapping):
        return all(name in present and _covers(present[name], value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        pairs = zip(present, wanted, strict=False)
        return len(present) == len(wanted) and all(_covers(one, other) for one, other in pairs)
    return bool(present == wanted)
