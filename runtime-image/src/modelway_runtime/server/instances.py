"""What runs batches beside the event loop, one at a time each: here a thread of this process."""

import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Protocol

from modelway_runtime.protocol.tensors import Model
from modelway_runtime.server import inference
from modelway_runtime.server.jobs import Batch


class Events(Protocol):
    """Who is told of an instance. All may be called from any thread, and do nothing once the loop has ended."""

    def finished(self, instance: "Instance", batch: Batch) -> None:
        """The batch has its results."""

    def lost(self, instance: "Instance", cause: str, batch: Batch | None, pause: float | None) -> None:
        """The instance has died, with this batch under way, and is started again after a pause; None: never."""

    def came_up(self, instance: "Instance") -> None:
        """It has been started again."""


class Instance(Protocol):
    """Runs batches. Methods are called from the event loop's thread."""

    def attach(self, events: Events) -> None:
        """Batches may come from now on."""

    def run(self, batch: Batch) -> None:
        """Starts a batch; only while none is under way."""

    def take_back(self) -> Batch | None:
        """A batch that was given but has not been begun."""

    def close(self) -> None:
        """Nothing more will be wanted of it."""

    def join(self) -> None:
        """Waits, for seconds at most, until it has ended."""


def end(instances: Sequence[Instance]) -> None:
    """Ends all of them at the same time."""
    for instance in instances:
        instance.close()
    for instance in instances:
        instance.join()


class ThreadInstance:
    """A thread for a model that lies in this process."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._work: SimpleQueue[Batch | None] = SimpleQueue()

    def attach(self, events: Events) -> None:
        """Starts the thread."""
        threading.Thread(target=self._run_batches, args=(events,), name="inference", daemon=True).start()

    def run(self, batch: Batch) -> None:
        """Wakes the thread."""
        self._work.put(batch)

    def take_back(self) -> Batch | None:
        """None: a thread does not die."""
        return None

    def close(self) -> None:
        """Ends the thread after what it runs."""
        self._work.put(None)

    def join(self) -> None:
        """Waits for nothing: nobody can end a thread that hangs, and the process ends without it."""

    def _run_batches(self, events: Events) -> None:
        while (batch := self._work.get()) is not None:
            inference.run(self._model, batch)
            events.finished(self, batch)
