"""Our runtime without its scheduler: each request is run at once on the event loop, alone; the rest is the same."""

import asyncio
import sys

from modelway_runtime import __main__
from modelway_runtime.server import preparation
from modelway_runtime.server.scheduler import Job, Scheduler


class Inline(Scheduler):
    """Neither queue nor thread."""

    def __init__(self, model, *others, **named) -> None:
        super().__init__(model, *others, **named)
        self._run_inline = model.predict

    def submit(self, inputs) -> Job:
        """The model's answer, while everything else waits."""
        job = Job(inputs, 1, asyncio.get_running_loop().create_future())
        job.future.set_result(self._run_inline(inputs))
        return job


if __name__ == "__main__":
    preparation.Scheduler = Inline
    sys.exit(__main__.main())
