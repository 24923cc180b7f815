"""From files to a model that may serve: open, load, warm, ask the golden requests. Each step has its own reasons."""

import asyncio
import functools
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar, cast

from modelway_runtime import cpus, formats, golden, logs, manifest
from modelway_runtime.conversion import optimization
from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.golden import Golden
from modelway_runtime.loaders import loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.manifest import Manifest
from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.tensors import (
    DYNAMIC,
    BadRequest,
    InputRejected,
    Model,
    TensorSpec,
    runs_concurrently,
    zeros,
)
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.server import drift
from modelway_runtime.server.drift import Drift
from modelway_runtime.server.instances import Instance, ThreadInstance
from modelway_runtime.server.life import Phase
from modelway_runtime.server.scheduler import Scheduler
from modelway_runtime.server.state import Serving, State
from modelway_runtime.server.supervision import WorkerInstance
from modelway_runtime.settings import ServeSettings
from modelway_runtime.workers.messages import Start

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that has run, the rows that may run together, and what runs it."""

    model: Model
    rows: int
    instances: Sequence[Instance]


async def prepare(state: State, found: Manifest) -> None:
    """Goes through the phases up to Ready; raises Failure with the reason of the first step that fails."""
    settings = state.settings
    began = perf_counter()
    state.digest = found.digest
    opened = await (_in_workers(state, found, settings.workers) if settings.workers else _in_this_process(state, found))
    model = opened.model
    codec = Codec(settings.name, settings.version, model.inputs, model.outputs)
    state.enter(Phase.VALIDATING)
    asked = await validate(model, codec, _golden_requests(settings, found))
    scheduler = Scheduler(
        opened.instances,
        state.metrics,
        is_batchable=model.is_batchable,
        max_rows=opened.rows,
        max_queue=settings.max_queue,
        max_delay=settings.max_delay,
        changed=state.change,
    )
    reference = drift.reference_of(found)
    if reference is not None:
        state.drift = Drift(reference, model.inputs, model.outputs)
        state.metrics.drift = state.drift.instability
    state.serving = Serving(model, codec, scheduler)
    state.metrics.load_seconds.value = perf_counter() - began
    state.enter(Phase.READY)
    logs.write(
        "Model ready",
        name=settings.name,
        version=settings.version,
        digest=found.digest,
        goldenRequests=asked,
        seconds=round(state.metrics.load_seconds.value, 3),
    )


async def _in_this_process(state: State, found: Manifest) -> Opened:
    settings = state.settings
    model = await _threaded(functools.partial(load, settings, found))
    model, state.optimization = await _threaded(functools.partial(optimize, model, settings, found))
    state.enter(Phase.WARMING)
    rows = await _threaded(functools.partial(warm, model, settings.max_batch_size))
    wanted = settings.instances
    if wanted > 1 and not runs_concurrently(model):
        logs.write("This model runs one inference at a time in a process; --workers runs several", wanted=wanted)
        wanted = 1
    return Opened(model, rows, [ThreadInstance(model) for _ in range(wanted)])


async def _in_workers(state: State, found: Manifest, count: int) -> Opened:
    """The files are checked here, once; each process opens them by itself, and this one never does."""
    settings = state.settings
    model_format, artifact = await _threaded(functools.partial(checked, settings, found))
    start = Start(
        server=os.getpid(),
        model_format=model_format,
        root=str(artifact.root),
        file=str(artifact.file.relative_to(artifact.root)),
        trust=artifact.trust,
        threads=artifact.threads,
        options=dict(artifact.options),
        max_rows=settings.max_batch_size,
        golden=_golden_requests(settings, found) if optimization.OPTION in settings.options else (),
    )
    workers = [
        WorkerInstance(start, request_timeout=settings.request_timeout, gave_up=state.give_up) for _ in range(count)
    ]
    state.instances = workers
    await asyncio.gather(*(worker.loaded for worker in workers))
    state.enter(Phase.WARMING)
    models = await asyncio.gather(*(worker.warmed for worker in workers))
    state.optimization = models[0].optimization
    state.metrics.workers = state.workers_alive
    return Opened(models[0], min(model.rows for model in models), workers)


async def _threaded(action: Callable[[], T]) -> T:
    """Runs a slow step beside the loop, so that liveness is answered; the process may end without waiting for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def work() -> None:
        try:
            result = action()
        except (StopIteration, SystemExit, KeyboardInterrupt) as error:
            # A future does not take the first, and the others would end the loop: a model can raise them all.
            loop.call_soon_threadsafe(deliver, None, RuntimeError(f"{type(error).__name__}: {error}"))
        except BaseException as error:  # noqa: BLE001 - it rises where the result is awaited
            loop.call_soon_threadsafe(deliver, None, error)
        else:
            loop.call_soon_threadsafe(deliver, result, None)

    threading.Thread(target=work, name="preparation", daemon=True).start()
    return await future


