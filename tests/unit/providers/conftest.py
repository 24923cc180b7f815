"""Servers on the loopback, and sessions that may ask them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web

from modelway.providers import calls
from modelway.providers.calls import Caller
from modelway.providers.reach import Reach

LOOPBACK = (ip_network("127.0.0.0/8"),)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A server and what it was asked."""

    address: str
    """Host and port."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and body."""
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}"


Serve: TypeAlias = Callable[[Handler], Awaitable[Site]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that answers every request with the handler."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> Site:
        site = Site("")

        async def answer(request: web.Request) -> web.StreamResponse:
            site.asked.append((request.method, request.path_qs, await request.text()))
            site.headers.append(dict(request.headers))
            return await handler(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.address = f"127.0.0.1:{runner.addresses[0][1]}"
        return site

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """May ask the loopback."""
    async with calls.session(Reach(LOOPBACK)) as session:
        yield session


@pytest.fixture
def caller(session: aiohttp.ClientSession) -> Caller:
    return Caller(session)


@pytest.fixture
def saying() -> Callable[..., Handler]:
    """Makes a handler that answers that JSON, or that text as it is."""

    def say(body: Any, status: int = 200) -> Handler:
        async def answer(_: web.Request) -> web.Response:
            if isinstance(body, str):
                return web.Response(text=body, status=status)
            return web.json_response(body, status=status)

        return answer

    return say


@pytest.fixture
def hanging() -> Handler:
    """A handler that never answers."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    return answer


@pytest.fixture
def free_port() -> int:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
