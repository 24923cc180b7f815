"""What makes a revision and what does not, over a whole life; and which old ones are kept."""

import copy
import json
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, installed, reach, renew, rest, serves_alone, serving, upgrade
from simulation.world import World

NO_BAKE = TWO_STEPS | {"bake": "0s"}


def revisions(world: World) -> dict[int, str]:
    """The model's version by the number of each revision that is kept."""
    return {
        item["revision"]: item["data"]["source"]["model"]["version"]
        for item in world.store.all(kinds.CONTROLLER_REVISION)
    }


def uids(world: World) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.pods()}


EDITS: list[Any] = [
    pytest.param({"revisionHistoryLimit": 3}, id="history"),
    pytest.param({"rollout": models.rolling(settle="1s", drain="20s")}, id="rollout"),
    pytest.param({"validation": {"requests": models.GOLDEN}}, id="validation"),
    pytest.param({"traffic": models.GATEWAY | {"hostnames": ["other.example.com"]}}, id="traffic"),
    pytest.param({"replicas": None, "autoscaling": {"minReplicas": 2, "maxReplicas": 4}}, id="autoscaling"),
]


@pytest.mark.parametrize("edit", EDITS)
def test_31_an_edit_beside_model_and_runtime_makes_no_revision_and_restarts_no_pod(edit: Manifest) -> None:
    world = installed(TWO_STEPS)
    before = uids(world)
    world.edit(**edit)
    world.run_for(120)
    assert revisions(world) == {1: "v1"}
    assert world.rollout()["id"] == 1
    assert uids(world) == before


def test_31_more_pods_and_other_labels_make_no_revision() -> None:
    world = installed(TWO_STEPS)
    before = uids(world)
    world.edit(replicas=4)
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item["metadata"].update(labels={"team": "risk"}))
    world.run_for(120)
    assert revisions(world) == {1: "v1"}
    assert uids(world) > before


def test_31_a_newer_operator_and_a_newer_runtime_change_no_deployment() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    deployments = copy.deepcopy(world.store.all(kinds.DEPLOYMENT))
    before, written = uids(world), len(world.server.writes)
    world.image = "localhost/modelway-runtime:9.0.0"
    renew(world, world.image)
    world.crash()
    world.run_for(20)
    assert world.store.all(kinds.DEPLOYMENT) == deployments
    assert uids(world) == before
    assert {write.verb for write in world.server.writes[written:]} == {"status"}
    assert world.status()["runtime"]["outdated"] is True
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2")


ONE, OTHER = "v641441", "v1740186"
"""Versions whose revisions have the same hash, found by trying some two million of them."""


def test_32_two_revisions_of_one_hash_keep_their_own_pods() -> None:
    world = World()
    world.apply(models.spec(ONE, rollout=NO_BAKE))
    world.run_to_phase("Healthy")
    first = world.status()["stableRevision"]["name"]
    before = uids(world)
    upgrade(world, OTHER)
    reach(world, 0, "Holding")
    second = world.status()["candidateRevision"]["name"]
    assert second != first
    assert uids(world) > before
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert world.status()["stableRevision"]["name"] == second
    assert {pod["metadata"]["labels"]["serving.modelway.io/revision"] for pod in world.pods()} == {
        second.removeprefix("fraud-")
    }
    assert rest(world, 3600) == 0
    upgrade(world, ONE)
    reach(world, 0, "Holding", rollout=3)
    assert world.status()["candidateRevision"]["name"] == first


def test_32_a_revision_keeps_its_name_when_the_one_of_the_same_hash_is_gone() -> None:
    world = World()
    world.apply(models.spec(ONE, rollout=NO_BAKE, revisionHistoryLimit=1))
    world.run_to_phase("Healthy")
    upgrade(world, OTHER)
    world.run_to_phase("Healthy")
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    upgrade(world, OTHER)
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert set(revisions(world).values()) == {"v2", OTHER}
    before = uids(world)
    world.crash()
    assert rest(world, 3600) == 0
    assert uids(world) == before


def test_46_a_refresh_counts_as_a_revision_and_the_oldest_go_first() -> None:
    world = installed(NO_BAKE, revisionHistoryLimit=1)
    for number in range(2, 5):
        renew(world, f"example.com/runtime:{number}")
        world.command("refresh", value=json.dumps({"verb": "refresh", "id": str(number)}))
        world.run_until(lambda number=number: world.rollout()["id"] == number and "finishedAt" in world.rollout())
        world.run_for(60)
    assert sorted(revisions(world)) == [3, 4]
    assert serving(world) == 4
    world.command("undo")
    world.run_until(lambda: world.rollout()["id"] == 5 and "finishedAt" in world.rollout())
    world.run_for(60)
    assert serving(world) == 3


@pytest.mark.parametrize("verb", ["undo", "refresh"])
def test_46_a_revision_in_a_route_or_a_rollout_is_kept_whatever_the_limit(verb: str) -> None:
    world = installed(TWO_STEPS, revisionHistoryLimit=1)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(5)
    if verb == "refresh":
        renew(world)
        world.run_for(5)
    world.command(verb)
    world.run_until(lambda: world.rollout()["id"] == 3 and world.rollout().get("stepState") != "Scaling")
    assert set(revisions(world)) >= ({1, 2} if verb == "undo" else {2, 3})
    world.run_until(lambda: "finishedAt" in world.rollout())
    world.run_for(200)
    assert serving(world) == (1 if verb == "undo" else 3)


def test_46_a_revision_that_is_gone_is_refused_with_what_is_kept_and_nothing_happens() -> None:
    world = installed(NO_BAKE, revisionHistoryLimit=1)
    for version in ("v2", "v3", "v4"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(60)
    assert sorted(revisions(world)) == [3, 4]
    written, before = len(world.server.writes), uids(world)
    world.command("undo", value=json.dumps({"verb": "undo", "args": {"revision": 1}}))
    world.run_for(600)
    last = world.rollout()["lastCommand"]
    assert (last["result"], last["message"]) == ("Rejected", "Revision 1 is not kept; kept are 3, 4")
    assert uids(world) == before
    assert {write.verb for write in world.server.writes[written:]} == {"status"}
    assert ("Warning", "CommandRejected") in [event[:2] for event in world.recorder.events]


def test_45_pods_of_one_revision_that_run_different_images_are_told_of() -> None:
    world = installed(TWO_STEPS)
    (shown,) = world.status()["revisions"]
    assert (shown["imageDigest"], "message" in shown) == ("sha256:0123", False)
    world.script("v1", image="sha256:4567")
    world.edit(replicas=3)
    world.run_for(60)
    (shown,) = world.status()["revisions"]
    assert shown["imageDigest"] == "sha256:0123"
    assert "name the image by digest" in shown["message"]
    assert rest(world) == 0
