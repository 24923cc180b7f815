"""Each call of each client does what its maker's documents say."""

import functools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from clients import environments, table
from clients.table import Client

_SECONDS = 300


def _calls() -> Iterator[Any]:
    for client in table.clients():
        for call in client.calls:
            yield pytest.param(client, call, id=f"{client.script.stem}-{table.words(call)}")


@pytest.mark.parametrize(("client", "call"), list(_calls()))
def test_a_call_does_what_its_client_expects(client: Client, call: str, addresses: Mapping[str, str]) -> None:
    results, output = _run(client, json.dumps(addresses))
    assert call in results, f"the script ended before this call:\n{output}"
    assert not results[call], results[call]


@functools.cache
def _run(client: Client, addresses: str) -> tuple[Mapping[str, str], str]:
    """What became of each call of a script, and all that it printed; the script runs once."""
    command = [str(environments.python(client.environment)), str(client.script), addresses]
    # Nobody who works on this asked to be counted.
    private = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "ORT_DISABLE_TELEMETRY": "1"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, env={**environment, **private}, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    lines = (line for line in done.stdout.splitlines() if line.startswith('{"call"'))
    return {found["call"]: found["error"] for found in map(json.loads, lines)}, done.stdout + done.stderr
