"""What a loader gets, and how one is found for a format."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from modelway_runtime import registry
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.reasons import Failure, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A checked model on disk: its file, the folder around it, and how it may be opened."""

    root: Path
    file: Path
    trust: str
    threads: int
    options: Mapping[str, object]


# onnxruntime since 1.29 reports models and their use to its maker unless this is set before its import.
_PRIVACY = {"ORT_DISABLE_TELEMETRY": "1"}

Loader: TypeAlias = Callable[[Artifact], Model]


def keep_quiet() -> None:
    """The libraries' settings, which must stand before they are imported."""
    os.environ.update(_PRIVACY)


def find(model_format: str) -> Loader:
    """The loader of a format; its library is imported here."""
    keep_quiet()
    try:
        loader: Loader | None = registry.find(registry.LOADERS, model_format)
    except ModuleNotFoundError as error:
        message = f"Format {model_format} needs the module {error.name}, which this image lacks; use one that has it"
        raise Failure(Reason.UNSUPPORTED_FORMAT, message) from error
    if loader is None:
        known = ", ".join(registry.names(registry.LOADERS))
        raise Failure(Reason.UNSUPPORTED_FORMAT, f"Format {model_format!r} has no loader here; there are {known}")
    return loader


def allowed_cpus() -> int:
    """The CPUs that this process may use: affinity and the cgroup's quota, rounded up; never the host's number."""
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
