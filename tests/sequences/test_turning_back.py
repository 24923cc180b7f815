"""Rollouts that do not end in promotion: superseded, aborted from anywhere, reverted, undone, retried."""

import json
from datetime import timedelta
from functools import cache

import pytest

from modelway import kinds
from simulation import models
from simulation.notes import place
from simulation.stories import GATED, TWO_STEPS, compare, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

Place = tuple[int, str]


def served(rollout: dict[str, object] = TWO_STEPS, **fields: object) -> World:
    world = installed(rollout, **fields)
    world.oracle.expects_no_outage = True
    return world


@cache
def places() -> tuple[Place, ...]:
    """Every step and sub-state that a canary can be found in."""
    world = served()
    upgrade(world, "v2")
    found: list[Place] = []

    def note() -> bool:
        rollout = world.rollout()
        where = (rollout["stepIndex"], rollout["stepState"])
        if rollout["id"] == 2 and where not in found and "finishedAt" not in rollout:
            found.append(where)
        return world.status()["phase"] == "Healthy" and "finishedAt" in rollout and rollout["id"] == 2

    world.run_until(note)
    return tuple(found)


def at(where: Place) -> World:
    world = served()
    upgrade(world, "v2")
    world.run_until(lambda: place(world.rollout()) == (2, *where))
    return world


def every_place(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, places(), ids=lambda where: f"{where[0]}-{where[1]}")


def test_a_canary_is_seen_in_every_sub_state() -> None:
    assert {state for _, state in places()} >= {"Scaling", "Loading", "Verifying", "Settling", "Holding", "Promoting"}
    assert {step for step, _ in places()} == {0, 1, 2}


@every_place("where")
def test_52_an_abort_ends_with_stable_alone_from_every_step_and_sub_state(where: Place) -> None:
    world = at(where)
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.replicas("v2") == 0
    assert (world.rollout()["outcome"], world.rollout()["reason"]) == ("Aborted", "UserAbort")
    assert world.rollout()["lastCommand"]["result"] == "Accepted"
    assert rest(world, 7200) == 0


@every_place("where")
def test_37_a_newer_version_supersedes_from_every_step_and_sub_state(where: Place) -> None:
    world = at(where)
    upgrade(world, "v3")
    world.run_until(lambda: world.rollout()["id"] == 3)
    assert world.rollout()["stepIndex"] == 0
    assert world.status()["stableRevision"]["name"] == world.revision_of("v1")
    world.run_to_phase("Healthy")
    world.run_for(180)
    serves_alone(world, "v3")
    assert world.replicas("v1") == world.replicas("v2") == 0
    assert [line["outcome"] for line in world.status()["history"]] == ["Promoted", "Superseded", "Promoted"]
    v2, v3 = world.revision_of("v2"), world.revision_of("v3")
    history = [weights for _, weights in world.gateway.history[f"{models.NAMESPACE}/fraud"]]
    assert not any(weights.get(v2) and weights.get(v3) for weights in history)


@every_place("where")
def test_39_going_back_to_stable_needs_no_steps_and_no_new_pods(where: Place) -> None:
    world = at(where)
    before = {pod["metadata"]["name"] for pod in world.pods("v1")}
    upgrade(world, "v1")
    world.run_for(1.5)
    assert world.weights() == {"v1": 100}
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v1")
    assert {pod["metadata"]["name"] for pod in world.pods("v1")} == before
    assert world.rollout()["outcome"] == "RolledBack"
    assert world.condition("RolledBack") == {}
    assert world.replicas("v2") == 0


def test_44_an_aborted_revision_does_not_come_back_by_itself() -> None:
    world = at((0, "Holding"))
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    writes = len(world.server.writes)
    upgrade(world, "v2")
    world.crash()
    world.run_for(7200)
    assert len(world.server.writes) == writes
    world.edit(revisionHistoryLimit=5)
    world.run_for(600)
    serves_alone(world, "v1")
    assert world.status()["phase"] == "RolledBack"
    upgrade(world, "v3")
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")


def test_44_an_aborted_revision_that_is_asked_for_again_later_stays_out() -> None:
    world = at((0, "Holding"))
    world.command("abort")
    world.run_to_phase("RolledBack")
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    serves_alone(world, "v1")


def test_44_an_explicit_retry_is_a_new_rollout_from_step_0() -> None:
    world = at((1, "Holding"))
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.command("retry")
    world.run_until(lambda: world.rollout()["id"] == 3)
    assert world.rollout()["stepIndex"] == 0
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")
    assert world.condition("RevisionFailed") == {}
    compare(world, "abort-and-retry")


