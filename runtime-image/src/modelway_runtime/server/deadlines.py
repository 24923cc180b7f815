"""Ends requests that take too long and those whose caller has gone, with one timer for all of them.

A timer for each request would cost more than the inference of a small model. So requests are looked through ten times
a second while there are any; a limit is kept to within a tenth of a second.
"""

import asyncio
from time import perf_counter

from modelway_runtime.observation.record import Record
from modelway_runtime.protocol.tensors import Arrays
from modelway_runtime.server.answers import CallerGone, Receive
from modelway_runtime.server.jobs import Job

_PERIOD = 0.1


class TookTooLong(Exception):
    """The limit passed while the request waited for the model (`is_running` False) or ran."""

    def __init__(self, *, is_running: bool) -> None:
        super().__init__()
        self.is_running = is_running


class Pending:
    """A request that is being read (no job yet) or answered."""

    __slots__ = (
        "deadline",
        "has_expired",
        "id",
        "inputs",
        "is_shadow",
        "job",
        "receive",
        "record",
        "started",
        "task",
        "watch",
    )

    def __init__(self, receive: Receive | None, deadline: float, task: "asyncio.Task[object] | None") -> None:
        self.started = perf_counter()
        self.id = ""  # until it is read
        self.receive = receive
        self.deadline = deadline
        self.task = task
        self.job: Job | None = None
        self.watch: asyncio.Task[None] | None = None
        self.has_expired = False
        self.is_shadow = False
        self.inputs: Arrays | None = None  # kept only where requests are counted by group
        self.record: Record | None = None  # only where somebody is told of requests


class Deadlines:
    """The requests of this process and their limit in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._pending: set[Pending] = set()
        self._is_looking = False

    def begin(self, receive: Receive) -> Pending:
        """Starts the clock of a request that this task answers."""
        return self._begin(Pending(receive, self._loop.time() + self._limit, asyncio.current_task()))

    def begin_call(self) -> Pending:
        """Starts the clock of a request that is read as a whole; who takes it is told when its caller has gone."""
        return self._begin(Pending(None, self._loop.time() + self._limit, None))

    def _begin(self, pending: Pending) -> Pending:
        self._pending.add(pending)
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(_PERIOD, self._look)
        return pending

    def end(self, pending: Pending) -> None:
        """The request has its answer."""
        self._pending.discard(pending)

    def callers(self) -> int:
        """How many requests of callers are under way."""
        return sum(not pending.is_shadow for pending in self._pending)

    def _look(self) -> None:
        now = self._loop.time()
        for pending in tuple(self._pending):
            if pending.deadline <= now:
                _expire(pending)
            elif pending.job is not None and pending.receive is not None and pending.watch is None:
                pending.watch = self._loop.create_task(_watch(pending.receive, pending.job))
        self._is_looking = bool(self._pending)
        if self._is_looking:
            self._loop.call_later(_PERIOD, self._look)


def _expire(pending: Pending) -> None:
    job = pending.job
    if job is None:
        if not pending.has_expired and pending.task is not None:
            pending.has_expired = True
            pending.task.cancel()
    elif not job.future.done():
        job.future.set_exception(TookTooLong(is_running=job.is_running))


async def _watch(receive: Receive, job: Job) -> None:
    """After the body the only message is that the caller has gone, or that the answer is out."""
    await receive()
    if not job.future.done():
        job.future.set_exception(CallerGone())
