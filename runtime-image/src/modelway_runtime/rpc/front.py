"""The port for gRPC calls: which library brings them."""

import importlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from modelway_runtime.reasons import UsageError
from modelway_runtime.server.deadlines import Deadlines
from modelway_runtime.server.state import State

BACKENDS = {"grpcio": "modelway_runtime.rpc.core", "native": "modelway_runtime.rpc.native"}
OFF = "off"
"""What `MODELWAY_GRPC` can be."""
# Its C library would tell of each lost connection, and guard against forks that never happen.
_QUIET = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}


@asynccontextmanager
async def calling(state: State, deadlines: Deadlines) -> AsyncIterator[int]:
    """Answers calls; gives the port, 0 where gRPC is off. At the end those that run have `requestTimeout` to end."""
    settings = state.settings
    if settings.grpc == OFF:
        yield 0
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # Imported when wanted: both libraries cost more than the whole start without them.
    service = importlib.import_module("modelway_runtime.rpc.service").Service(state, deadlines)
    front = _bound(importlib.import_module(BACKENDS[settings.grpc]), service, settings.host, settings.grpc_port)
    await front.start()
    try:
        yield front.port
    finally:
        await front.close(settings.request_timeout)


def _bound(backend: Any, service: Any, host: str, port: int) -> Any:
    """A front on a port that is free: both libraries would share one that somebody else has."""
    address = f"[{host}]:{port}" if ":" in host else f"{host or _everywhere()}:{port}"
    try:
        _check_free(host, port)
        return backend.Front(service, address)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"cannot listen on {host or '*'}:{port}: {error}; choose with --grpc-port") from error


def _everywhere() -> str:
    return "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - a pod's port is for its callers


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, port), family=family).close()
