"""The servers that are compared: how each is installed and started on one core."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVER_CPU = 0
NAME = "iris"
_START_SECONDS = 180
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs: the root of its process tree and where it listens."""

    label: str
    pid: int
    port: int
    grpc_port: int
    ready_seconds: float
    """From the start of the process to the first good answer to V2's `ready`."""

    @property
    def infer_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2/models/{NAME}/infer"


def cache() -> Path:
    """Where environments and models stay between runs, outside the checkout."""
    return Path(os.environ.get("MODELWAY_CACHE") or Path.home() / ".cache" / "modelway").absolute() / "bench"


def mlserver_environment() -> Path:
    """The peer's own environment, made from the lock when that changed."""
    lock = HERE / "mlserver.txt"
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    place = cache() / "mlserver"
    made = place / "lock.sha256"
    if made.exists() and made.read_text() == stamp:
        return place
    print("Installing MLServer into", place, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    made.write_text(stamp)
    return place


@contextmanager
def modelway(model: Path, grpc: str = "grpcio") -> Iterator[Server]:
    """Ours, with all that it does by default: limits, metrics, batching; calls are taken by one of two libraries."""
    port, grpc_port = _free_ports(2)
    command = [str(Path(sys.executable).with_name("modelway-runtime")), "serve", str(model)]
    flags = ["--name", NAME, "--port", str(port), "--metrics-port", "0", "--threads", "1"]
    calls = ["--grpc", grpc, "--grpc-port", str(grpc_port)]
    label = "modelway" if grpc == "grpcio" else f"modelway {grpc}"
    with _running(label, [*command, *flags, *calls], (port, grpc_port), cache()) as server:
        yield server


@contextmanager
def mlserver(model: Path) -> Iterator[Server]:
    """MLServer without worker processes, which is its fastest mode for small models; debug is off."""
    port, grpc_port, metrics_port = _free_ports(3)
    folder = cache() / "mlserver-settings"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        "parallel_workers": 0,
    }
    described = {"name": NAME, "implementation": "onnx_runtime.OnnxModel", "parameters": {"uri": str(model)}}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(described))
    program = mlserver_environment() / "bin/mlserver"
    with _running("MLServer 1.7.1", [str(program), "start", str(folder)], (port, grpc_port), folder) as server:
        yield server


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


@contextmanager
def _running(label: str, command: list[str], ports: tuple[int, int], folder: Path) -> Iterator[Server]:
    port, grpc_port = ports
    log, began = folder / "server.log", time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(HERE / "mlserver"), "ORT_DISABLE_TELEMETRY": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(SERVER_CPU), *command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
    try:
        _wait_until_ready(process, port, log)
        ready = time.monotonic() - began
        yield Server(label=label, pid=process.pid, port=port, grpc_port=grpc_port, ready_seconds=ready)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/{NAME}/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_LOOK_SECONDS)
    raise SystemExit(f"The server on port {port} did not become ready:\n{log.read_text()[-2000:]}")


def cpu_seconds(root: int) -> float:
    """User and system time of a process and its living descendants."""
    parents: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    tree = {root}
    while grown := {pid for pid, (parent, _) in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(parents[pid][1] for pid in tree if pid in parents) / os.sysconf("SC_CLK_TCK")
