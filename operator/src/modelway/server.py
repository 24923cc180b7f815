"""The operator's own HTTP server: /healthz and /readyz for the kubelet, /metrics for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from modelway.metrics import Metrics

Problems: TypeAlias = Callable[[], Iterable[str]]


class Server:
    """Up from before the pre-flight checks until the last write."""

    def __init__(self, *, live: Problems, ready: Problems, metrics: Metrics) -> None:
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", _probe(live))
        app.router.add_get("/readyz", _probe(ready))
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int, host: str | None = None) -> int:
        """Listen (on all addresses without a host; 0 takes a free port). Returns the port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _scrape(self, _: web.Request) -> web.Response:
        # 5,000 series take 40 ms: not on the event loop.
        content = await asyncio.to_thread(self._metrics.render)
        return web.Response(body=content, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _probe(problems: Problems) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        found = list(problems())
        return web.Response(status=503 if found else 200, text="\n".join(found) or "ok")

    return answer
