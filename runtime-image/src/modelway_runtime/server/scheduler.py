"""Batches while busy: requests that come while all instances run go together in the next call. No timer by default.

Instances run the model, so the event loop never waits. Rows are counted, not requests. Requests run together when
their tensors have the same names, datatypes and shapes but for the rows. A batch that fails is run again one by one,
so that a bad request cannot fail its neighbours. Requests whose instance died are run again once, alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter

from modelway_runtime.protocol.tensors import Arrays
from modelway_runtime.server import instances, waiting
from modelway_runtime.server.instances import Instance
from modelway_runtime.server.jobs import Batch, Job, NoWorker, QueueFull
from modelway_runtime.server.metrics import Metrics

_MOST_DEATHS = 2
"""Of instances that ran the same request: the second time it ran alone."""


class Scheduler:
    """Queues, batches and runs the requests of one model. But for the events, the event loop's thread calls."""

    def __init__(
        self,
        running: Sequence[Instance],
        metrics: Metrics,
        *,
        is_batchable: bool,
        max_rows: int,
        max_queue: int,
        max_delay: float = 0.0,
        changed: Callable[[bool], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._is_batchable = is_batchable
        self._max_queue = max_queue
        self._max_delay = max_delay
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._waiting = waiting.Waiting(max_rows)
        self._instances = tuple(running)
        self._alive = set(running)
        self._free = list(running)
        self._busy: set[Instance] = set()
        self._refusal: tuple[str, float] | None = None
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        metrics.queue_depth = self._waiting.callers
        for instance in running:
            instance.attach(self)

    @property
    def alive(self) -> int:
        """Instances that could run a batch."""
        return len(self._alive)

    def submit(self, inputs: Arrays) -> Job:
        """Queues a request; raises QueueFull, and NoWorker where none is likely to live soon."""
        if self._waiting.count >= self._max_queue:
            raise QueueFull
        if self._refusal is not None:
            raise NoWorker(*self._refusal)
        key, rows = waiting.grouped(inputs) if self._is_batchable else (object(), 1)
        job = Job(inputs, rows, self._loop.create_future())
        self._waiting.add(key, job)
        if self._timer is not None:
            if self._waiting.is_full():
                self._timer.cancel()
                self._start_next()
        elif self._free and not self._is_due:
            # Not at once: all requests that this turn of the loop reads go together, which costs no time.
            self._later(self._max_delay)
        return job

    def close(self) -> None:
        """Ends the instances; a thread after what it runs, a process at once."""
        instances.end(self._instances)

    def finished(self, instance: Instance, batch: Batch) -> None:
        """From an instance: a batch has its results."""
        self._soon(self._finish, instance, batch)

    def lost(self, instance: Instance, cause: str, batch: Batch | None, pause: float | None) -> None:
        """From an instance: it has died."""
        self._soon(self._lose, instance, cause, batch, pause)

    def came_up(self, instance: Instance) -> None:
        """From an instance: it lives again."""
        self._soon(self._welcome, instance)

    def _soon(self, action: Callable[..., None], *arguments: object) -> None:
        # The loop may have ended: nobody waits then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action, *arguments)

    def _later(self, delay: float) -> None:
        """Starts the next batch when it is full, or else after the delay."""
        self._is_due = True
        if delay > 0 and not self._waiting.is_full():
            self._timer = self._loop.call_later(delay, self._start_next)
        else:
            self._loop.call_soon(self._start_next)

    def _rest_of_delay(self) -> float:
        """How long the oldest request of the group whose turn it is may still wait for company."""
        if not self._max_delay:
            return 0.0
        return self._max_delay - (perf_counter() - self._waiting.oldest().submitted)

    def _start_next(self) -> None:
        self._timer = None
        self._is_due = False
        if not self._free:
            return
        jobs = self._waiting.take()
        if not jobs:
            return
        now = perf_counter()
        for job in jobs:
            job.is_running = True
            job.queue_seconds = now - job.submitted
            if not job.deaths:
                self._metrics.queued.observe(job.queue_seconds)
        instance = self._free.pop()
        self._busy.add(instance)
        instance.run(Batch(jobs))
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and self._free and not self._is_due:
            self._later(self._rest_of_delay())

    def _finish(self, instance: Instance, batch: Batch) -> None:
        """Back in the loop: hands out the results and starts what came meanwhile."""
        self._metrics.batch(batch.rows, len(batch.jobs), batch.seconds)
        self._metrics.executions.value += batch.calls
        for job, result in zip(batch.jobs, batch.results, strict=True):
            job.compute_seconds, job.batch_rows = batch.seconds, batch.rows
            job.settle(result)
        self._busy.discard(instance)
        self._free.append(instance)
        self._go_on()

    def _lose(self, instance: Instance, cause: str, batch: Batch | None, pause: float | None) -> None:
        """An instance has died: its requests go to others, and wait for one where none lives."""
        self._alive.discard(instance)
        self._busy.discard(instance)
        if instance in self._free:
            self._free.remove(instance)
        unbegun = instance.take_back()
        for job in reversed(unbegun.jobs if unbegun else []):
            self._again(job)
        if batch is not None:
            self._return(batch, cause)
        if not self._alive:
            # The first time it is back in a moment, and they wait; after that they had better go elsewhere.
            if pause != 0.0:
                self._refuse(f"no process runs the model: the last one {cause}", pause or 1.0)
            self._tell(is_up=False)
        self._go_on()

    def _refuse(self, message: str, seconds: float) -> None:
        self._refusal = message, seconds
        for job in self._waiting.take_all():
            job.settle(NoWorker(message, seconds))

    def _return(self, batch: Batch, cause: str) -> None:
        """Of a batch that was under way: what has a result is answered, what killed twice is refused."""
        for job, result in zip(batch.jobs, batch.results, strict=False):
            job.settle(result)
        for job in reversed(batch.jobs[len(batch.results) :]):
            job.deaths += job in batch.in_call
            if job.deaths >= _MOST_DEATHS:
                job.settle(NoWorker(f"the process that ran the model for this request {cause}, twice"))
            else:
                self._again(job)

    def _again(self, job: Job) -> None:
        job.is_running = False
        self._waiting.add_alone_at_front(job)

    def _welcome(self, instance: Instance) -> None:
        self._metrics.worker_restarts.value += 1
        self._refusal = None
        self._alive.add(instance)
        if instance not in self._busy:
            self._free.append(instance)
        if len(self._alive) == 1:
            self._tell(is_up=True)
        self._go_on()

    def _tell(self, *, is_up: bool) -> None:
        if self._changed is not None:
            self._changed(is_up)
