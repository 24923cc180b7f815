"""Starting and ending processes, known by a marker in their environment.

Each process carries `MODELWAY_CLUSTER=<state folder>`, and so do its children (containerd's shims). The
marker is read from /proc and the signal goes through a pidfd: no process is lost by a crash before its pid was
written down, and none is ended because it was given the pid of one that is gone.
"""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import ClusterError

MARKER = "MODELWAY_CLUSTER"
PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that this Python process started."""

    name: str
    log: Path
    handle: subprocess.Popen[bytes]

    def require_running(self) -> None:
        """Raise when the process has ended, with the end of its log."""
        if self.handle.poll() is not None:
            ended = f"{self.name} ended with {self.handle.returncode}"
            raise ClusterError(f"{ended}; {self.log} ends with:\n{tail(self.log)}")


def log_of(owner: Path, name: str) -> Path:
    return owner / "log" / f"{name}.log"


def start(name: str, command: Sequence[str | Path], owner: Path, **environment: str) -> Started:
    """Start a process of the cluster whose state is in `owner`, logging to log/NAME.log there."""
    log = log_of(owner, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        handle = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=owner,
            env={**os.environ, **environment, MARKER: str(owner)},
            start_new_session=True,
        )
    return Started(name=name, log=log, handle=handle)


def tail(log: Path, lines: int = 15) -> str:
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def is_marked(pid: int, owner: Path) -> bool:
    """Whether the process carries the marker of `owner`; a process that ended does not."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return f"{MARKER}={owner}".encode() in environment.split(b"\0")


def marked(owner: Path) -> tuple[int, ...]:
    """Pids of the live processes that carry the marker of `owner`."""
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return tuple(pid for pid in pids if is_marked(pid, owner))


def kill_marked(owner: Path) -> int:
    """End every process of `owner` and wait until all are gone; how many there were."""
    count = 0
    while pids := marked(owner):
        count += kill(pids, lambda pid: is_marked(pid, owner))
    return count


def kill(pids: Iterable[int], is_ours: Callable[[int], bool]) -> int:
    """SIGKILL each pid that is still ours and wait until it is gone; how many there were.

    The pidfd is opened before the check: if the pid is given to another process in between, the signal fails.
    """
    handles = [handle for pid in pids if (handle := _open(pid)) is not None and _keep(handle, is_ours(pid))]
    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for handle in handles:
        select.select([handle], [], [], 10)
        os.close(handle)
    return len(handles)


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _keep(handle: int, is_wanted: bool) -> bool:
    if not is_wanted:
        os.close(handle)
    return is_wanted
