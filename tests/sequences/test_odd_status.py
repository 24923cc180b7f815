"""A status that another version or a person has written: what cannot be read counts as lost, and nothing is stuck."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, installed, reach, serves_alone, upgrade
from simulation.world import World

UNREADABLE: list[Any] = [
    pytest.param({"stepState": "Warming"}, id="state-of-a-later-version"),
    pytest.param({"strategy": "Carousel"}, id="strategy-of-a-later-version"),
    pytest.param({"source": "Refresh"}, id="source-of-a-later-version"),
    pytest.param({"lastProgressAt": None}, id="no-progress"),
    pytest.param({"startedAt": None}, id="no-start"),
    pytest.param({"revision": None}, id="no-revision"),
    pytest.param({"revision": "gone"}, id="unknown-revision"),
    pytest.param({"stepState": "RollingBack"}, id="going-back-without-outcome"),
    pytest.param({"lastProgressAt": "9999-12-31T23:59:59Z"}, id="end-of-time"),
    pytest.param({"startedAt": "0001-01-01T00:00:00+05:00"}, id="before-time"),
]


def rewrite(world: World, edit: Callable[[Manifest], object]) -> None:
    """Somebody writes the status."""
    live = world.model()
    status = copy.deepcopy(live["status"])
    edit(status)
    world.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "status": status})


def change_rollout(world: World, **fields: Any) -> None:
    def edit(status: Manifest) -> None:
        found = status["rollout"] | fields
        status["rollout"] = {key: value for key, value in found.items() if value is not None}

    rewrite(world, edit)


@pytest.mark.parametrize("is_active", [True, False], ids=["active", "ended"])
@pytest.mark.parametrize("fields", UNREADABLE)
def test_66_a_rollout_that_cannot_be_read_is_begun_again(fields: Manifest, is_active: bool) -> None:
    world = installed(TWO_STEPS)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    if not is_active:
        world.run_to_phase("Healthy")
    change_rollout(world, **fields)
    world.run_for(1200)
    assert world.status()["phase"] == "Healthy", world.picture()
    serves_alone(world, "v2")


LOST: list[Any] = [
    pytest.param(lambda status: status.update(history=[{"id": 1}]), id="history"),
    pytest.param(lambda status: status.pop("stableRevision"), id="no-stable"),
    pytest.param(lambda status: status.update(stableRevision={"name": "gone"}), id="unknown-stable"),
    pytest.param(lambda status: status.pop("rollout"), id="no-rollout"),
    pytest.param(lambda status: status.update(rollout={"lastCommand": {"raw": "x"}}), id="only-a-command"),
    pytest.param(lambda status: status.clear(), id="nothing"),
]


@pytest.mark.parametrize("is_active", [True, False], ids=["active", "ended"])
@pytest.mark.parametrize("edit", LOST)
def test_66_a_status_that_lost_a_part_is_completed(edit: Callable[[Manifest], object], is_active: bool) -> None:
    world = installed(TWO_STEPS)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    if not is_active:
        world.run_to_phase("Healthy")
    rewrite(world, edit)
    world.run_for(1200)
    assert world.status()["phase"] == "Healthy", world.picture()
    serves_alone(world, "v2")


def test_66_a_rollout_that_lost_its_plan_survives_that_the_spec_has_fewer_steps_now() -> None:
    world = installed(models.canary({"weight": 10}, {"weight": 20}, {"weight": 80}, bake="0s"))
    upgrade(world, "v2")
    reach(world, 1, "Settling")
    world.script("v2", is_never_ready=True)
    reach(world, 2, "Loading")
    world.edit(rollout=models.canary({"weight": 10}))
    plan = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, "fraud-rollout-2")
    assert plan
    world.store.remove(kinds.CONFIG_MAP, plan)
    world.run_for(60)
    assert world.weights() == {"v1": 90, "v2": 10}
    world.command("abort")
    world.run_to_phase("RolledBack", within=60)
