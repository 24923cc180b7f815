"""A listening HTTP server: uvicorn without its signal handling, on a socket of ours."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from modelway_runtime.reasons import UsageError
from modelway_runtime.server.connection import Connection

# A proxy keeps connections for up to an hour; when the server ended them first, a request could meet the end of one.
_KEEP_ALIVE_SECONDS = 3660
_BACKLOG = 2048


class Listener(uvicorn.Server):
    """One port; it ends when `should_exit` is set and its last answer is out."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the life cycle's, since there are two listeners and a drain before the end."""
        yield


@contextlib.asynccontextmanager
async def listening(*bound: tuple[object, socket.socket], patience: float) -> AsyncIterator[None]:
    """ASGI applications answer on their sockets; `patience`: how long a request may come, and at the end run."""
    listeners = [(_listener(app, patience), one) for app, one in bound]
    running = [asyncio.ensure_future(listener.serve(sockets=[one])) for listener, one in listeners]
    try:
        yield
    finally:
        for listener, _ in listeners:
            listener.should_exit = True
        await asyncio.gather(*running)


def _listener(app: object, patience: float) -> Listener:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=functools.partial(Connection, patience=patience),  # type: ignore[arg-type]
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        # Warnings are of callers who send what is no HTTP; they would fill the log.
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(patience)),
    )
    return Listener(config)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket: of one address, or of all of them, IPv6 too where there is."""
    try:
        if host:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        where = f"{host or '*'}:{port}"
        raise UsageError(f"cannot listen on {where}: {error.strerror}; choose with --port, --metrics-port") from error
