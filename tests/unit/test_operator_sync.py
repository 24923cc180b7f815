"""Sweeps, before a server that fails: what a watch missed is found sooner or later."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from modelway import kinds
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.intake import Intake
from modelway.cluster.queue import WorkQueue
from modelway.cluster.sync import Sync
from modelway.cluster.transport import Transport
from modelway.cluster.watched import watched
from modelway.metrics import Metrics

MODEL = {"metadata": {"name": "a", "namespace": "ns", "uid": "1", "resourceVersion": "3"}, "spec": {}}


class Server:
    """Refuses so many lists; then all are empty."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.left:
            self.left -= 1
            return web.json_response({"message": "no"}, status=403)
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": []})


@pytest.fixture
async def sweeping() -> AsyncIterator[Callable[[Server], Awaitable[tuple[Sync, Cache]]]]:
    """Starts the sweeps of a cache that holds one model, which the server does not have."""
    tasks, runners = [], []
    async with aiohttp.ClientSession() as session:

        async def begin(server: Server) -> tuple[Sync, Cache]:
            application = web.Application()
            application.router.add_get("/{path:.*}", server.answer)
            runners.append(runner := web.AppRunner(application))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            transport = Transport(session, f"http://127.0.0.1:{runner.addresses[0][1]}", metrics=Metrics())
            cache, metrics, scope = Cache(), Metrics(), watched(gateway=False)
            cache.store(kinds.MODEL_DEPLOYMENT, MODEL)
            intake = Intake(cache, WorkQueue(), metrics)
            sync = Sync(Client(transport), cache, intake, watched=scope, metrics=metrics, settle=0.01, pause=0.01)
            tasks.append(asyncio.create_task(sync.run()))
            return sync, cache

        yield begin
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for runner in runners:
            await runner.cleanup()


@pytest.mark.parametrize("refusals", [0, 1, 4])
async def test_a_sweep_that_fails_is_tried_until_it_finds_what_a_watch_missed(
    sweeping: Callable[[Server], Awaitable[tuple[Sync, Cache]]], refusals: int
) -> None:
    server = Server(refusals)
    sync, cache = await sweeping(server)
    sync.request(kinds.MODEL_DEPLOYMENT)
    async with asyncio.timeout(10):
        while cache.keys():
            await asyncio.sleep(0.01)
    assert server.asked == refusals + 1
