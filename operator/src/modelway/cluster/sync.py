"""Keeps the cache complete where watches do not: the first fill, and sweeps that find what a watch missed."""

import asyncio
import logging
from collections.abc import Iterable

from modelway.cluster.api import ApiError, NotFound
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.intake import Intake
from modelway.cluster.jitter import spread
from modelway.cluster.watched import Watched, selector
from modelway.kinds import Kind, Manifest
from modelway.metrics import Metrics

SWEEP_SECONDS = 600.0
POLL_SECONDS = 60.0
SWEEP_JITTER = 0.2
SETTLE_SECONDS = 1.0
"""Between a watch's new beginning and the sweep that looks for deletions before it."""
PAUSE_SECONDS = 5.0
"""Between a sweep that failed and the next try."""
MOST_SINGLE_READS = 50
"""More differences than this are read with one list instead of one by one."""

log = logging.getLogger(__name__)


class Sync:
    """Lists the watched kinds into the cache."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        intake: Intake,
        *,
        watched: Watched,
        metrics: Metrics,
        settle: float = SETTLE_SECONDS,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._cache = cache
        self._intake = intake
        self._watched = watched
        self._metrics = metrics
        self._settle = settle
        self._pause = pause
        self._requests: asyncio.Queue[Kind] = asyncio.Queue()

    async def prime(self) -> None:
        """Fill the cache before anything is decided: with half of it, every child would look missing."""
        await asyncio.gather(
            *(self._prime(kind) for kind in self._watched.kinds), *(self._poll(kind) for kind in self._watched.polled)
        )
        counts = {kind.name: count for kind, count in self._cache.counts().items()}
        log.info("Filled the cache", extra={"objects": counts})

    def request(self, kind: Kind) -> None:
        """Have a kind swept soon: its watch began anew, and tells nothing of deletions before that."""
        self._metrics.relists.labels(kind.name).inc()
        self._requests.put_nowait(kind)

    async def run(self) -> None:
        """Sweep each kind every ten minutes or so, and on request; each minute what nothing watches."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_requests())
            for kind in self._watched.kinds:
                tasks.create_task(self._sweep_forever(kind))
            for kind in self._watched.polled:
                tasks.create_task(self._poll_forever(kind))

    async def sweep(self, kind: Kind) -> int:
        """Compare the cache with the API server; how many objects differed."""
        self._metrics.sweeps.labels(kind.name).inc()
        differences = 0
        for namespace in self._watched.scopes(kind):
            differences += await self._sweep(kind, namespace)
        if differences:
            self._metrics.sweep_differences.labels(kind.name).inc(differences)
            log.info("Corrected the cache", extra={"kind": kind.name, "objects": differences})
        return differences

    async def _prime(self, kind: Kind) -> None:
        for namespace in self._watched.scopes(kind):
            for item in await self._client.list(kind, namespace, selector(kind)):
                self._intake.wake(kind, None, self._cache.observe(kind, None, item))

    async def _serve_requests(self) -> None:
        while True:
            requested = {await self._requests.get()}
            await asyncio.sleep(self._settle)
            while not self._requests.empty():
                requested.add(self._requests.get_nowait())
            if not all([await self._try_sweep(kind) for kind in requested]):
                await asyncio.sleep(self._pause)

    async def _poll(self, kind: Kind) -> None:
        """Sweep a kind of others, which this cluster need not have."""
        try:
            await self.sweep(kind)
        except NotFound:
            log.debug("Kind is not served", extra={"kind": kind.name})

    async def _poll_forever(self, kind: Kind) -> None:
        while True:
            await asyncio.sleep(spread(POLL_SECONDS, SWEEP_JITTER))
            try:
                await self._poll(kind)
            except ApiError as failure:
                log.warning("Poll failed: %s", failure, extra={"kind": kind.name})

    async def _sweep_forever(self, kind: Kind) -> None:
        while True:
            await asyncio.sleep(spread(SWEEP_SECONDS, SWEEP_JITTER))
            await self._try_sweep(kind)

    async def _try_sweep(self, kind: Kind) -> bool:
        """Whether it came to its end; else it is requested again: what a watch missed, nobody else will find."""
        try:
            await self.sweep(kind)
        except ApiError as failure:
            log.warning("Sweep failed: %s", failure, extra={"kind": kind.name})
            self._requests.put_nowait(kind)
            return False
        return True

    async def _sweep(self, kind: Kind, namespace: str | None) -> int:
        listing = await self._client.listing(kind, namespace, selector(kind), metadata_only=True)
        stale = [item for item in listing.items if not self._cache.is_current(kind, item["metadata"])]
        differences = 0
        for item in await self._read(kind, namespace, stale):
            keys = self._cache.observe(kind, "MODIFIED", item)
            self._intake.wake(kind, None, keys)
            differences += bool(keys)
        for gone in self._cache.sweep(kind, namespace, listing.items, listing.resource_version):
            self._intake.wake(kind, None, self._cache.affected(kind, gone))
            differences += 1
        return differences

    async def _read(self, kind: Kind, namespace: str | None, stale: list[Manifest]) -> Iterable[Manifest]:
        if len(stale) > MOST_SINGLE_READS:
            return await self._client.list(kind, namespace, selector(kind))
        found = []
        for item in stale:
            metadata = item["metadata"]
            try:
                found.append(await self._client.get(kind, metadata.get("namespace"), metadata["name"]))
            except NotFound:
                continue  # Deleted since the list; the watch or the next sweep says so.
        return found