def load(settings: ServeSettings, found: Manifest) -> Model:
    """Opens the files that the manifest names; raises Failure."""
    model_format, artifact = checked(settings, found)
    return loader.find(model_format)(artifact)


def checked(settings: ServeSettings, found: Manifest) -> tuple[str, Artifact]:
    """The format and the file that may be opened: its bytes are those that were fetched, and it may be trusted."""
    manifest.verify(found)
    model_format = settings.model_format or formats.guess(found.paths)
    file = formats.find(found.paths, model_format)
    formats.check_trust(file, settings.trust)
    artifact = Artifact(
        root=found.root,
        file=found.root / file.path,
        trust=settings.trust,
        threads=settings.threads or cpus.allowed(),
        options=settings.options,
    )
    return model_format, artifact


def optimize(model: Model, settings: ServeSettings, found: Manifest) -> tuple[Model, Optimization]:
    """The model as `model.options.optimize` wants it, if that answers the same; raises Failure for a wrong option."""
    requests = _golden_requests(settings, found) if optimization.OPTION in settings.options else ()
    return optimize_for(requests, model, settings.options, settings.threads or cpus.allowed())


def optimize_for(
    requests: tuple[Golden, ...], model: Model, options: Mapping[str, object], threads: int
) -> tuple[Model, Optimization]:
    """The same, held to golden requests."""
    return optimization.optimized(
        model,
        options,
        threads,
        lambda candidate: first_wrong(candidate, Codec("", "", candidate.inputs, candidate.outputs), requests),
    )


def warm(model: Model, max_rows: int) -> int:
    """Runs the model on zeros, alone and as a full batch, so that the first request finds it warm.

    Gives the rows that may run together: one where an answer to many rows is not as many answers, such as a table of
    all pairs or the objects found in pictures. Such answers could not be handed out to their requests.
    """
    is_known = all(_has_zeros(spec) for spec in model.inputs)
    shapes: list[list[object]] = []
    for rows in (1, max_rows) if model.is_batchable else (1,):
        try:
            outputs = model.predict({spec.name: zeros(spec, rows) for spec in model.inputs})
        except BaseException as error:  # the model is foreign code and may raise anything
            if not is_known or isinstance(error, InputRejected):
                # What only a request knows, or zeros that mean nothing to the model, are no fault of it.
                logs.write("Warm-up input does not fit, going on", error=str(error)[:200])
                return max_rows
            message = f"The model fails on zeros of its own shapes: {type(error).__name__}: {error}"
            raise Failure(Reason.WARMUP_FAILED, message) from error
        shapes.append([(rows, *array.shape[1:]) == array.shape and array.shape[1:] for array in outputs.values()])
    if not model.is_batchable or (shapes[0] == shapes[-1] and False not in shapes[0]):
        return max_rows
    logs.write("The model does not answer row by row, so requests run one by one")
    return 1


def _has_zeros(spec: TensorSpec) -> bool:
    """Whether zeros of an input must mean something to the model: its sizes are known, and it takes no strings."""
    return spec.datatype != "BYTES" and DYNAMIC not in spec.shape[1:] and not spec.is_any_shape


def _golden_requests(settings: ServeSettings, found: Manifest) -> tuple[Golden, ...]:
    file = settings.golden_file
    if file and file not in found.paths:
        raise Failure(Reason.GOLDEN_REQUEST_FAILED, f"The model has no file {file} with golden requests")
    return golden.read(settings.golden_path, found.root / file if file else None)


async def validate(model: Model, codec: Codec, requests: tuple[Golden, ...]) -> int:
    """Asks all golden requests, and gives how many; raises Failure at the first that is not answered as expected."""
    wrong = await _threaded(functools.partial(first_wrong, model, codec, requests))
    if wrong:
        raise Failure(Reason.GOLDEN_REQUEST_FAILED, wrong)
    return len(requests)


def first_wrong(model: Model, codec: Codec, requests: tuple[Golden, ...]) -> str:
    """What is wrong with the first golden request that is not answered as expected; empty when all are."""
    for request in requests:
        try:
            wrong = golden.difference(request, answer(model, codec, request))
        except (BadRequest, InputRejected) as error:
            wrong = f"the request is refused: {error}"
        except BaseException as error:  # noqa: BLE001 - whatever the model raises is the answer to this request
            wrong = f"the model failed: {type(error).__name__}: {error}"
        if wrong:
            return f"Golden request {request.name!r}: {wrong}"
    return ""


def answer(model: Model, codec: Codec, request: Golden) -> Any:
    """The response as a caller would read it; not through the scheduler, whose figures count callers only."""
    decoded = codec.decode(json.dumps(request.request).encode())
    decoded.binary = frozenset()  # whatever it asks for, the answer is compared as JSON
    return json.loads(codec.encode(decoded, model.predict(decoded.inputs))[0])
