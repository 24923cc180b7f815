"""Unmounting what the kubelet and containerd leave below the state folder."""

import re
from pathlib import Path

from cluster import shell

TABLE = Path("/proc/self/mountinfo")


def below(folder: Path, table: str) -> tuple[str, ...]:
    """Mount points below a folder, the last mounted first; spaces and the like are octal in the table."""
    points = (re.sub(r"\\(\d{3})", _character, line.split()[4]) for line in table.splitlines())
    return tuple(reversed([point for point in points if point.startswith(f"{folder}/")]))


def unmount_below(folder: Path) -> None:
    """Detach everything; raise if something stays: removing the folder would remove what is mounted."""
    if points := below(folder, TABLE.read_text()):
        shell.run(["umount", "--lazy", *points])
    if left := below(folder, TABLE.read_text()):
        raise shell.ClusterError(f"Could not unmount {', '.join(left)}")


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))