def test_a_retry_of_a_failed_revision_takes_the_present_golden_requests() -> None:
    world = served(validation={"requests": models.GOLDEN})
    world.script("v2", answers_wrong=True)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.edit(validation={"requests": [models.GOLDEN[0] | {"name": "other"}]})
    world.run_for(60)
    assert world.status()["phase"] == "RolledBack"
    world.script("v2")
    world.command("retry")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_41_undo_goes_back_to_the_former_version_without_steps() -> None:
    world = served()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(600)
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=120)
    world.run_to_phase("RolledBack")
    world.run_for(300)
    serves_alone(world, "v1")
    assert world.status()["stableRevision"]["name"] == world.revision_of("v1")
    assert rest(world, 7200) == 0
    compare(world, "undo")


def test_61_after_an_undo_a_spec_that_follows_is_all_there_is_to_do() -> None:
    world = served()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(600)
    world.command("undo")
    world.run_to_phase("RolledBack")
    world.run_for(120)
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    world.run_for(60)
    assert rest(world, 7200) == 0
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_undo_to_a_revision_by_number() -> None:
    world = served()
    for version in ("v2", "v3"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(300)
    world.command("undo", value=json.dumps({"verb": "undo", "id": "1", "args": {"revision": 1}}))
    world.run_until(lambda: world.weights() == {"v1": 100}, within=120)
    world.run_for(300)
    serves_alone(world, "v1")


def test_40_going_back_to_a_warm_revision_creates_no_pod_and_downloads_nothing() -> None:
    world = served(models.canary({"weight": 50, "hold": "1m"}, bake="1h"))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(60)
    fetched, pods = world.kubelet.fetched, {pod["metadata"]["name"] for pod in world.pods("v1")}
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(3)
    assert (world.kubelet.fetched, {pod["metadata"]["name"] for pod in world.pods("v1")}) == (fetched, pods)


def test_41_an_undo_during_a_rollout_takes_the_candidate_back() -> None:
    world = at((0, "Holding"))
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=10)
    world.run_for(120)
    serves_alone(world, "v1")
    assert world.replicas("v2") == 0


def test_46_undo_of_a_revision_that_is_gone_is_refused_with_words() -> None:
    world = served()
    world.command("undo", value=json.dumps({"verb": "undo", "args": {"revision": 7}}))
    world.run_for(10)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    assert "7" in world.rollout()["lastCommand"]["message"]
    serves_alone(world, "v1")


@pytest.mark.parametrize(("ready", "left"), [(0, 100), (1, 50), (5, 50), (7, 30), (9, 10), (10, 0)])
def test_43_an_abort_leaves_the_candidate_what_stable_cannot_take(ready: int, left: int) -> None:
    world = installed(models.canary({"weight": 50, "hold": "1h"}), replicas=10)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    for pod in world.pods("v1")[ready:]:
        world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(1)
    world.command("abort")
    world.run_for(5)
    assert world.weights().get("v2", 0) == left
    world.kubelet.unready.clear()
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1", 10)


def test_38_an_edit_storm_ends_on_the_last_and_leaves_no_orphans() -> None:
    world = served()
    for number in range(2, 52):
        upgrade(world, f"v{number}")
        world.run_for(0.2)
        assert world.weights() == {"v1": 100}
    world.run_to_phase("Healthy", within=1800)
    world.run_for(180)
    serves_alone(world, "v51")
    limit = world.model()["spec"].get("revisionHistoryLimit", 10)
    assert len(world.store.all(kinds.CONTROLLER_REVISION)) <= 1 + limit
    assert {item["metadata"]["name"] for item in world.store.all(kinds.DEPLOYMENT)} <= {
        item["metadata"]["name"] for item in world.store.all(kinds.CONTROLLER_REVISION)
    }
    assert {world.version_of(name_of(pod)) for pod in world.pods()} == {"v51"}


def name_of(pod: dict[str, dict[str, str]]) -> str:
    return pod["metadata"]["name"].rsplit("-", 2)[0]


def test_41_going_back_waits_for_no_approval_and_no_candidate() -> None:
    world = served(GATED)
    world.script("v2", is_never_ready=True)
    upgrade(world, "v2")
    world.run_for(60)
    upgrade(world, "v1")
    world.run_to_phase("Healthy", within=5)


