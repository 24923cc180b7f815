"""`modelway-runtime compare`: the process, from settings to its end after the drain."""

import asyncio
import socket
from time import monotonic

import uvloop

from modelway_runtime import logs
from modelway_runtime.compare import settings
from modelway_runtime.compare.app import Application
from modelway_runtime.compare.backlog import Backlog
from modelway_runtime.compare.settings import CompareSettings
from modelway_runtime.compare.tally import Pair, Tally
from modelway_runtime.compare.work import Work
from modelway_runtime.reasons import Reason
from modelway_runtime.server.internal import InternalApplication
from modelway_runtime.server.life import Life, Phase, stop_signal
from modelway_runtime.server.listener import bind, listening
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome


def run(environ: Environ) -> Outcome:
    """Compares until SIGTERM or SIGINT."""
    wanted = settings.compare(environ)
    sockets = bind(wanted.host, wanted.port), bind(wanted.host, wanted.metrics_port)
    uvloop.run(_serve(wanted, *sockets))
    return Outcome(reason=Reason.COMPLETED, message="Drained and ended")


async def _serve(wanted: CompareSettings, bound: socket.socket, internal: socket.socket) -> None:
    stop = stop_signal()
    life = Life(Phase.READY)
    backlog = Backlog(
        requests=wanted.max_queue + wanted.max_concurrent,
        size=wanted.max_held_bytes,
        per_second=wanted.max_requests_per_second,
        now=monotonic(),
    )
    pair = Pair(stable=wanted.stable_revision, candidate=wanted.candidate_revision)
    tally = Tally(pair, backlog, is_redacted=wanted.is_redacted)
    described = InternalApplication(
        tally,
        state=lambda _: {"state": life.phase},
        figures=lambda _: {**life.run.figures(), "state": life.phase, **tally.figures()},
    )
    async with Work(wanted, tally) as work:
        app = Application(wanted, life, tally, backlog, work)
        async with listening((app, bound), (described, internal), patience=wanted.request_timeout):
            logs.write("Listening", port=bound.getsockname()[1], metricsPort=internal.getsockname()[1])
            await stop.wait()
            life.phase = Phase.DRAINING
            logs.write("Draining", seconds=wanted.drain)
            await asyncio.sleep(wanted.drain)
        logs.write("Stopped listening")
    logs.write("Ended", **tally.sums())
