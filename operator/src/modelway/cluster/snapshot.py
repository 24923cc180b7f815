"""What the cache knows about one ModelDeployment, taken in one moment. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelway.kinds import Kind, Manifest

Key: TypeAlias = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Requests that a ModelDeployment wants to have from a Gateway."""

    owner: Key
    gateway: Key
    section: str = ""
    """Name of the listener; empty: any."""
    port: int = 0
    """Port of the listener; 0: any."""
    hostname: str = ""
    """Host name, also with a wildcard in front; empty: every one."""
    model: str = ""
    """Name of the model in the paths; empty: every path."""

    @property
    def place(self) -> str:
        """Host name and path, for people."""
        return (self.hostname or "*") + (f"/v2/models/{self.model}" if self.model else "")


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
    gateway_features: frozenset[str] = frozenset()
    """What the classes of all Gateways that it names say that they can; nothing where one is not known."""
    rival: Claim | None = None
    """A claim of another ModelDeployment to the same requests, where that one came first."""
