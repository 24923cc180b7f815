"""The CPUs that this process may use, and the threads of libraries, which count those of the host."""

import os
from collections.abc import Mapping
from pathlib import Path

_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GIVEN = frozenset(name for name in _LIBRARIES if os.environ.get(name))
"""What whoever started the process has said, which stands."""
_MOST_DIGITS = 4


def allowed() -> int:
    """By affinity and the cgroup's quota, rounded up; never the host's number."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, quota(Path("/sys/fs/cgroup")) or affinity))


def quota(cgroup: Path) -> int:
    """CPUs by the cgroup's quota (version 2, then 1), 0 without one."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return 0
    if quota in ("max", "-1"):
        return 0
    return -(-int(quota) // int(period))


def bound(threads: int) -> None:
    """The threads of libraries that are imported after this, and of processes that are started.

    A library reads its number once. numpy is imported with the first module that needs it, before the model is known.
    """
    os.environ.update({name: str(threads) for name in _LIBRARIES if name not in _GIVEN})


def wanted(environ: Mapping[str, str]) -> int:
    """What the settings say of threads, as far as it can be read before they are checked; else all CPUs."""
    said = environ.get("MODELWAY_THREADS", "")
    return (int(said) if said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS else 0) or allowed()
