"""The story: one model, five versions, told act by act. The demo shows it, the end-to-end tests check it."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from demo import manifests, objects
from demo.load import Load
from demo.objects import Objects
from demo.place import Place
from modelway.cli.objects import Model


class Witness(Protocol):
    """Who watches the story: the demo prints, the tests compare."""

    def saw(self, model: Model) -> None:
        """The object, each time the story looks at it."""
        ...

    async def reached(self, point: str) -> None:
        """A point of the story at which everything stands still for a moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was seen while one weight held."""

    weight: int
    answers: int
    from_candidate: int


class Story:
    """Plays the acts in order; each ends when what it promises is so, or raises StoryError."""

    def __init__(self, place: Place, load: Load, witness: Witness) -> None:
        self._place = place
        self._load = load
        self._witness = witness
        self._objects = Objects(place.kubectl, place.namespace)
        self.steps: list[Step] = []

    async def serve(self) -> None:
        """Version 1 becomes a served model; the load begins when it answers."""
        self._apply("1")
        await self.until("version 1 serves", functools.partial(objects.serves, "1"))
        await self._witness.reached("serving")

    async def canary(self) -> None:
        """Version 2 takes 10 %, 50 %, then all of the traffic."""
        self._apply("2")
        for index, weight in enumerate((10, 50)):
            await self.until(f"version 2 holds at {weight} %", functools.partial(objects.holds_step, index))
            began = time.monotonic()
            await self._witness.reached(f"canary-at-{weight}")
            self._note(weight, began, await self._hold_ends(index))
        await self.until("version 2 serves alone", functools.partial(objects.serves, "2"))
        await self._witness.reached("promoted")

    async def refuse(self) -> None:
        """Version 3 answers fast and wrong: a golden request keeps it away from the traffic."""
        self._apply("3")
        await self.until("version 3 is refused", functools.partial(_is_refused, "3", "GoldenRequestFailed"))
        await self._witness.reached("refused")

    async def break_off(self) -> None:
        """Version 4 cannot be loaded: its error is in the status."""
        self._apply("4")
        await self.until("version 4 fails to load", functools.partial(_is_refused, "4", "ModelLoadFailed"))
        await self._witness.reached("broken")

    async def judge(self) -> None:
        """Version 5 loads and passes its golden requests; the callers' own requests show that it is worse."""
        self._apply("5")
        await self.until("version 5 holds at 10 %", functools.partial(objects.holds_step, 0))
        await self.until("version 5 is taken back", functools.partial(_is_refused, "5", "AnalysisFailed"))
        await self._witness.reached("judged")

    async def undo(self) -> None:
        """Back to version 1, by command."""
        command = ("undo", manifests.MODEL, "--to-revision", "1", "--wait", "--timeout", "2m")
        await asyncio.gather(
            asyncio.to_thread(self._place.modelway, *command),
            self.until("version 1 serves again", lambda model: objects.is_alone(model, "1")),
        )
        await self._witness.reached("undone")

    async def until(self, what: str, holds: Callable[[Model], bool]) -> Model:
        """Look until it is so, and let the witness see each look."""
        return await self._objects.until(manifests.MODEL, what, holds, saw=self._witness.saw)

    def _apply(self, version: str) -> None:
        self._place.kubectl.run("apply", f"--filename={self._place.manifest(version)}")

    async def _hold_ends(self, index: int) -> float:
        """Wait for the end of a hold; the last moment (monotonic) at which the weight was surely the step's."""
        held = time.monotonic()

        def is_over(model: Model) -> bool:
            nonlocal held
            if objects.holds_step(index, model):
                held = time.monotonic() - objects.LOOK_SECONDS
                return False
            return True

        await self.until(f"the hold of step {index} is over", is_over)
        return held

    def _note(self, weight: int, began: float, ended: float) -> None:
        """Count who answered while the weight held."""
        counted = self._load.shares(began, ended)
        self.steps.append(Step(weight=weight, answers=counted.total(), from_candidate=counted["2"]))


def _is_refused(version: str, reason: str, model: Model) -> bool:
    return objects.has_failed(version, reason, model) and objects.is_alone(model, "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: what is announced, the command that a user would type, and how it is played."""

    title: str
    sentence: str
    command: str
    play: Callable[[Story], Awaitable[None]]


ACTS = (
    Act(
        title="Version 1 is served",
        sentence="One object is applied; the operator makes pods, a Service and a route of it.",
        command="kubectl apply -f iris-1.yaml",
        play=Story.serve,
    ),
    Act(
        title="Version 2 goes 10 % → 50 % → 100 %",
        sentence="Only `uri` and `version` change. Each weight holds for a while; the old pods stay until the end.",
        command="kubectl apply -f iris-2.yaml",
        play=Story.canary,
    ),
    Act(
        title="Version 3 is wrong and gets no traffic",
        sentence="It loads, answers fast and mixes up two species. A golden request notices before any user does.",
        command="kubectl apply -f iris-3.yaml",
        play=Story.refuse,
    ),
    Act(
        title="Version 4 is a truncated file",
        sentence="It cannot be loaded. The status says why; version 2 serves on.",
        command="kubectl apply -f iris-4.yaml",
        play=Story.break_off,
    ),
    Act(
        title="Version 5 is slow and flips 3 % of its answers",
        sentence="Nothing shows before real requests do: it goes to 10 %, is judged beside version 2, and goes back.",
        command="kubectl apply -f iris-5.yaml",
        play=Story.judge,
    ),
    Act(
        title="Back to version 1",
        sentence="Any revision that is kept can be had back, with the same bytes.",
        command="kubectl modelway undo iris --to-revision 1 --wait -n demo",
        play=Story.undo,
    ),
)
