"""A changed runtime is taken over by a command: a normal rollout of the same fields, asked for once and done once."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, image_of, installed, reach, renew, rest, serving, upgrade
from simulation.world import World

ONE_STEP = models.canary({"weight": 50, "hold": "1m"}, bake="0s")
OLD, NEW, NEWER = models.IMAGE, "example.com/runtime:2", "example.com/runtime:3"


def outdated(rollout: Manifest = TWO_STEPS, **fields: Any) -> World:
    """v1 serves with a runtime that has changed since."""
    world = installed(rollout, **fields)
    world.run_for(60)
    renew(world)
    world.run_for(10)
    assert world.status()["runtime"]["outdated"] is True
    return world


def refresh(world: World, identity: str = "a", **more: object) -> None:
    world.command("refresh", value=json.dumps({"verb": "refresh", "id": identity} | more))


def answer(world: World) -> tuple[str, str]:
    """What became of the last command."""
    last = world.rollout()["lastCommand"]
    return last["result"], last["message"]


def numbers(world: World) -> list[int]:
    return sorted(item["revision"] for item in world.store.all(kinds.CONTROLLER_REVISION))


def fails(world: World) -> World:
    """A refresh whose candidate cannot load the model."""
    world.script("v1", load_failure="ModelLoadFailed", message="the new runtime cannot")
    refresh(world)
    world.run_to_phase("RolledBack")
    world.run_for(60)
    world.script("v1")
    return world


def test_a_refresh_is_a_normal_rollout_of_the_same_fields() -> None:
    world = outdated()
    world.oracle.expects_no_outage = True
    refresh(world)
    reach(world, 1, "Holding")
    assert (world.rollout()["source"], world.rollout()["strategy"]) == ("Refresh", "Canary")
    world.run_until(lambda: "finishedAt" in world.rollout())
    world.run_for(120)
    assert world.status()["phase"] == "Healthy"
    assert serving(world) == 2
    assert [image_of(world, number) for number in (1, 2)] == [OLD, NEW]
    assert world.status()["runtime"] == {"name": "modelway", "image": NEW, "outdated": False}
    first, second = sorted(world.store.all(kinds.CONTROLLER_REVISION), key=lambda item: item["revision"])
    assert first["data"]["source"] == second["data"]["source"]
    assert ("refresh" in first["data"], second["data"]["refresh"]) == (False, "a")
    assert rest(world, 3600) == 0


def under_way(world: World) -> None:
    upgrade(world, "v2")
    reach(world, 0, "Holding")


def elsewhere(world: World) -> None:
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)


def as_it_was(world: World) -> None:
    renew(world, OLD)


def gone(world: World) -> None:
    runtime = world.store.find(kinds.CLUSTER_MODEL_RUNTIME, "", "modelway")
    assert runtime is not None
    world.store.remove(kinds.CLUSTER_MODEL_RUNTIME, runtime)


def suspended(world: World) -> None:
    world.edit(replicas=0)


def waits(world: World) -> None:
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(10)
    refresh(world, "z")


def tried(world: World) -> None:
    fails(world)


def invalid(world: World) -> None:
    world.edit(model=models.model("v1", format="torch"))


OBSTACLES: list[Any] = [
    pytest.param(under_way, "Rollout 2 is under way", id="under-way"),
    pytest.param(as_it_was, "has not changed since revision 1", id="not-outdated"),
    pytest.param(elsewhere, "asks for another revision", id="the-spec-failed"),
    pytest.param(gone, "No runtime lists the format onnx", id="no-runtime"),
    pytest.param(suspended, "replicas is 0", id="suspended"),
    pytest.param(waits, "waits to begin already", id="a-refresh-waits"),
    pytest.param(tried, "`retry` it", id="tried-with-this-runtime"),
    pytest.param(invalid, "Nothing can be started: RuntimeNotFound", id="blocked"),
]


@pytest.mark.parametrize(("obstacle", "says"), OBSTACLES)
def test_a_refresh_that_cannot_be_is_refused_visibly_and_changes_nothing(
    obstacle: Callable[[World], None], says: str
) -> None:
    world = outdated()
    obstacle(world)
    world.run_for(10)
    before = numbers(world), world.rollout()["id"], [pod["metadata"]["name"] for pod in world.pods()]
    refresh(world, "y")
    world.run_for(10)
    result, message = answer(world)
    assert result == "Rejected"
    assert says in message
    assert (numbers(world), world.rollout()["id"], [pod["metadata"]["name"] for pod in world.pods()]) == before
    assert ("Warning", "CommandRejected") in [event[:2] for event in world.recorder.events]


def test_a_first_install_has_nothing_to_refresh() -> None:
    world = World()
    world.script("v1", is_unschedulable=True)
    world.apply(models.spec("v1"))
    world.run_for(10)
    refresh(world)
    world.run_for(10)
    assert answer(world)[1].startswith("No revision serves yet")


def test_a_bare_refresh_needs_no_id() -> None:
    world = outdated(models.rolling())
    world.command("refresh")
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    renew(world, NEWER)
    world.run_for(10)
    world.command("refresh", value="refresh ")
    world.run_until(lambda: world.rollout()["id"] == 3 and "finishedAt" in world.rollout())
    world.run_for(60)
    assert image_of(world, serving(world)) == NEWER


def test_48_a_refresh_counts_once_however_often_it_is_seen() -> None:
    world = outdated(models.rolling())
    refresh(world, rollout=1)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    renew(world, NEWER)
    world.crash()
    world.run_for(600)
    assert world.rollout()["id"] == 2
    refresh(world, "b", rollout=1)
    world.run_for(10)
    assert answer(world) == ("Rejected", "It was meant for rollout 1, the current one is 2")
    refresh(world, "a", at="later")
    world.run_for(10)
    assert answer(world) == ("Rejected", "The id a made revision 2 already: write another one")
    assert numbers(world) == [1, 2]
    refresh(world, "c", rollout=2)
    world.run_until(lambda: world.rollout()["id"] == 3 and "finishedAt" in world.rollout())
    assert image_of(world, 3) == NEWER


def test_48_a_refresh_whose_annotation_is_taken_away_goes_on() -> None:
    world = outdated()
    refresh(world)
    world.run_for(0.5)
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item["metadata"].pop("annotations"))
    world.crash()
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert serving(world) == 2


@pytest.mark.parametrize("when", ["Loading", "Holding", "RollingBack"])
def test_an_edit_while_a_refresh_is_under_way_takes_it_along(when: str) -> None:
    world = outdated()
    refresh(world)
    reach(world, 0, "Holding" if when == "RollingBack" else when)
    if when == "RollingBack":
        world.gateway.is_frozen = True
        world.command("abort")
        world.run_for(5)
    renew(world, NEWER)
    upgrade(world, "v2")
    world.run_for(5)
    world.gateway.is_frozen = False
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert image_of(world, serving(world)) == (OLD if when == "RollingBack" else NEW)
    assert world.version_of(world.status()["stableRevision"]["name"]) == "v2"


def test_an_edit_after_a_refresh_neither_loses_nor_repeats_it() -> None:
    world = outdated(models.rolling())
    refresh(world)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    renew(world, NEWER)
    for version in ("v2", "v3"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(60)
        assert image_of(world, serving(world)) == NEW
    assert world.status()["runtime"]["outdated"] is True
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    world.run_for(60)
    assert serving(world) == 2
    assert numbers(world) == [1, 2, 3, 4]


def test_an_edit_and_back_while_a_refresh_is_under_way_ends_with_the_refresh() -> None:
    world = outdated()
    refresh(world)
    reach(world, 0, "Holding")
    upgrade(world, "v2")
    reach(world, 0, "Holding", rollout=3)
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert serving(world) == 2


def test_44_a_refresh_that_failed_is_remembered_until_somebody_decides() -> None:
    world = fails(outdated())
    assert serving(world) == 1
    assert world.condition("RevisionFailed")["reason"] == "ModelLoadFailed"
    assert world.condition("Available")["status"] == "True"
    assert world.status()["lastFailedRevision"]["number"] == 2
    world.crash()
    assert rest(world, 7200) == 0
    world.command("retry")
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert serving(world) == 2


def test_a_refresh_that_was_aborted_can_be_taken_back() -> None:
    world = outdated()
    refresh(world)
    reach(world, 0, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.command("undo")
    world.run_to_phase("Healthy")
    assert answer(world)[0] == "Accepted"
    assert world.status()["runtime"]["outdated"] is True
    world.run_for(60)
    assert serving(world) == 1
    assert rest(world, 3600) == 0
    refresh(world, "b")
    world.run_until(lambda: world.rollout()["id"] == 3 and "finishedAt" in world.rollout())
    world.run_for(120)
    assert (serving(world), image_of(world, 3)) == (3, NEW)


def test_a_refresh_that_failed_is_tried_again_with_the_next_runtime() -> None:
    world = fails(outdated())
    renew(world, NEWER)
    world.run_for(10)
    refresh(world, "b")
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert (serving(world), image_of(world, 3)) == (3, NEWER)


def test_an_undo_in_the_middle_of_a_refresh_takes_it_back() -> None:
    world = outdated()
    refresh(world)
    reach(world, 0, "Holding")
    world.command("undo")
    world.run_to_phase("Healthy")
    world.run_for(60)
    assert serving(world) == 1
    assert world.rollout()["outcome"] == "Aborted"
    assert rest(world, 3600) == 0


def test_a_failed_refresh_is_left_behind_by_an_edit_and_does_not_come_back() -> None:
    world = fails(outdated())
    upgrade(world, "v2")
    reach(world, 0, "Holding", rollout=3)
    assert image_of(world, 3) == OLD
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert serving(world) == 1
    assert numbers(world) == [1, 2, 3]


def test_40_a_refresh_that_is_undone_while_its_former_pods_are_warm_starts_no_pod() -> None:
    world = outdated(TWO_STEPS | {"bake": "10m"})
    refresh(world)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    world.run_for(30)
    pods, fetched = {pod["metadata"]["uid"] for pod in world.pods()}, world.kubelet.fetched
    world.command("undo")
    world.run_until(lambda: world.rollout()["id"] == 3 and "finishedAt" in world.rollout(), within=5)
    world.run_to_phase("Healthy")
    assert {pod["metadata"]["uid"] for pod in world.pods()} <= pods
    assert world.kubelet.fetched == fetched
    world.run_for(60)
    assert serving(world) == 1
    assert rest(world, 3600) == 0


def children(world: World, number: int) -> Manifest:
    """What the pods of a revision are made of: template, lock and golden requests."""
    (found,) = [item for item in world.store.all(kinds.CONTROLLER_REVISION) if item["revision"] == number]
    name = found["metadata"]["name"]
    deployment = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, name)
    assert deployment is not None
    config = [world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, of(name)) for of in (names.lock, names.golden)]
    return {"template": deployment["spec"]["template"], "data": [item and item["data"] for item in config]}


@pytest.mark.parametrize("number", [None, 1], ids=["the-former", "by-number"])
def test_45_an_undone_refresh_brings_back_template_bytes_and_golden_requests(number: int | None) -> None:
    world = outdated(ONE_STEP, validation={"requests": models.GOLDEN})
    before = copy.deepcopy(children(world, 1))
    world.edit(validation=None)
    refresh(world)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    world.run_for(120)
    args = {"args": {"revision": number}} if number else {}
    world.command("undo", value=json.dumps({"verb": "undo", **args}))
    world.run_until(lambda: world.rollout()["id"] == 3 and "finishedAt" in world.rollout())
    world.run_for(120)
    assert serving(world) == 1
    assert children(world, 1) == before
    assert before["data"][0]["digest"].startswith("sha256:")


def test_45_a_refresh_changes_the_runtime_and_not_the_bytes() -> None:
    world = outdated(models.rolling())
    world.script("v1", digest="sha256:" + 64 * "0")
    refresh(world)
    world.run_to_phase("RolledBack")
    assert world.rollout()["reason"] == "DigestMismatch"
    world.run_for(60)
    assert serving(world) == 1


def test_45_a_refresh_starts_with_all_pods_since_the_bytes_are_known() -> None:
    world = outdated(TWO_STEPS, replicas=4)
    refresh(world)
    reach(world, 1, "Scaling")
    first, second = (children(world, number)["data"][0] for number in (1, 2))
    assert first == second


STAGES: dict[str, Callable[[World], None]] = {
    "under-way": lambda world: reach(world, 0, "Holding"),
    "failed": lambda world: None,
    "aborted": lambda world: None,
    "promoted": lambda world: world.run_until(lambda: "finishedAt" in world.rollout() and world.rollout()["id"] == 2),
    "undone": lambda world: world.run_until(lambda: "finishedAt" in world.rollout() and world.rollout()["id"] == 2),
    "taken-back": lambda world: None,
}
ENDS = {"under-way": 2, "failed": 1, "aborted": 1, "promoted": 2, "undone": 1, "taken-back": 1}


@pytest.mark.parametrize("stage", STAGES)
def test_66_a_refresh_is_found_again_where_the_status_is_lost(stage: str) -> None:
    world = outdated(ONE_STEP)
    if stage in ("failed", "taken-back"):
        fails(world)
    else:
        refresh(world)
    if stage == "aborted":
        reach(world, 0, "Holding")
        world.command("abort")
        world.run_to_phase("RolledBack")
    STAGES[stage](world)
    if stage in ("undone", "taken-back"):
        world.command("undo")
        world.run_to_phase("Healthy")
    world.run_for(20 if stage == "under-way" else 60)
    phase, revisions = world.status()["phase"], numbers(world)

    def lose(item: Manifest) -> None:
        item.pop("status")
        item["metadata"].pop("annotations")

    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lose)
    world.crash()
    world.run_for(600)
    assert serving(world) == ENDS[stage]
    assert numbers(world) == revisions
    assert world.status()["phase"] == ("Healthy" if stage == "under-way" else phase)


def test_66_a_refresh_without_its_part_of_the_status_is_finished() -> None:
    world = outdated()
    refresh(world)
    reach(world, 0, "Holding")
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item["status"]["rollout"].pop("refresh"))
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert serving(world) == 2


def test_a_refresh_without_a_gateway() -> None:
    world = outdated(ONE_STEP, gateway=False)
    refresh(world)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    world.run_for(60)
    assert serving(world) == 2
