"""Where a run takes place: the machine, its load and the commit."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.runtime import servers

REPOSITORY = Path(__file__).resolve().parents[3]
_BUSY = 0.3


def described() -> str:
    """Processor, memory, system and Python."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    system = re.search(r'PRETTY_NAME="(.+)"', Path("/etc/os-release").read_text())
    parts = (
        f"{os.cpu_count()} cores of {cpu[1] if cpu else platform.machine()}",
        f"{round(int(memory[1]) / 1024**2) if memory else '?'} GiB",
        system[1] if system else platform.system(),
        f"CPython {platform.python_version()}",
    )
    return ", ".join(parts)


def load() -> str:
    """What else runs at the start, in words."""
    busy = os.getloadavg()[0]
    return "nothing else running" if busy < _BUSY else f"other work was running (load average {busy:.1f} at the start)"


class Others:
    """What everything takes of the processors that is neither of these servers nor of this process and its children."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._before = self._seconds()

    def percent(self) -> float:
        """Of all cores, since the start."""
        total, busy, own = (now - then for now, then in zip(self._seconds(), self._before, strict=True))
        return max(0.0, 100 * (busy - own) / total) if total else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        """Of all, of what was busy, and of ours."""
        ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
        idle, rate = ticks[3] + ticks[4], os.sysconf("SC_CLK_TCK")
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        servers_seconds = sum(servers.cpu_seconds(root) for root in self._roots)
        return sum(ticks) / rate, (sum(ticks) - idle) / rate, own + servers_seconds


def commit() -> str:
    """Short, with a word where files differ from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return f"{head} with changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def today() -> str:
    """ISO."""
    return datetime.now(UTC).date().isoformat()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.strip()
