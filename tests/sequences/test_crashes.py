"""The operator dies after every single write: whoever takes over does exactly what was left to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.forks import Scenario, at_writes
from simulation.server import Write
from simulation.stories import TWO_STEPS, installed, reach, renew, serves_alone, upgrade
from simulation.world import World

SHORT = models.canary({"weight": 10, "hold": "20s"}, {"weight": 50, "hold": "20s"}, bake="30s")


@dataclass(frozen=True)
class Story:
    """What happens before the operator may die, and what while it may."""

    plot: Scenario
    rollout: Manifest | None = None
    """None: v1 is not there yet."""
    gateway: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)

    def world(self, seed: int | None) -> World:
        """The cluster at the beginning."""
        if self.rollout is None:
            return World(seed=seed)
        return installed(self.rollout, seed=seed, gateway=self.gateway, **self.fields)


def first_install(world: World) -> None:
    world.apply(models.spec("v1", rollout=SHORT, validation={"requests": models.GOLDEN}))
    world.run_to_phase("Healthy")
    world.run_for(60)


def promotion(world: World) -> None:
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)


def failure(world: World) -> None:
    world.script("v2", load_failure="ModelLoadFailed", message="bad file")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def abortion(world: World) -> None:
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def abortion_of_a_preview(world: World) -> None:
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def supersession(world: World) -> None:
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    upgrade(world, "v3")
    world.run_until(lambda: world.rollout()["id"] == 3)
    world.run_to_phase("Healthy")
    world.run_for(120)


def undoing(world: World) -> None:
    promotion(world)
    world.command("undo")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def evidence(world: World) -> None:
    world.callers.rate = 100
    world.run_for(30)
    promotion(world)


def harm(world: World) -> None:
    world.script("v2", errors=0.2)
    world.callers.rate = 100
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def harm_at_last(world: World) -> None:
    evidence(world)
    world.script("v2", errors=0.5)
    world.run_to_phase("RolledBack")
    world.run_for(120)


def refreshing(world: World) -> None:
    renew(world)
    world.run_for(5)
    world.command("refresh", value='{"verb": "refresh", "id": "a"}')
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    world.run_for(120)


def refreshing_and_more(world: World) -> None:
    """A runtime that changes again and an edit, while a refresh is under way; and what was decided is undone."""
    renew(world)
    world.run_for(5)
    world.command("refresh")
    reach(world, 0, "Holding")
    renew(world, "example.com/runtime:3")
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(60)
    world.command("undo")
    world.run_to_phase("RolledBack")
    world.run_for(120)


def crowded(world: World) -> None:
    world.kubelet.devices = 2
    promotion(world)


DEVICE = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
ONE_STEP = models.canary({"weight": 50, "hold": "20s"}, bake="0s")

JUDGED = ONE_STEP | {"analysis": {"metrics": [{"name": "errors", "builtin": "ErrorRate", "max": 0.01}]}, "bake": "10m"}
PREVIEWED = models.blue_green(
    {"previewHostnames": ["preview.example.com"], "hold": "20s"}, candidateMatches=models.BETA
)

STORIES = {
    "first-install": Story(first_install),
    "canary": Story(promotion, SHORT),
    "rolling": Story(promotion, models.rolling(), fields={"replicas": 3}),
    "half-surge": Story(promotion, ONE_STEP | {"maxSurge": "50%"}, fields={"replicas": 4}),
    "service-only": Story(promotion, ONE_STEP, gateway=False),
    "blue-green": Story(promotion, PREVIEWED),
    "blue-green-abort": Story(abortion_of_a_preview, PREVIEWED | {"blueGreen": {"approval": "Required"}}),
    "matches": Story(promotion, ONE_STEP | {"candidateMatches": models.BETA}),
    "failure": Story(failure, SHORT),
    "abort": Story(abortion, SHORT),
    "supersede": Story(supersession, ONE_STEP),
    "undo": Story(undoing, ONE_STEP),
    "evidence": Story(evidence, JUDGED),
    "harm": Story(harm, JUDGED),
    "harm-in-bake": Story(harm_at_last, JUDGED),
    "refresh": Story(refreshing, ONE_STEP),
    "refresh-and-edit": Story(refreshing_and_more, ONE_STEP),
    "without-surge": Story(promotion, ONE_STEP | {"maxSurge": 0}, fields={"replicas": 3, "runtime": DEVICE}),
    "no-room": Story(crowded, ONE_STEP | {"capacityFallback": "Replace"}, fields={"runtime": DEVICE}),
    "autoscaled": Story(
        promotion, ONE_STEP, fields={"replicas": None, "autoscaling": {"minReplicas": 2, "maxReplicas": 4}}
    ),
}

WHOLE = {"first-install", "canary", "service-only", "rolling", "abort", "supersede", "blue-green", "refresh", "no-room"}
"""Stories in which every write is struck each time; in the others every third, and all of them by `make test-full`."""

PASSING = {"Scaling", "Loading", "Routing", "Verifying"}
"""Sub-states without a clock: a pass that finds them over already does not stop to write them down."""


def steps(world: World) -> list[Any]:
    """The sub-states with a clock or an end, in order."""
    return [where for where in world.trace() if where[2] not in PASSING]


def final(world: World) -> Any:
    """What matters in the end: children, their counts, weights and selection."""
    deployments = {d["metadata"]["name"]: d["spec"]["replicas"] for d in world.store.all(kinds.DEPLOYMENT)}
    return deployments, world.weights(), world.selected(), world.status().get("phase")


def die(world: World, write: Write) -> None:
    world.server.faults.die_after = write.number


def lose_answer(world: World, write: Write) -> None:
    world.server.faults.lose_answer_of = {write.number}


def differences(calm: World, world: World, number: int) -> str:
    found = [
        f"{what}: {theirs} instead of {ours}"
        for what, theirs, ours in (
            ("steps", steps(world), steps(calm)),
            ("effects", world.effects() ^ calm.effects(), set()),
            ("end", final(world), final(calm)),
        )
        if theirs != ours
    ]
    told = f"after write {number} of {len(calm.server.writes)} ({calm.log_of(number)}): "
    return told + "\n".join([*found, world.golden()]) if found else ""


def play(name: str, strike: Callable[[World, Write], None], *, seed: int | None = None, every: int = 1) -> None:
    story = STORIES[name]
    calm = story.world(seed)
    story.plot(calm)

    def judge(world: World) -> str:
        number = world.server.faults.die_after or next(iter(world.server.faults.lose_answer_of), 1)
        return differences(calm, world, number)

    found = at_writes(story.world(seed), story.plot, strike, judge, every=every)
    assert not found, f"{len(found)} of them went wrong; the first one {found[0]}"


@pytest.mark.parametrize("name", STORIES)
def test_26_a_crash_after_any_write_changes_neither_the_steps_nor_the_effects(name: str) -> None:
    play(name, die, every=1 if name in WHOLE else 3)


@pytest.mark.parametrize("name", ["first-install", "half-surge", "service-only"])
def test_26_an_answer_that_is_lost_on_the_way_changes_nothing(name: str) -> None:
    play(name, lose_answer, every=3)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strike", [die, lose_answer], ids=["crash", "loss"])
@pytest.mark.parametrize("name", STORIES)
def test_26_also_in_any_order_of_events(name: str, strike: Callable[[World, Write], None], seed: int) -> None:
    play(name, strike, seed=seed)


def test_26_a_process_that_dies_after_every_single_write_still_gets_there() -> None:
    world = World()
    world.server.observers.append(lambda write: setattr(world.server.faults, "die_after", write.number))
    first_install(world)
    promotion(world)
    serves_alone(world, "v2")
    assert world.crashes > 40


def test_66_a_restart_in_the_middle_touches_no_pod() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    before = len(world.server.writes)
    world.crash()
    world.run_for(20)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == pods
    assert len(world.server.writes) == before
    assert (world.rollout()["id"], world.rollout()["stepIndex"]) == (2, 1)
    world.run_to_phase("Healthy")
