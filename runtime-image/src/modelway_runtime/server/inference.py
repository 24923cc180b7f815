"""Runs a batch on a model: together, and one by one where that fails, so that no request fails its neighbours."""

from time import perf_counter

import numpy as np

from modelway_runtime.protocol.tensors import Arrays, Model, ModelGone
from modelway_runtime.server.jobs import Batch, Job


def run(model: Model, batch: Batch) -> None:
    """Fills in the results; raises ModelGone, and then those of the requests before the fatal call are there."""
    started = perf_counter()
    try:
        _run(model, batch)
    finally:
        batch.seconds = perf_counter() - started


def _run(model: Model, batch: Batch) -> None:
    batch.in_call = batch.jobs
    if len(batch.jobs) > 1:
        batch.calls += 1
        together = _run_together(model, batch.jobs)
        if together is not None:
            batch.results = together
            return
    for job in batch.jobs:
        batch.calls += 1
        batch.in_call = [job]
        batch.results.append(_run_alone(model, job))


def _run_together(model: Model, jobs: list[Job]) -> "list[Arrays | Exception] | None":
    """The results of all jobs from one call; None when it failed or its rows do not add up."""
    rows = sum(job.rows for job in jobs)
    try:
        outputs = model.predict({name: np.concatenate([job.inputs[name] for job in jobs]) for name in jobs[0].inputs})
    except ModelGone:
        raise
    except BaseException:  # noqa: BLE001 - each request is tried alone and keeps its own error
        return None
    if any(array.shape[:1] != (rows,) for array in outputs.values()):
        return None
    results: list[Arrays | Exception] = []
    start = 0
    for job in jobs:
        end = start + job.rows
        results.append({name: array[start:end] for name, array in outputs.items()})
        start = end
    return results


def _run_alone(model: Model, job: Job) -> "Arrays | Exception":
    try:
        return model.predict(job.inputs)
    except ModelGone:
        raise
    except StopIteration:
        return RuntimeError("StopIteration")  # no future takes it
    except Exception as error:  # noqa: BLE001 - the model is foreign code; its error is the answer
        return error
    except BaseException as error:  # noqa: BLE001 - a model that calls exit() must not end the only thread
        return RuntimeError(f"{type(error).__name__}: {error}")
