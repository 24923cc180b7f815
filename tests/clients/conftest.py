"""A server for each model, started as a person starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from clients import models

SOURCES = Path(__file__).resolve().parents[2] / "runtime-image" / "src"


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Where each model is served, as host and port; `NAME/grpc` for calls."""
    folder = tmp_path_factory.mktemp("served")
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for name, path in models.write(folder).items():
            found[name], found[f"{name}/grpc"] = stack.enter_context(_served(name, path))
        yield found


@contextmanager
def _served(name: str, path: Path) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "modelway_runtime", "serve", str(path), "--name", name, "--model-version", "1"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [*command, "--port", "0", "--metrics-port", "0", "--grpc-port", "0"],
        env={**environment, "MODELWAY_TERMINATION_LOG": str(path.with_suffix(".termination"))},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        # `Serving NAME at http://HOST:PORT/v2/models/NAME (gRPC on port N, …)` is printed once the model is ready.
        line = process.stdout.readline()
        assert line.startswith("Serving "), line
        rest = line.partition("http://")[2].partition("/")[0]
        yield rest, f"127.0.0.1:{line.partition('gRPC on port ')[2].partition(',')[0]}"
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
