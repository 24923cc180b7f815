"""What others do to the route, and to those who divide it: at each step it comes out as the step wants it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.notes import place
from simulation.stories import installed, reach, upgrade
from simulation.world import World

RETRIES = {"timeouts": {"request": "9s"}}


def route(world: World) -> Manifest:
    found = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    assert found is not None
    return found


def rules_deleted(world: World) -> None:
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"].update(rules=[]))


def rules_altered(world: World) -> None:
    def edit(item: Manifest) -> None:
        for rule in item["spec"]["rules"]:
            rule["timeouts"] = {"request": "1s"}
            rule["filters"] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}]
            rule["backendRefs"] = rule["backendRefs"][:1]

    world.change(kinds.HTTP_ROUTE, "fraud", edit)


def route_deleted(world: World) -> None:
    world.store.remove(kinds.HTTP_ROUTE, route(world))


def operator_restarted(world: World) -> None:
    world.crash()


def candidate_evicted(world: World) -> None:
    for pod in world.pods("v2"):
        world.evict(pod)


def stable_restarted(world: World) -> None:
    """Not the candidate: a container of it that ends while it serves is a verdict."""
    for pod in world.pods("v1"):
        world.kubelet.kill(pod)


FAULTS: list[Any] = [
    rules_deleted,
    rules_altered,
    route_deleted,
    operator_restarted,
    candidate_evicted,
    stable_restarted,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("step", [0, 1, 2], ids=["at-10", "at-50", "at-100"])
@pytest.mark.parametrize("seed", [None, 9])
def test_09_rules_and_weights_are_those_of_the_step_whatever_happens_to_them(
    fault: Callable[[World], None], step: int, seed: int | None
) -> None:
    traffic = models.GATEWAY | RETRIES
    holds = ["24h" if number == step else "0s" for number in range(3)]
    steps = [{"weight": weight, "hold": hold} for weight, hold in zip((10, 50, 100), holds, strict=True)]
    world = installed(models.canary(*steps), seed=seed, traffic=traffic)
    upgrade(world, "v2")
    reach(world, step, "Holding")
    before, where = copy.deepcopy(route(world)["spec"]), place(world.rollout())
    fault(world)
    world.run_for(90)
    assert route(world)["spec"] == before
    assert (place(world.rollout()), world.status()["phase"]) == (where, "Paused")
