"""The gate beside a real MLServer, as its makers publish it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients import environments, models
from clients.conftest import SOURCES

IMPLEMENTATION = Path(__file__).resolve().parents[1] / "benchmarks/mlserver"
_SECONDS = 120.0

Server = tuple[subprocess.Popen[bytes], int]


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of irises."""
    return models.write(tmp_path_factory.mktemp("gated"))["iris"]


@pytest.fixture
def mlserver(tmp_path: Path) -> Iterator[Callable[[Path, int], subprocess.Popen[bytes]]]:
    """Starts MLServer with a model on a port, told in environment variables as in a pod."""
    with ExitStack() as stack:

        def start(model: Path, port: int) -> subprocess.Popen[bytes]:
            told = {
                "MLSERVER_MODEL_NAME": "iris",
                "MLSERVER_MODEL_IMPLEMENTATION": "onnx_runtime.OnnxModel",
                "MLSERVER_MODEL_URI": str(model),
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_HTTP_PORT": str(port),
                "MLSERVER_GRPC_PORT": str(_free_port()),
                "MLSERVER_METRICS_PORT": str(_free_port()),
                "MLSERVER_METRICS_DIR": str(tmp_path),
                "MLSERVER_PARALLEL_WORKERS": "0",
                "MLSERVER_DEBUG": "false",
                "PYTHONPATH": str(IMPLEMENTATION),
                "ORT_DISABLE_TELEMETRY": "1",
            }
            program = environments.python("mlserver").with_name("mlserver")
            command = [str(program), "start", str(tmp_path)]
            return stack.enter_context(_running(command, {**os.environ, **told}, tmp_path / "server.log"))

        yield start


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[[int, Any], Server]]:
    """Starts a gate for a server's port with golden requests; gives the process and where it listens."""
    with ExitStack() as stack:

        def start(server: int, golden: Any) -> Server:
            path, port = tmp_path / "golden.json", _free_port()
            path.write_text(json.dumps(golden))
            (tmp_path / "termination").touch()
            flags = ["--server", f"http://localhost:{server}", "--name", "iris", "--golden", str(path)]
            command = [sys.executable, "-m", "modelway_runtime", "gate", *flags, "--port", str(port)]
            told = {"PYTHONPATH": str(SOURCES), "MODELWAY_TERMINATION_LOG": str(tmp_path / "termination")}
            process = _running(command, {**os.environ, **told}, tmp_path / "gate.log")
            return stack.enter_context(process), port

        yield start


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def _status(port: int, path: str = "/ready") -> int:
    """Status of an answer; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def golden(label: int) -> list[dict[str, Any]]:
    """What the model should say of a flower."""
    request = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
    return [{"name": "setosa", "request": request, "expect": {"outputs": [{"name": "label", "data": [label]}]}}]


def test_mlserver_passes_and_is_followed_to_its_end(
    mlserver: Callable[..., subprocess.Popen[bytes]], gate: Callable[..., Server], iris: Path, tmp_path: Path
) -> None:
    port = _free_port()
    process, own = gate(port, golden(0))
    _wait_for(lambda: _status(own) == 503, tmp_path / "gate.log")
    server = mlserver(iris, port)
    _wait_for(lambda: _status(own) == 200, tmp_path / "gate.log")
    server.kill()
    _wait_for(lambda: _status(own) == 503, tmp_path / "gate.log")
    process.send_signal(signal.SIGTERM)
    assert process.wait(_SECONDS) == 0


def test_mlserver_with_another_model_does_not_pass(
    mlserver: Callable[..., subprocess.Popen[bytes]], gate: Callable[..., Server], iris: Path, tmp_path: Path
) -> None:
    port = _free_port()
    mlserver(iris, port)
    process, _ = gate(port, golden(2))
    assert process.wait(_SECONDS) == 1
    ended = json.loads((tmp_path / "termination").read_text())
    assert ended["reason"] == "GoldenRequestFailed"
    assert ended["message"].startswith("Golden request 'setosa': output 'label': value 0 is 0, expected 2")
