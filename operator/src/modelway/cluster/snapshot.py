"""What the cache knows about one ModelDeployment, taken in one moment. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelway.kinds import Kind, Manifest

Key: TypeAlias = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Raw manifests, to be read and never changed."""

    owner: Manifest | None
    """The ModelDeployment; None when it is deleted."""
    children: Mapping[Kind, tuple[Manifest, ...]]
    """Whatever names this ModelDeployment: as its controller (by name, whatever the uid), or, where no
    ModelDeployment controls it (Pods, orphans, strangers), in our model label. Includes HTTPRoutes."""
    runtimes: tuple[Manifest, ...]
    """ModelRuntimes of the namespace and all ClusterModelRuntimes."""
