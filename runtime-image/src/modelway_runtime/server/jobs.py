"""Requests for the model: one of a caller, and some that run together."""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

from modelway_runtime.protocol.tensors import Arrays


class QueueFull(Exception):
    """As many requests wait as may."""


class NoWorker(Exception):
    """No process that could run the model lives; the next one is started in some seconds."""

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = seconds


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
    deaths: int = 0
    """Worker processes that died while they ran it."""

    def settle(self, result: "Arrays | Exception") -> None:
        """Hands out the end, if somebody still waits for it."""
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


@dataclass(slots=True, eq=False)
class Batch:
    """Requests that run together, and what came of them, in their order."""

    jobs: list[Job]
    results: "list[Arrays | Exception]" = field(default_factory=list)
    seconds: float = 0.0
    calls: int = 0
    in_call: list[Job] = field(default_factory=list)
    """Those of the call that is under way."""

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(job.rows for job in self.jobs)
