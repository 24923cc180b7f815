"""Budgets of evictions: each revision with pods has one, and no rollout waits for it."""

import pytest

from modelway import kinds
from modelway.cluster.api import Forbidden, Invalid
from modelway.kinds import Manifest
from simulation import models
from simulation.server import always
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

BUDGET = kinds.POD_DISRUPTION_BUDGET


def budgets(world: World) -> dict[str, Manifest]:
    """The spec of each budget, by the version whose pods it keeps."""
    found = {world.version_of(item["metadata"]["name"]): item["spec"] for item in world.store.all(BUDGET)}
    for version, spec in found.items():
        (deployment,) = (
            item for item in world.store.all(kinds.DEPLOYMENT) if world.version_of(item["metadata"]["name"]) == version
        )
        assert spec["selector"] == deployment["spec"]["selector"]
    return found


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
def test_25_each_revision_with_pods_has_a_budget(gateway: bool) -> None:
    rollout = models.canary({"weight": 25, "hold": "1m"}, bake="0s")
    world = installed(rollout, replicas=4, gateway=gateway)
    assert budgets(world).keys() == {"v1"}
    assert budgets(world)["v1"]["maxUnavailable"] == 1
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert budgets(world).keys() == {"v1", "v2"}
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2", 4)
    assert budgets(world).keys() == {"v2"}
    assert rest(world, 600) == 0


def test_25_a_candidate_that_is_taken_back_takes_its_budget_with_it() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(120)
    assert budgets(world).keys() == {"v1"}


def test_a_budget_of_ones_own_takes_the_place_of_ours() -> None:
    world = installed(TWO_STEPS)
    world.edit(podDisruptionBudget={"maxUnavailable": "100%"})
    world.run_for(5)
    assert budgets(world) == {}
    assert rest(world, 600) == 0
    world.edit(podDisruptionBudget={"maxUnavailable": "50%"})
    world.run_for(5)
    assert budgets(world)["v1"]["maxUnavailable"] == "50%"
    assert world.rollout()["id"] == 1


def test_10_a_budget_that_somebody_edits_or_deletes_is_as_it_was_again() -> None:
    world = installed(TWO_STEPS)
    name = world.revision_of("v1")
    world.change(BUDGET, name, lambda item: item["spec"].update(maxUnavailable=9))
    world.run_for(2)
    assert budgets(world)["v1"]["maxUnavailable"] == 1
    world.store.remove(BUDGET, world.store.find(BUDGET, models.NAMESPACE, name))
    world.run_for(2)
    assert budgets(world)["v1"]["maxUnavailable"] == 1
    assert rest(world, 600) == 0


def test_61_what_a_budget_says_of_its_pods_wakes_nobody() -> None:
    world = installed(TWO_STEPS)
    passes = world.process.passes
    for allowed in (0, 1, 2):
        world.change(
            BUDGET, world.revision_of("v1"), lambda item, seen=allowed: item.update(status={"disruptionsAllowed": seen})
        )
        world.run_for(5)
    assert world.process.passes == passes


@pytest.mark.parametrize(
    "error", [Forbidden(403, "Forbidden", "may not create poddisruptionbudgets"), Invalid(422, "Invalid", "no")]
)
def test_11_a_budget_that_is_refused_is_named_and_holds_no_traffic_up(error: Exception) -> None:
    world = installed(TWO_STEPS)
    world.server.faults.rules.append(always(error, ["apply", "create"], BUDGET))  # type: ignore[arg-type]
    upgrade(world, "v2")
    world.run_until(lambda: world.weights().get("v2", 0) > 0)
    assert budgets(world).keys() == {"v1"}
    world.command("abort")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=30)
    upgrade(world, "v3")
    world.run_until(lambda: world.weights() == {"v3": 100})
    assert "PodDisruptionBudget" in world.condition("Stalled")["message"]
    world.server.faults.rules.clear()
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert budgets(world).keys() == {"v3"}
