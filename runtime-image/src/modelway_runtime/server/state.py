"""What is known about this process now. One object that all listeners read."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from time import perf_counter

from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.observation.record import Observer
from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.invocations import Invocations
from modelway_runtime.protocol.payloads import V2, Dialect
from modelway_runtime.protocol.predict import Predict
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.reasons import Failure
from modelway_runtime.server import question
from modelway_runtime.server.drift import Drift
from modelway_runtime.server.feedback import Feedback
from modelway_runtime.server.groups import Groups
from modelway_runtime.server.ids import Ids
from modelway_runtime.server.instances import Instance
from modelway_runtime.server.life import Life, Phase
from modelway_runtime.server.metrics import Metrics
from modelway_runtime.server.scheduler import Scheduler
from modelway_runtime.settings import ServeSettings


class Way(StrEnum):
    """The protocols in which a prediction can be asked for over HTTP."""

    V2 = "v2"
    V1 = "v1"
    INVOCATIONS = "invocations"


class Serving:
    """A loaded model with what answers for it."""

    def __init__(self, model: Model, codec: Codec, scheduler: Scheduler) -> None:
        self.model = model
        self.codec = codec
        self.scheduler = scheduler
        self.dialects: dict[Way, Dialect] = {
            Way.V2: V2(codec),
            Way.V1: Predict(codec.interface),
            Way.INVOCATIONS: Invocations(codec.interface),
        }


class State(Life):
    """The life of a server of a model, and the model."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        super().__init__(Phase.LOADING)
        self.settings = settings
        self.metrics = metrics
        self.ids = Ids(self.run.name)
        self.groups = Groups(request_timeout=settings.request_timeout)
        self.observers: tuple[Observer, ...] = ()
        self.feedback = Feedback()
        metrics.feedback = self.feedback.counts
        self.drift: Drift | None = None
        """None while the model is not loaded, and where it has no reference."""
        self.digest = ""
        self.optimization = Optimization()
        self.instances: Sequence[Instance] = ()
        """Those that must be ended with the server, also while it starts."""
        self.failure: Failure | None = None
        self.failed = asyncio.Event()
        self.serving: Serving | None = None  # from Ready on, to the end: requests are answered while draining, too

    @property
    def is_ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.phase is Phase.READY

    def enter(self, phase: Phase) -> None:
        """Goes on to a phase; nothing leaves Draining."""
        if self.phase is Phase.DRAINING:
            return
        self.phase = phase
        self.metrics.ready.value = 1.0 if phase is Phase.READY else 0.0

    def change(self, is_up: bool) -> None:
        """The model can be run again, or no more: then a process that can is being started, as at the beginning."""
        self.enter(Phase.READY if is_up else Phase.LOADING)

    def workers_alive(self) -> int:
        """Processes that can run the model now."""
        return 0 if self.serving is None else self.serving.scheduler.alive

    def give_up(self, failure: Failure) -> None:
        """Ends the server with a reason."""
        self.failure = failure
        self.failed.set()

    def described(self, query: bytes) -> dict[str, object]:
        """What `/internal/state` answers."""
        del query
        told = {"state": self.phase, "revision": self.settings.revision, "digest": self.digest}
        return {**told, **self.optimization.described()}

    def figures(self, query: bytes) -> dict[str, object]:
        """What `/internal/figures` answers: the evidence since this start of the process; by group where asked."""
        asked = question.parsed(query)
        divided = {"groups": self.groups.figures(asked, self.run.name, perf_counter())} if asked else {}
        evidence = self.metrics.evidence()
        return {
            "revision": self.settings.revision,
            **self.run.figures(),
            "state": self.phase,
            "inFlight": self.metrics.inflight(),
            "requests": evidence.requests,
            "errors": evidence.errors,
            "shadow": int(self.metrics.shadow.value),
            "feedback": self.feedback.described(),
            "latency": {str(bucket): count for bucket, count in enumerate(evidence.latency) if count},
            **({"drift": self.drift.told()} if self.drift else {}),
            **divided,
        }
