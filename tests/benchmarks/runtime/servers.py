"""A server that runs on one core: its start, its processes and what they use, its end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CPU, LOAD_CPU = 0, 1
_START_SECONDS = 120
_END_SECONDS = 10
_LOOK_SECONDS = 0.02


class NotStarted(Exception):
    """The server ended, or was not ready in time; says what it printed last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs: the root of its process tree and where it listens."""

    label: str
    process: "subprocess.Popen[bytes]"
    port: int
    grpc_port: int
    ready_seconds: float
    """From the start of the process to the first good answer to its own question for readiness."""

    @property
    def pid(self) -> int:
        return self.process.pid


def cache() -> Path:
    """Where environments and models stay between runs, outside the checkout."""
    return Path(os.environ.get("MODELWAY_CACHE") or Path.home() / ".cache" / "modelway").absolute() / "bench"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


@contextmanager
def running(
    label: str,
    command: list[str],
    *,
    ports: tuple[int, int],
    ready: str,
    environment: Mapping[str, str],
) -> Iterator[Server]:
    """Starts on the servers' core and waits until the path `ready` answers; ends it with all its children."""
    folder = cache() / "logs" / label.replace(" ", "-").replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    log, began = folder / "server.log", time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(SERVER_CPU), *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", **environment},
            cwd=folder,
        )
    try:
        _wait_until_ready(process, ports[0], ready, log)
        ready_seconds = time.monotonic() - began
        yield Server(label=label, process=process, port=ports[0], grpc_port=ports[1], ready_seconds=ready_seconds)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Children that outlive the root are killed: TorchServe's and LitServe's go on by themselves."""
    family = tree(process.pid)
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family - {process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_LOOK_SECONDS)
    state = "was not ready in time" if process.poll() is None else f"ended with {process.returncode}"
    raise NotStarted(f"{state}: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


def tree(root: int) -> set[int]:
    """A process and its living descendants."""
    parents = {pid: parent for pid, (parent, _) in _processes().items()}
    found = {root}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found & parents.keys()


def cpu_seconds(root: int) -> float:
    """User and system time of a process and its living descendants."""
    processes = _processes()
    return sum(processes[pid][1] for pid in tree(root) if pid in processes) / os.sysconf("SC_CLK_TCK")


def pss_mb(root: int) -> float:
    """Memory of a process and its living descendants, shared pages divided among their users; 10⁶ bytes."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and ticks of CPU of every process."""
    found: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    return found
