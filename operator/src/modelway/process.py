"""Puts the operator together, runs it in order, and ends it in order."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp

from modelway.cluster import defaults, gateway, health
from modelway.cluster.api import ApiError, Fenced, Superseded
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.discovery import GatewayApi
from modelway.cluster.events import Recorder
from modelway.cluster.intake import Intake
from modelway.cluster.jitter import spread
from modelway.cluster.lease import Election
from modelway.cluster.preflight import Cluster, Preflight
from modelway.cluster.queue import WorkQueue
from modelway.cluster.scrape import CacheCollector, QueueCollector
from modelway.cluster.session import Connection
from modelway.cluster.snapshot import Key
from modelway.cluster.streams import Streams
from modelway.cluster.sync import Sync
from modelway.cluster.transport import Transport
from modelway.cluster.watched import watched
from modelway.cluster.workers import Workers
from modelway.handlers import Watch
from modelway.metrics import Metrics
from modelway.providers import calls
from modelway.providers.calls import Caller
from modelway.providers.inquirer import Inquirer, SystemClock
from modelway.providers.pods import Pods
from modelway.providers.reach import Reach
from modelway.providers.reader import Reader
from modelway.reconcile import Reconciler
from modelway.server import Server
from modelway.settings import Settings
from modelway.stop import Stop, cancelled
from modelway.tally import Tally

DRAIN_SECONDS = 10.0
EVENTS_SECONDS = 2.0
KOPF_SECONDS = 8.0
"""These and the lease's release fit into a termination grace period of 30 s."""
PAUSE_SECONDS = 5.0
INTERVAL_JITTER = 0.1
"""Share by which the intervals of analyses vary."""

