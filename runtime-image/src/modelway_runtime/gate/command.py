"""`modelway-runtime gate`: the process, from settings to its end."""

import asyncio
import socket

import uvloop

from modelway_runtime import logs
from modelway_runtime.gate import settings
from modelway_runtime.gate.app import Application
from modelway_runtime.gate.passage import Passage
from modelway_runtime.gate.settings import GateSettings
from modelway_runtime.reasons import Reason
from modelway_runtime.server.life import stop_signal
from modelway_runtime.server.listener import bind, listening
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome


def run(environ: Environ) -> Outcome:
    """Stands until SIGTERM or SIGINT; raises Failure where the model does not pass."""
    wanted = settings.gate(environ)
    digest = uvloop.run(_stand(wanted, bind(wanted.host, wanted.port)))
    return Outcome(reason=Reason.COMPLETED, message="Drained and ended", digest=digest)


async def _stand(wanted: GateSettings, bound: socket.socket) -> str:
    stop, passage = stop_signal(), Passage(wanted)
    async with listening((Application(passage), bound), patience=1):
        port = bound.getsockname()[1]
        logs.write("Listening", port=port, metricsPort=port)
        going = asyncio.ensure_future(passage.go())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((going, stopping), return_when=asyncio.FIRST_COMPLETED)
        if going.done():
            stopping.cancel()
            going.result()
        going.cancel()
        await passage.drained()
    logs.write("Ended")
    return passage.digest
