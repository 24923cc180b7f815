"""The server's life: loading, warming, validating, ready, draining. One object that all listeners read."""

from enum import StrEnum

from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.server.metrics import Metrics
from modelway_runtime.server.scheduler import Scheduler
from modelway_runtime.settings import ServeSettings


class Phase(StrEnum):
    """The sub-states that the operator shows."""

    LOADING = "Loading"
    WARMING = "Warming"
    VALIDATING = "Validating"
    READY = "Ready"
    DRAINING = "Draining"


class Serving:
    """A loaded model with what answers for it."""

    def __init__(self, model: Model, codec: Codec, scheduler: Scheduler) -> None:
        self.model = model
        self.codec = codec
        self.scheduler = scheduler


class State:
    """What is known about this process now."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.digest = ""
        self.serving: Serving | None = None

    @property
    def is_ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.phase is Phase.READY

    @property
    def takes_requests(self) -> bool:
        """Whether requests that come are answered: while draining, too."""
        return self.phase in (Phase.READY, Phase.DRAINING)

    def enter(self, phase: Phase) -> None:
        """Goes on to a phase; nothing leaves Draining."""
        if self.phase is Phase.DRAINING:
            return
        self.phase = phase
        self.metrics.ready.value = 1.0 if phase is Phase.READY else 0.0