log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Run the operator until a signal, a fault or another Gateway API ends it; the exit code."""
    stop, metrics = Stop(), Metrics()
    stop.listen()
    connection = await Connection.open(kubeconfig=settings.kubeconfig, context=settings.context)
    reach = Reach(settings.analysis_local_networks)
    async with connection.session() as session, calls.session(reach) as providers:
        transport = Transport(session, connection.server, metrics=metrics)
        client = Client(transport)
        preflight = Preflight(client, settings)
        probes = Probes(preflight)
        server = Server(live=probes.live, ready=probes.ready, metrics=metrics)
        log.info("Listens", extra={"port": await server.start(settings.http_port)})
        try:
            cluster = await stop.unless(preflight.run())
            if cluster is None:
                return stop.code
            process = Process(
                settings,
                cluster,
                connection=connection,
                client=client,
                providers=providers,
                metrics=metrics,
                stop=stop,
            )
            transport.guard(process.election.fence)
            probes.process = process
            await process.run(server)
        finally:
            await server.stop()
    return stop.code


class Process:
    """What runs once the cluster was found fit."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        *,
        connection: Connection,
        client: Client,
        providers: aiohttp.ClientSession,
        metrics: Metrics,
        stop: Stop,
    ) -> None:
        self._gateway_api = cluster.gateway_api if settings.gateway else None
        settings = settings.model_copy(update={"gateway": settings.gateway and cluster.has_gateway})
        self._settings, self._client, self._metrics, self._stop = settings, client, metrics, stop
        self._cache, self._queue = Cache(), WorkQueue()
        self._intake = Intake(self._cache, self._queue, metrics)
        self._lag = health.LoopLag(metrics)
        self._is_primed = False
        self._background: list[asyncio.Task[None]] = []
        self.election = Election(
            client,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            identity=settings.identity,
            floor=self._cache.highest_epoch,
            metrics=metrics,
        )
        scope = watched(gateway=settings.gateway, namespaces=settings.namespaces)
        self._sync = Sync(client, self._cache, self._intake, watched=scope, metrics=metrics)
        self._recorder = Recorder(client, instance=self.election.identity, metrics=metrics)
        self._streams = Streams(scope, begun=self._sync.request, ended=stop.request)
        self._watch = Watch(
            connection=connection,
            watched=scope,
            intake=self._intake,
            streams=self._streams,
            streaming=cluster.can_stream_lists,
        )
        self._inquirer = Inquirer(
            Reader(Pods(Caller(providers)), Caller(providers, settings.analysis_hosts), metrics),
            wake=self._queue.add,
            clock=SystemClock(),
            spread=lambda seconds: spread(seconds, INTERVAL_JITTER),
            may_ask=self.election.fence,
        )
        self._reconciler = Reconciler(
            api=client,
            cache=self._cache,
            clock=lambda: datetime.now(UTC),
            settings=settings,
            route_fields=cluster.gateway_api.rule_fields,
            events=self._recorder,
            counters=Tally(metrics),
            asker=self._inquirer,
        )
        self._workers = Workers(
            self._queue,
            self._reconcile,
            leadership=self.election,
            superseded=lambda why: stop.request(1, why),
            metrics=metrics,
        )
        metrics.registry.register(CacheCollector(self._cache))
        metrics.registry.register(QueueCollector(self._queue, self.election.leading_seconds))

    async def run(self, server: Server) -> None:
        """Work until something asks to stop, then end in order."""
        runtimes = defaults.read(self._settings.default_runtimes) if self._settings.default_runtimes else ()
        if not await self._stop.unless(self._prime()):
            return
        # kopf cancels whatever was started after it, so it comes last.
        for work, what in self._infrastructure():
            self._background.append(self._stop.follow(work, what))
        self._background.append(self._stop.background(self._seed(runtimes), "The default runtimes"))
        self._background.append(self._stop.background(self._streams.settle(), "The wait for the watches"))
        working = self._stop.follow(self._workers.run(self._settings.workers), "Workers")
        kopf_stop = asyncio.Event()
        watching = self._stop.follow(self._watch.run(kopf_stop, self._stop.listen), "The watch")
        await self._stop.wait()
        await self._end_writing(working)
        await server.stop()
        kopf_stop.set()
        await asyncio.wait((watching,), timeout=KOPF_SECONDS)
        await cancelled(watching, *self._background)
        log.info("Ended")

    def unready(self) -> Iterator[str]:
        """Why nobody should rely on this process yet."""
        if not self._is_primed:
            yield "The cache is not filled yet"

    def problems(self) -> Iterator[str]:
        """What only a restart can cure."""
        yield from self._lag.problems()
        yield from health.work_problems(self._queue, self._workers, self.election.leading_seconds)

    def _infrastructure(self) -> Iterator[tuple[Coroutine[Any, Any, None], str]]:
        yield self._lag.run(), "The measuring of the event loop"
        yield self._sync.run(), "The sweep"
        yield self._recorder.run(), "The event recorder"
        yield self.election.run(), "The election"
        if self._gateway_api is not None:
            yield self._await_gateway(self._gateway_api), "The wait for another Gateway API"

    async def _reconcile(self, key: Key, epoch: int) -> datetime | None:
        """One pass. Raises Superseded when a later leader has written to this object."""
        written = self._cache.epoch(key)
        if written > epoch:
            raise Superseded(f"{key[0]}/{key[1]} was written in epoch {written}, this process has {epoch}")
        return await self._reconciler.reconcile(key, epoch)

    async def _prime(self) -> bool:
        while True:
            try:
                await self._sync.prime()
            except ApiError as failure:
                log.warning("Cache was not filled: %s", failure)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._is_primed = True
            return True

    async def _seed(self, runtimes: tuple[dict[str, Any], ...]) -> None:
        """Apply the default runtimes once this process leads."""
        while True:
            await self.election.leadership()
            try:
                await defaults.apply(runtimes, self._client)
            except (ApiError, Fenced) as failure:
                log.warning("Default runtimes were not applied: %s", failure)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            return

    async def _await_gateway(self, known: GatewayApi) -> None:
        await gateway.change(self._client, self._cache, known)
        self._stop.request(0, "the Gateway API is another one now; a new start uses what it has")

    async def _end_writing(self, working: asyncio.Task[None]) -> None:
        """Finish what was begun, say what happened, and let the next process lead at once."""
        self._intake.close()
        self._workers.close()
        await asyncio.wait((working,), timeout=DRAIN_SECONDS)
        await cancelled(working)
        await self._inquirer.stop()
        try:
            async with asyncio.timeout(EVENTS_SECONDS):
                await self._recorder.drain()
        except TimeoutError:
            log.warning("Left Kubernetes Events unwritten")
        await cancelled(*self._background)
        await self.election.release()


class Probes:
    """What the kubelet is told, also before there is a Process."""

    def __init__(self, preflight: Preflight) -> None:
        self._preflight = preflight
        self.process: Process | None = None

    def live(self) -> Iterator[str]:
        """What only a restart can cure."""
        if self.process is not None:
            yield from self.process.problems()

    def ready(self) -> Iterator[str]:
        """Why nobody should rely on this process yet."""
        if self._preflight.problem:
            yield self._preflight.problem
        if self.process is not None:
            yield from self.process.unready()
