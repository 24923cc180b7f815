"""The model's name in paths: no request is led to pods that answer to another one."""

from typing import Any

import pytest

from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

OLD, NEW = "/v2/models/fraud/infer", "/v2/models/scam/infer"


def renamed(world: World, version: str = "v2") -> None:
    """An edit that got round the schema, which refuses it."""
    upgrade(world, version, model={"name": "scam"})


@pytest.mark.parametrize("rollout", [TWO_STEPS, models.blue_green({"previewHostnames": ["p.example.com"]})])
@pytest.mark.parametrize("seed", [None, 4])
def test_16_another_name_starts_nothing_and_the_old_one_is_answered(rollout: Manifest, seed: int | None) -> None:
    world = installed(rollout, seed=seed)
    world.oracle.expects_no_outage = True
    renamed(world)
    for _ in range(60):
        world.run_for(1)
        assert world.answers(path=OLD) == {"v1"}
    assert world.answers(path=NEW) == set()
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "keep it, and create a ModelDeployment" in world.condition("Stalled")["message"]
    assert world.status()["address"]["url"].endswith("/v2/models/fraud")
    assert world.revision_of("v2") == ""
    assert rest(world) == 0
    upgrade(world, "v3", model={"name": "fraud"})
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")


def test_16_another_name_in_mid_rollout_loses_no_request_and_an_abort_is_obeyed() -> None:
    world = installed(TWO_STEPS)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    renamed(world, "v3")
    world.run_for(5)
    assert world.answers(path=OLD) == {"v1", "v2"}
    world.command("abort")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(2)
    assert world.answers(path=OLD) == {"v1"}


SPELLINGS: list[Any] = [({"name": "fraud"}, {}), ({}, {"name": "fraud"})]


@pytest.mark.parametrize(("before", "after"), SPELLINGS)
def test_the_name_of_the_object_written_out_is_no_other_name(before: Manifest, after: Manifest) -> None:
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS) | {"model": models.model("v1") | before})
    world.run_to_phase("Healthy")
    world.apply(world.model()["spec"] | {"model": models.model("v2") | after})
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_a_name_that_nobody_serves_yet_can_be_corrected() -> None:
    world = World()
    world.script("v1", is_never_ready=True)
    world.apply(models.spec("v1") | {"model": models.model("v1") | {"name": "frod"}})
    world.run_for(30)
    renamed(world)
    world.run_to_phase("Healthy")
    assert world.answers(path=NEW) == {"v2"}
