"""Runs batches in a worker process, watches over it and starts it again when it dies.

A thread does so for each worker. It waits for the process and for batches at the same time, so a death is noticed at
once, busy or not. It also is the thread that starts the process: Linux ends that together with its thread.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from select import poll
from time import monotonic
from typing import Any

from modelway_runtime import logs
from modelway_runtime.protocol.tensors import ModelGone
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.server import inference
from modelway_runtime.server.deaths import Deaths
from modelway_runtime.server.instances import Events
from modelway_runtime.server.jobs import Batch
from modelway_runtime.workers.bell import Bell, Closed
from modelway_runtime.workers.messages import Start
from modelway_runtime.workers.worker import Worker

DIED = "WorkerDied"
"""The reason of a server that gave up: no verdict on a model that was ready once, so it counts as a crash loop."""
_SLACK_SECONDS = 1.0
"""Who waits is answered before the process is ended that makes them wait."""
_END_SECONDS = 10.0
"""A process takes two at most to end; the server does not stay for one that the kernel cannot end."""


class WorkerInstance:
    """A worker process and the thread that cares for it."""

    def __init__(self, start: Start, *, request_timeout: float, gave_up: Callable[[Failure], None]) -> None:
        """Starts both; `gave_up` is called in the loop when the process died too often."""
        self._start = start
        self._call_seconds = request_timeout + _SLACK_SECONDS
        self._gave_up = gave_up
        self._loop = asyncio.get_running_loop()
        self.loaded: asyncio.Future[None] = self._loop.create_future()
        self.warmed: asyncio.Future[Worker] = self._loop.create_future()
        """The first process, which answers whoever asks until `attach`."""
        self._bell = Bell()
        self._batches: deque[Batch] = deque()
        self._events: Events | None = None
        self._deaths = Deaths()
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._live, name="supervision", daemon=True)
        self._thread.start()

    def attach(self, events: Events) -> None:
        """Batches may come from now on, and nobody else asks the process."""
        self._events = events
        self._bell.ring()

    def run(self, batch: Batch) -> None:
        """Gives the process work."""
        self._batches.append(batch)
        self._bell.ring()

    def take_back(self) -> Batch | None:
        """A batch that has not been begun because the process died."""
        try:
            return self._batches.popleft()
        except IndexError:
            return None

    def close(self) -> None:
        """Ends the process, busy or not."""
        self._bell.ring_last()

    def join(self) -> None:
        """Waits until the process has ended."""
        self._thread.join(_END_SECONDS)

    def _live(self) -> None:
        """The thread."""
        try:
            self._prepare_first()
            while True:
                self._replace(self._serve())
        except Closed:
            return
        except Exception as error:  # noqa: BLE001 - a thread that ends unseen would leave its callers waiting
            logs.LOGGER.exception("Supervision ended by an error in the runtime itself")
            self._end_server(Failure("InternalError", f"{type(error).__name__}: {error}"))
        finally:
            if self._worker is not None:
                self._worker.close()

    def _prepare_first(self) -> None:
        try:
            worker = self._new_worker()
            worker.load(self._start)
            self._tell(_settle, self.loaded, None)
            worker.warm()
        except Failure as failure:
            self._tell(self._refuse, failure)
            raise Closed from failure
        logs.write("Worker started", pid=worker.pid)
        self._tell(_settle, self.warmed, worker)
        while self._events is None:
            self._hear(None)

    def _new_worker(self) -> Worker:
        """A process that has loaded nothing yet, in place of the one before; raises Failure."""
        if self._worker is not None:
            self._worker.close()
        try:
            self._worker = Worker(self._bell, call_seconds=self._call_seconds)
        except OSError as error:
            raise Failure(Reason.MODEL_LOAD_FAILED, f"No process could be started: {error}") from error
        return self._worker

    def _refuse(self, failure: Failure) -> None:
        """Ends the start, if it is under way."""
        _settle(self.warmed if self.loaded.done() else self.loaded, failure)

    def _end_server(self, failure: Failure) -> None:
        self._tell(self._refuse, failure)
        self._tell(self._gave_up, failure)

    def _serve(self) -> "_Loss":
        """Runs batches until the process dies."""
        assert self._events is not None
        assert self._worker is not None
        began, has_answered = monotonic(), False
        batch: Batch | None = None
        try:
            while True:
                batch = self.take_back()
                if batch is None:
                    self._worker.wait()
                    continue
                inference.run(self._worker, batch)
                has_answered = True
                self._events.finished(self, batch)
        except ModelGone as gone:
            self._deaths = self._deaths.after(monotonic() - began, has_answered=has_answered)
            return _Loss(self._worker.pid, str(gone), batch)

    def _replace(self, loss: "_Loss") -> None:
        """Starts processes until one has loaded the model; raises Closed after too many that died."""
        assert self._events is not None
        while True:
            self._mourn(loss)
            self._hear(self._deaths.pause)
            try:
                worker = self._new_worker()
                worker.load(self._start)
                worker.warm()
            except Failure as failure:
                self._deaths = self._deaths.after(0.0, has_answered=False)
                loss = _Loss(loss.pid, f"could not load the model: {failure.message}")
                continue
            logs.write("Worker started again", pid=worker.pid)
            self._events.came_up(self)
            return

    def _mourn(self, loss: "_Loss") -> None:
        """Tells of a death; raises Closed where it was one too many."""
        assert self._events is not None
        deaths = self._deaths
        fields = {"pid": loss.pid, "cause": loss.cause, "inRow": deaths.in_row, "pauseSeconds": deaths.pause}
        logs.LOGGER.warning("Worker died", extra={"fields": fields})
        self._events.lost(self, loss.cause, loss.batch, None if deaths.is_hopeless else deaths.pause)
        if deaths.is_hopeless:
            message = f"The process that runs the model died {deaths.in_row} times in a row: {loss.cause}"
            self._end_server(Failure(DIED, message))
            raise Closed

    def _hear(self, seconds: float | None) -> None:
        """Waits for the bell or the end of some time; raises Closed."""
        waiting = poll()
        waiting.register(self._bell.number)
        waiting.poll(None if seconds is None else seconds * 1e3)
        self._bell.silence()
        self._bell.check()

    def _tell(self, action: Callable[..., None], *arguments: object) -> None:
        # The loop may have ended: nobody waits then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action, *arguments)


@dataclass(frozen=True, slots=True)
class _Loss:
    """How a process came to its end, and what it was at."""

    pid: int
    cause: str
    batch: Batch | None = None


def _settle(future: "asyncio.Future[Any]", result: object) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
