"""Which clients call what: read from the scripts, without running them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.environments import LOCKS

CALLS = Path(__file__).resolve().parent / "calls"
_PREFIX = "call_"
_ENVIRONMENTS = {
    "triton": ("triton", "tritonclient"),
    "triton_aio": ("triton", "tritonclient"),
    "triton_grpc": ("triton", "tritonclient"),
    "triton_grpc_aio": ("triton", "tritonclient"),
    "kserve_rest": ("kserve", "kserve"),
    "kserve_grpc": ("kserve", "kserve"),
    "mlserver_cli": ("mlserver", "mlserver"),
    "mlflow_scoring": ("kserve", "mlflow-skinny"),
    "http_requests": ("web", "requests"),
}
"""The environment of each script, and the distribution whose version counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A script, and what it calls."""

    script: Path
    environment: str
    version: str
    title: str
    calls: tuple[str, ...]


def clients() -> Iterator[Client]:
    """All of them."""
    for name, (environment, distribution) in _ENVIRONMENTS.items():
        script = CALLS / f"{name}.py"
        tree = ast.parse(script.read_text(encoding="utf-8"))
        yield Client(
            script=script,
            environment=environment,
            version=_locked(environment, distribution),
            title=(ast.get_docstring(tree) or "").partition(":")[0],
            calls=tuple(
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(_PREFIX)
            ),
        )


def words(call: str) -> str:
    """A call's name as words."""
    return call.removeprefix(_PREFIX).replace("_", " ")


def rows() -> Iterator[str]:
    """The table of the documents."""
    yield "\n| client | version | calls |\n|---|---|---|\n"
    for client in clients():
        yield f"| `{client.title}` | {client.version} | {'<br>'.join(map(words, client.calls))} |\n"
    yield "\n"


def _locked(environment: str, distribution: str) -> str:
    found = re.search(rf"^{re.escape(distribution)}(?:\[\w+\])?==(\S+)", LOCKS[environment].read_text(), re.MULTILINE)
    assert found is not None, f"{distribution} is not in the lock of {environment}"
    return found[1]
