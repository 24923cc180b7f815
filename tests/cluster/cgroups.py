"""The cgroup that holds every pod: made before the kubelet starts, emptied and removed at the end."""

from collections.abc import Iterator
from pathlib import Path

from cluster import processes

ROOT = Path("/sys/fs/cgroup")
NAME = "modelway"


def hierarchies() -> tuple[Path, ...]:
    """The one hierarchy of cgroup v2, or each controller's of v1."""
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    return tuple(sorted(path.parent for path in ROOT.glob("*/cgroup.procs")))


def create() -> None:
    for hierarchy in hierarchies():
        folder = hierarchy / NAME
        folder.mkdir(exist_ok=True)
        _inherit_cpuset(hierarchy, folder)


def remove() -> None:
    """Kill every process of the pods, then remove the groups, the innermost first."""
    for hierarchy in hierarchies():
        while pids := tuple(_pids(hierarchy / NAME)):
            processes.kill(pids, lambda pid, group=hierarchy / NAME: pid in set(_pids(group)))  # type: ignore[misc]
    for hierarchy in hierarchies():
        for folder in sorted(_folders(hierarchy / NAME), reverse=True):
            folder.rmdir()


def _inherit_cpuset(hierarchy: Path, folder: Path) -> None:
    """A new v1 cpuset is empty, and no process may join it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / name).exists() and (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((hierarchy / name).read_text())


def _folders(top: Path) -> Iterator[Path]:
    if top.exists():
        yield top
        yield from (path for path in top.rglob("*") if path.is_dir())


def _pids(top: Path) -> Iterator[int]:
    for folder in _folders(top):
        yield from (int(line) for line in (folder / "cgroup.procs").read_text().split())