def test_46_undo_finds_the_former_version_however_many_tries_failed_before_the_promotion() -> None:
    world = served(revisionHistoryLimit=1)
    for version in ("v2", "v3"):
        world.script(version, load_failure="ModelLoadFailed")
        upgrade(world, version)
        world.run_to_phase("RolledBack")
    upgrade(world, "v4")
    world.run_to_phase("Healthy")
    world.run_for(600)
    assert len(world.store.all(kinds.CONTROLLER_REVISION)) == 2
    world.command("undo")
    world.run_to_phase("RolledBack")
    serves_alone(world, "v1")


def test_46_undo_finds_the_former_version_however_many_tries_failed_after_the_promotion() -> None:
    world = served(models.canary(bake="0s"))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    for number in range(3, 14):
        world.script(f"v{number}", load_failure="ModelLoadFailed")
        upgrade(world, f"v{number}")
        world.run_to_phase("RolledBack")
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(60)
    assert len(world.status()["history"]) == 10
    world.command("undo")
    world.run_to_phase("RolledBack")
    serves_alone(world, "v1")


def test_45_a_retry_of_a_revision_that_was_promoted_keeps_its_golden_requests() -> None:
    world = served(validation={"requests": models.GOLDEN})
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    name = f"{world.revision_of('v2')}-golden"
    before = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, name)
    world.command("undo")
    world.run_to_phase("RolledBack")
    world.run_for(120)
    world.edit(validation={"requests": [models.GOLDEN[0] | {"name": "other"}]})
    world.command("retry")
    world.run_to_phase("Healthy")
    after = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, name)
    assert before
    assert after
    assert before["data"] == after["data"]


def forget_revision(world: World, version: str) -> None:
    """Somebody deletes the ControllerRevision of a version."""
    name = world.revision_of(version)
    found = world.store.find(kinds.CONTROLLER_REVISION, models.NAMESPACE, name)
    assert found
    world.store.remove(kinds.CONTROLLER_REVISION, found)


def test_46_a_rollout_whose_revision_was_deleted_ends_when_the_spec_goes_back() -> None:
    world = at((0, "Scaling"))
    forget_revision(world, "v2")
    upgrade(world, "v1")
    world.run_to_phase("Healthy", within=60)
    assert world.rollout()["outcome"] == "Superseded"


def test_46_an_undo_to_a_revision_that_is_deleted_meanwhile_ends() -> None:
    world = served()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(600)
    world.script("v1", load=60)
    world.command("undo")
    world.run_for(10)
    forget_revision(world, "v1")
    world.run_to_phase("Healthy", within=60)
    serves_alone(world, "v2")


def test_07_a_first_version_that_answers_is_kept_although_somebody_emptied_its_route() -> None:
    world = World()
    world.gateway.is_frozen = True
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(1)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights() == {"v2": 100})
    world.oracle.expects_no_outage = True
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"].update(rules=[]))
    upgrade(world, "v1")
    world.run_for(2)
    assert (world.selected(), world.weights()) == ({"v2"}, {"v2": 90, "v1": 10})
    assert world.status()["stableRevision"]["name"] == world.revision_of("v2")
    world.gateway.is_frozen = False
    world.run_to_phase("Healthy", within=900)
    world.run_for(120)
    serves_alone(world, "v1")


@pytest.mark.parametrize("pause", range(1, 9))
@pytest.mark.parametrize("rollout", [TWO_STEPS, models.canary({"weight": 50, "hold": "1m"}, maxSurge="50%")])
def test_05_and_18_first_versions_in_quick_succession_drain_and_keep_the_budget(
    rollout: dict[str, object], pause: int
) -> None:
    world = World()
    world.apply(models.spec("v1", rollout=rollout, replicas=2))
    for version in ("v2", "v3"):
        world.run_for(pause)
        upgrade(world, version)
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")


@pytest.mark.parametrize("delay", [1, 14])
def test_05_a_route_that_somebody_deleted_is_in_force_until_its_successor_is(delay: int) -> None:
    world = served(
        {"strategy": "Canary", "steps": [{"weight": 50, "hold": "1h"}], "settle": "5s", "drain": "10s", "bake": "30s"}
    )
    upgrade(world, "v2")
    reach(world, step=0, state="Holding")
    world.gateway.delay = timedelta(seconds=delay)
    upgrade(world, "v1")
    found = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    assert found is not None
    world.store.remove(kinds.HTTP_ROUTE, found)
    rest(world)
    serves_alone(world, "v1")
