"""Batches while busy: requests that come during an inference run together in the next one. No timer by default.

One thread runs the model, so the event loop never waits. Rows are counted, not requests. Requests run together when
their tensors have the same names, datatypes and shapes but for the rows. A batch that fails is run again one by one,
so that a bad request cannot fail its neighbours.
"""

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import perf_counter

import numpy as np

from modelway_runtime.protocol.tensors import Arrays, Model
from modelway_runtime.server.metrics import Metrics


class QueueFull(Exception):
    """As many requests wait as may."""


@dataclass(slots=True, eq=False)
class Job:
    """A request that waits or runs; its future gets the outputs or the error."""

    inputs: Arrays
    rows: int
    future: "asyncio.Future[Arrays]"
    submitted: float = field(default_factory=perf_counter)
    is_running: bool = False
    is_shadow: bool = False
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    """How long the call of the model took that answered it, together with others."""
    batch_rows: int = 0
    """Rows of that call; 0 until it has ended."""


@dataclass(slots=True)
class _Batch:
    jobs: list[Job]
    results: "list[Arrays | Exception]" = field(default_factory=list)
    seconds: float = 0.0
    calls: int = 0


class Scheduler:
    """Queues, batches and runs the requests of one model. All methods are called from the event loop's thread."""

    def __init__(
        self, model: Model, metrics: Metrics, *, max_rows: int, max_queue: int, max_delay: float = 0.0
    ) -> None:
        self._model = model
        self._metrics = metrics
        self._max_rows = max_rows
        self._max_queue = max_queue
        self._max_delay = max_delay
        self._loop = asyncio.get_running_loop()
        self._groups: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self._waiting = 0
        self._is_busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._work: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run_batches, name="inference", daemon=True)
        self._thread.start()
        metrics.queue_depth = self.callers_waiting

    def submit(self, inputs: Arrays) -> Job:
        """Queues a request; raises QueueFull."""
        if self._waiting >= self._max_queue:
            raise QueueFull
        key, rows = _grouped(inputs) if self._model.is_batchable else (object(), 1)
        job = Job(inputs, rows, self._loop.create_future())
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = group = deque()
        group.append(job)
        self._waiting += 1
        if not self._is_busy:
            # Not at once: all requests that this turn of the loop reads go together, which costs no time.
            self._is_busy = True
            self._later(self._max_delay)
        elif self._timer is not None and self._is_full():
            self._timer.cancel()
            self._start_next()
        return job

    def callers_waiting(self) -> int:
        """How many requests of callers wait, for a scrape."""
        return sum(not job.is_shadow for group in self._groups.values() for job in group)

    def close(self) -> None:
        """Ends the thread after what it runs."""
        self._work.put(None)

    def _later(self, delay: float) -> None:
        """Starts the next batch when it is full, or else after the delay."""
        if delay > 0 and not self._is_full():
            self._timer = self._loop.call_later(delay, self._start_next)
        else:
            self._loop.call_soon(self._start_next)

    def _is_full(self) -> bool:
        """Whether the group whose turn it is fills a batch; asked only where requests wait for company."""
        return sum(job.rows for job in next(iter(self._groups.values()))) >= self._max_rows

    def _rest_of_delay(self) -> float:
        """How long the oldest request of the group whose turn it is may still wait for company."""
        if not self._max_delay:
            return 0.0
        return self._max_delay - (perf_counter() - next(iter(self._groups.values()))[0].submitted)

    def _start_next(self) -> None:
        self._timer = None
        jobs = self._next_jobs()
        if not jobs:
            self._is_busy = False
            return
        now = perf_counter()
        for job in jobs:
            job.is_running = True
            job.queue_seconds = now - job.submitted
            self._metrics.queued.observe(job.queue_seconds)
        self._work.put(_Batch(jobs))

    def _next_jobs(self) -> list[Job]:
        """The oldest requests of the group whose turn it is; those that nobody waits for any more are dropped."""
        while self._groups:
            key, group = next(iter(self._groups.items()))
            jobs: list[Job] = []
            rows = 0
            while group and (not jobs or rows + group[0].rows <= self._max_rows):
                job = group.popleft()
                self._waiting -= 1
                if not job.future.done():
                    jobs.append(job)
                    rows += job.rows
            if group:
                self._groups.move_to_end(key)
            else:
                del self._groups[key]
            if jobs:
                return jobs
        return []

    def _finish(self, batch: _Batch) -> None:
        """Back in the loop: hands out the results and starts what came meanwhile."""
        rows = sum(job.rows for job in batch.jobs)
        self._metrics.batch(rows, len(batch.jobs), batch.seconds)
        self._metrics.executions.value += batch.calls
        for job, result in zip(batch.jobs, batch.results, strict=True):
            job.compute_seconds, job.batch_rows = batch.seconds, rows
            if job.future.done():
                continue
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)
        if self._groups:
            self._later(self._rest_of_delay())
        else:
            self._is_busy = False

    def _run_batches(self) -> None:
        """The inference thread."""
        while (batch := self._work.get()) is not None:
            started = perf_counter()
            batch.results = self._results(batch)
            batch.seconds = perf_counter() - started
            try:
                self._loop.call_soon_threadsafe(self._finish, batch)
            except RuntimeError:
                # The loop has ended: nobody waits.
                return

    def _results(self, batch: _Batch) -> "list[Arrays | Exception]":
        if len(batch.jobs) > 1:
            batch.calls += 1
            together = _run_together(self._model, batch.jobs)
            if together is not None:
                return together
        batch.calls += len(batch.jobs)
        return [_run_alone(self._model, job) for job in batch.jobs]


def _grouped(inputs: Arrays) -> tuple[Hashable, int]:
    """What requests must share to run together, and the rows. Scalars and unequal rows stay alone."""
    key: list[Hashable] = []
    rows = -1
    for name, array in inputs.items():
        shape = array.shape
        if not shape or rows not in (-1, shape[0]):
            return object(), 1
        rows = shape[0]
        key += (name, array.dtype, shape[1:])
    return tuple(key), rows


def _run_together(model: Model, jobs: list[Job]) -> "list[Arrays | Exception] | None":
    """The results of all jobs from one call; None when it failed or its rows do not add up."""
    joined = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in jobs[0].inputs}
    rows = sum(job.rows for job in jobs)
    try:
        outputs = model.predict(joined)
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
    except StopIteration:
        return RuntimeError("StopIteration")  # no future takes it
    except Exception as error:  # noqa: BLE001 - the model is foreign code; its error is the answer
        return error
    except BaseException as error:  # noqa: BLE001 - a model that calls exit() must not end the only thread
        return RuntimeError(f"{type(error).__name__}: {error}")
