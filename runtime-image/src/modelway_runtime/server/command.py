"""`modelway-runtime serve`: the process, from settings to its end after the drain."""

import asyncio
import faulthandler
import socket
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

import uvloop

from modelway_runtime import cpus, logs, manifest, settings, termination
from modelway_runtime.loaders import loader
from modelway_runtime.manifest import Manifest
from modelway_runtime.observation import observers
from modelway_runtime.observation.settings import ObservationSettings, observation
from modelway_runtime.reasons import Reason, UsageError
from modelway_runtime.rpc import front
from modelway_runtime.server import cores, greeting, instances
from modelway_runtime.server.app import Application
from modelway_runtime.server.internal import InternalApplication
from modelway_runtime.server.life import Phase, stop_signal
from modelway_runtime.server.listener import bind, listening
from modelway_runtime.server.metrics import Metrics
from modelway_runtime.server.preparation import prepare
from modelway_runtime.server.state import State
from modelway_runtime.settings import Environ, ServeSettings
from modelway_runtime.termination import Outcome

_CRASHED = Outcome(
    reason=Reason.MODEL_LOAD_FAILED,
    message="A library crashed on the model's files while they were loaded or first run; its log says where",
)
"""Left behind by a process that has no time to say anything: a broken file can end the library that reads it."""


def run(environ: Environ) -> Outcome:
    """Serves until SIGTERM or SIGINT; the outcome carries the digest."""
    path = environ.get("MODELWAY_PATH", "")
    wanted = settings.serve(local(environ, path) if path else environ)
    observed = observation(environ)
    if path and environ.get("MODELWAY_GOLDEN_PATH"):
        existing(environ["MODELWAY_GOLDEN_PATH"])  # in a pod it may be absent; a person has mistyped it
    found = manifest.of_path(existing(path)) if path else manifest.read(wanted.model_path)
    wanted = cores.shared(wanted, loader.library(wanted.model_format, found), cpus.allowed())
    cpus.bound(wanted.threads)
    if wanted.trust == "Signed":
        # A signature that held vouches for code, too; without one only what runs no code is opened.
        wanted = replace(wanted, trust="Any" if found.is_signed else "Safe")
    sockets = bind(wanted.host, wanted.port), bind(wanted.host, wanted.metrics_port)
    log = settings.termination_log(environ)
    faulthandler.enable()
    uvloop.run(_serve(wanted, found, sockets, log, observed=observed, is_local=bool(path)))
    return Outcome(reason=Reason.COMPLETED, message="Drained and ended", digest=found.digest, size=found.size)


def local(environ: Environ, path: str) -> Environ:
    """On a person's machine: not open to the network, named after the path, no drain."""
    place = Path(path).resolve()
    name = (place.name if place.is_dir() else place.stem) or "model"
    defaults = {"MODELWAY_HOST": "127.0.0.1", "MODELWAY_MODEL_NAME": name, "MODELWAY_DRAIN": "0s"}
    return {**defaults, **{key: value for key, value in environ.items() if value}}


def existing(path: str) -> Path:
    """The path of a file or folder that a person named; raises UsageError."""
    if not Path(path).exists():
        raise UsageError(f"{path} does not exist")
    return Path(path)


async def _serve(
    wanted: ServeSettings,
    found: Manifest,
    sockets: tuple[socket.socket, ...],
    log: Path,
    *,
    observed: ObservationSettings,
    is_local: bool,
) -> None:
    """Listens from the start, so that liveness and state are answered while the model loads."""
    state = State(wanted, Metrics(wanted.name, wanted.version, request_timeout=wanted.request_timeout))
    stop = stop_signal()
    # From here on SIGTERM ends with a message of its own.
    termination.write(log, _CRASHED)
    internal = InternalApplication(state.metrics, state=state.described, figures=state.figures)
    application = Application(state)
    apps = zip((application, internal), sockets, strict=True)
    try:
        async with (
            observers.observing(state, observed),
            listening(*apps, patience=wanted.request_timeout),
            front.calling(state, application.deadlines) as grpc_port,
        ):
            if not is_local:
                port, metrics_port = (bound.getsockname()[1] for bound in sockets)
                logs.write("Listening", port=port, metricsPort=metrics_port, grpcPort=grpc_port)
            if await _prepared(state, found, stop):
                termination.clear(log)
                if is_local:
                    print(greeting.text(state, *sockets, grpc_port=grpc_port), flush=True)
                await _first(stop.wait(), state.failed.wait())
                if state.failure is not None:
                    raise state.failure
                await _drain(state)
    finally:
        instances.end(state.instances)
        logs.write("Ended")


async def _prepared(state: State, found: Manifest, stop: asyncio.Event) -> bool:
    """Whether the model became ready before a signal came."""
    return await _first(prepare(state, found), stop.wait()) == 0


async def _first(*awaited: Coroutine[object, object, object]) -> int:
    """The place of the first that ends, whose error rises; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    place = next(place for place, task in enumerate(tasks) if task.done())
    for task in tasks[:place] + tasks[place + 1 :]:
        task.cancel()
    tasks[place].result()
    return place


async def _drain(state: State) -> None:
    """Not ready at once, but answers go on until every proxy has heard of it."""
    state.enter(Phase.DRAINING)
    logs.write("Draining", seconds=state.settings.drain)
    await asyncio.sleep(state.settings.drain)
