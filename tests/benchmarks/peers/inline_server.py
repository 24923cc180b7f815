"""Our runtime without its scheduler: each request is run at once on the event loop, alone; the rest is the same."""

import asyncio
import sys

from modelway_runtime import __main__
from modelway_runtime.server import preparation
from modelway_runtime.server.jobs import Job
from modelway_runtime.server.state import Serving


def inline(model, codec, scheduler, *others, **named) -> Serving:
    """Takes requests to the model itself, past queue and thread."""

    def submit(inputs) -> Job:
        job = Job(inputs, 1, asyncio.get_running_loop().create_future())
        job.future.set_result(model.predict(inputs))
        return job

    scheduler.submit = submit
    return Serving(model, codec, scheduler, *others, **named)


if __name__ == "__main__":
    preparation.Serving = inline
    sys.exit(__main__.main())
