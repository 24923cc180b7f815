"""Brings together who is told of requests, by the settings."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from modelway_runtime.observation.access_log import AccessLog
from modelway_runtime.observation.record import Observer
from modelway_runtime.observation.settings import ObservationSettings
from modelway_runtime.observation.triton import TritonNames
from modelway_runtime.server.state import State


@asynccontextmanager
async def observing(state: State, wanted: ObservationSettings) -> AsyncIterator[None]:
    """Tells them of requests from now on; at the end they pass on what they hold."""
    state.observers = tuple(_observers(state, wanted))
    also = (TritonNames(state.metrics).families,) if wanted.has_triton_names else ()
    state.metrics.others = (*(observer.families for observer in state.observers), *also)
    try:
        yield
    finally:
        # Together, since a pod has five seconds for all that comes after its last answer.
        await asyncio.gather(*(asyncio.to_thread(observer.close) for observer in state.observers))


def _observers(state: State, wanted: ObservationSettings) -> Iterator[Observer]:
    labels = (state.settings.name, state.settings.version)
    if wanted.has_traces:
        # Imported when wanted, since it costs as much as half of the start. Before the log, which names the traces.
        yield importlib.import_module("modelway_runtime.observation.traces").Traces(state.settings)
    if wanted.has_access_log:
        yield AccessLog(sys.stdout.fileno(), labels)
    if wanted.payloads is not None:
        # Imported when wanted: the client of HTTP and its TLS take a part of the start, too.
        yield importlib.import_module("modelway_runtime.observation.payload_log").PayloadLog(state, wanted.payloads)
