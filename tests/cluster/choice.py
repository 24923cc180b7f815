"""Which cluster is used: a context that was named, else kind where Docker runs, else the one-node cluster."""

from pathlib import Path
from typing import Protocol

from cluster import existing, kind, node
from cluster.info import Info


class Cluster(Protocol):
    """What every kind of cluster can do."""

    def up(self) -> None: ...

    def down(self) -> None: ...

    def load(self, archives: tuple[Path, ...]) -> None: ...

    def info(self) -> Info: ...


def choose(context: str) -> Cluster:
    """An empty context means that none was named; a node that is there, or was left, is kept to."""
    if context:
        return existing.Existing(context=context)
    if not node.is_present() and kind.is_available():
        return kind
    return node
