"""Commands by annotation: bound to a rollout and step, obeyed once, abort before all."""

import json
from datetime import timedelta

import pytest

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import GATED, TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World


def holding(rollout: dict[str, object] = GATED, step: int = 1) -> World:
    world = installed(rollout)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, "Holding")
    world.run_for(2)
    return world


def promote(world: World, **more: object) -> str:
    rollout = world.rollout()
    return json.dumps({"verb": "promote", "rollout": rollout["id"], "step": rollout["stepIndex"], "id": "a"} | more)


def annotate(world: World, **annotations: str) -> None:
    """Both annotations in one edit."""
    found = {"command": names.COMMAND_ANNOTATION, "abort": names.ABORT_ANNOTATION}
    live = world.model()
    metadata = {**live["metadata"], "annotations": {found[key]: value for key, value in annotations.items()}}
    world.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "metadata": metadata})


def test_48_a_promote_counts_once_however_often_it_is_seen() -> None:
    world = holding(models.canary({"weight": 10, "approval": "Required"}, {"weight": 50, "approval": "Required"}), 0)
    value = promote(world)
    world.command("promote", value=value)
    reach(world, 1, "Holding")
    world.crash()
    world.command("promote", value=value)
    world.run_for(600)
    assert world.rollout()["stepIndex"] == 1
    again = json.loads(value) | {"id": "b"}
    world.command("promote", value=json.dumps(again))
    world.run_for(60)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    assert world.rollout()["stepIndex"] == 1
    assert ("Warning", "CommandRejected") in [event[:2] for event in world.recorder.events]


def test_48_a_bare_promote_counts_once_and_again_after_it_was_taken_away() -> None:
    world = holding(models.canary({"weight": 10, "approval": "Required"}, {"weight": 50, "approval": "Required"}), 0)
    world.command("promote")
    reach(world, 1, "Holding")
    world.run_for(600)
    assert world.rollout()["stepIndex"] == 1
    annotate(world)
    world.run_for(5)
    world.command("promote")
    world.run_to_phase("Healthy")


def test_48_a_promote_that_races_with_the_end_of_a_hold_advances_one_step() -> None:
    for early in (0, 1, 2):
        world = installed(TWO_STEPS)
        upgrade(world, "v2")
        reach(world, 0, "Holding")
        world.run_for(60 - early)
        world.command("promote", value=json.dumps({"verb": "promote", "rollout": 2, "step": 0, "id": str(early)}))
        reach(world, 1, "Holding")
        assert world.weights() == {"v1": 50, "v2": 50}


@pytest.mark.parametrize(
    "more",
    [{"rollout": 1}, {"rollout": 9}, {"step": 0}, {"uid": "another"}, {"verb": "destroy"}, {"step": "x"}],
    ids=["old-rollout", "future-rollout", "old-step", "other-object", "unknown-verb", "no-number"],
)
def test_48_a_command_for_something_else_is_rejected_once_and_visibly(more: dict[str, object]) -> None:
    world = holding()
    world.command("promote", value=promote(world, **more))
    world.run_for(10)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    assert world.rollout()["lastCommand"]["message"]
    assert rest(world, 3600) == 0
    assert world.weights() == {"v1": 50, "v2": 50}


@pytest.mark.parametrize("verb", ["promote", "promote-full", "pause", "retry", "undo"])
@pytest.mark.parametrize("gap", [None, 0.1, 5], ids=["together", "at-once", "later"])
def test_49_an_abort_wins_over_everything_else(verb: str, gap: float | None) -> None:
    world = holding()
    if gap is None:
        annotate(world, command=verb, abort="2")
    else:
        world.command("abort", value="2")
        world.run_for(gap)
        if verb == "retry":
            return
        world.command(verb)
    world.run_until(lambda: world.weights() == {"v1": 100}, within=10)
    world.run_for(300)
    assert world.status()["history"][-1]["outcome"] == "Aborted"
    serves_alone(world, "v1")


def test_48_an_abort_for_another_rollout_is_rejected() -> None:
    world = holding()
    world.command("abort", value="1")
    world.run_for(10)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    assert world.weights() == {"v1": 50, "v2": 50}


def test_50_a_command_of_one_rollout_leaves_the_next_one_alone() -> None:
    world = holding(GATED, 0)
    world.command("promote-full")
    world.run_to_phase("Healthy")
    upgrade(world, "v3")
    reach(world, 1, "Holding", rollout=3)
    assert rest(world, 3600) <= 2
    assert world.weights() == {"v2": 50, "v3": 50}


def test_51_promote_full_skips_holds_and_approvals_but_not_capacity() -> None:
    world = holding(GATED, 0)
    world.command("promote-full")
    world.run_to_phase("Healthy", within=60)
    assert world.rollout()["outcome"] == "FastPromoted"
    world.run_for(60)
    serves_alone(world, "v2")


def test_51_promote_full_waits_for_a_gateway_that_has_not_confirmed_the_route() -> None:
    world = holding(GATED, 0)
    world.gateway.is_frozen = True
    world.command("promote-full")
    world.run_for(600)
    assert world.rollout()["stepState"] == "Verifying"
    assert world.replicas("v1") == 2
    world.gateway.is_frozen = False
    world.run_to_phase("Healthy", within=60)


def test_51_promote_full_gives_nothing_to_pods_that_are_not_ready() -> None:
    world = installed(GATED)
    world.oracle.expects_no_outage = True
    world.script("v2", is_never_ready=True)
    upgrade(world, "v2")
    world.run_for(20)
    world.command("promote-full")
    world.run_for(300)
    assert world.rollout()["lastCommand"]["result"] == "Accepted"
    assert world.weights() == {"v1": 100}
    world.script("v2")
    world.run_to_phase("Healthy", within=120)


def test_51_promote_full_ends_a_pause() -> None:
    world = holding(TWO_STEPS, 0)
    world.command("pause")
    world.run_for(60)
    world.command("promote-full")
    world.run_to_phase("Healthy", within=60)


def test_53_a_pause_freezes_the_step_and_the_rest_of_the_hold_is_kept() -> None:
    world = holding(models.canary({"weight": 10, "hold": "10m"}), 0)
    world.run_for(238)
    world.command("pause")
    world.run_for(5)
    assert world.status()["phase"] == "Paused"
    assert world.condition("Paused")["reason"] == "UserPause"
    assert rest(world, 7200) == 0
    assert world.weights() == {"v1": 90, "v2": 10}
    world.command("resume")
    begun = world.clock.elapsed
    reach(world, 1, "Scaling")
    assert 350 <= world.clock.elapsed - begun <= 365


def test_53_a_pause_in_the_spec_does_the_same() -> None:
    world = holding(models.canary({"weight": 10, "hold": "1m"}), 0)
    rollout = world.model()["spec"]["rollout"]
    world.edit(rollout=rollout | {"paused": True})
    world.run_for(600)
    assert world.condition("Paused")["reason"] == "UserPause"
    assert world.rollout()["stepIndex"] == 0
    world.edit(rollout=rollout)
    world.run_to_phase("Healthy")


def test_53_a_pause_leaves_no_weight_on_a_candidate_without_pods() -> None:
    world = holding(GATED, 1)
    world.command("pause")
    world.run_for(5)
    world.oracle.expects_no_outage = False
    for pod in world.pods("v2"):
        world.evict(pod)
    world.run_for(2)
    assert world.weights() == {"v1": 100}
    world.run_for(60)
    assert world.weights() == {"v1": 50, "v2": 50}
    assert (world.rollout()["stepIndex"], world.condition("Paused")["reason"]) == (1, "UserPause")


def test_53_a_pause_does_not_hold_an_autoscaler() -> None:
    world = installed(GATED, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.command("pause")
    world.run_for(5)
    for version in ("v1", "v2"):
        name = world.revision_of(version)
        world.autoscaler.targets[name] = 5
        world.change(kinds.HORIZONTAL_POD_AUTOSCALER, name, lambda item: item.update(status={}))
    world.run_for(60)
    assert (len(world.pods("v1", ready=True)), len(world.pods("v2", ready=True))) == (5, 5)
    assert world.weights() == {"v1": 50, "v2": 50}


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
@pytest.mark.parametrize("in_spec", [True, False], ids=["in-the-spec", "by-command"])
def test_53_a_pause_stops_a_rolling_update_where_it_is(gateway: bool, in_spec: bool) -> None:
    world = installed(models.rolling(), gateway=gateway, replicas=8)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_until(lambda: len(world.pods("v2", ready=True)) >= 2)
    if in_spec:
        world.edit(rollout=models.rolling(paused=True))
    else:
        world.command("pause")
    world.run_for(2)
    before = world.replicas("v1"), world.replicas("v2")
    world.run_for(900)
    assert (world.replicas("v1"), world.replicas("v2")) == before
    world.edit(replicas=10)
    world.run_for(60)
    assert len(world.pods(ready=True)) == 10
    assert world.replicas("v2") == before[1]
    world.edit(rollout=models.rolling())
    world.command("resume")
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v2", 10)


def test_49_nothing_pauses_the_way_back() -> None:
    world = holding(TWO_STEPS, 0)
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_for(2)
    world.command("pause")
    world.run_for(2)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(2)
    assert world.status()["phase"] == "RollingBack"
    assert world.condition("Paused") == {}
    assert world.condition("Progressing")["status"] == "True"
    world.gateway.is_frozen = False
    world.run_to_phase("RolledBack", within=60)


def test_a_first_install_that_is_paused_says_so() -> None:
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS | {"paused": True}))
    world.run_for(60)
    assert world.status()["phase"] == "Paused"
    assert "spec.rollout.paused" in world.status()["message"]
    assert rest(world, 600) == 0
    world.edit(rollout=TWO_STEPS)
    world.run_to_phase("Healthy")


def test_53_a_paused_rollout_can_be_aborted_and_repairs_drift() -> None:
    world = holding(GATED, 1)
    world.command("pause")
    world.run_for(5)
    drift(world)
    world.run_for(2)
    assert world.weights() == {"v1": 50, "v2": 50}
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")


def drift(world: World) -> None:
    def edit(route: Manifest) -> None:
        for rule in route["spec"]["rules"]:
            for backend, weight in zip(rule["backendRefs"], (1, 99), strict=True):
                backend["weight"] = weight

    world.change(kinds.HTTP_ROUTE, "fraud", edit)


def test_10_weights_edited_from_outside_are_put_back_in_one_pass() -> None:
    world = holding()
    before = len(world.server.writes)
    drift(world)
    world.run_for(0.5)
    assert world.weights() == {"v1": 50, "v2": 50}
    assert [write.kind.name for write in world.server.writes[before:] if write.verb == "apply"] == ["HTTPRoute"]
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (1, "Holding")


def test_10_weights_of_a_rolling_update_that_somebody_raises_are_put_back() -> None:
    world = installed(models.rolling(), replicas=8)
    world.script("v2", load=60)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights() == {"v1": 75, "v2": 25})
    drift(world)
    world.run_for(1)
    assert world.weights() == {"v1": 75, "v2": 25}


def test_10_the_weight_of_a_first_install_that_somebody_edits_is_put_back_also_without_pods() -> None:
    world = World()
    world.gateway.is_frozen = True
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_until(lambda: world.weights() == {"v1": 100})
    world.kubelet.unready |= {pod["metadata"]["uid"] for pod in world.pods()}
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"]["rules"][0]["backendRefs"][0].update(weight=41))
    world.run_for(5)
    assert world.weights() == {"v1": 100}


def test_28_a_hold_goes_on_while_the_operator_is_away() -> None:
    world = holding(models.canary({"weight": 10, "hold": "10m"}, {"weight": 20, "hold": "10m"}), 0)
    process, world.process = world.process, None  # type: ignore[assignment]
    world.clock.advance_to(world.clock() + (process.next_due() - world.clock()) * 6)  # type: ignore[operator]
    world.process = process
    world.crash()
    reach(world, 1, "Holding")
    begun = world.clock.elapsed
    reach(world, 2, "Scaling")
    assert 600 <= world.clock.elapsed - begun <= 602


@pytest.mark.parametrize("back", [1, 30, 3600])
def test_28_a_clock_that_steps_back_opens_no_hold_again(back: int) -> None:
    world = holding(models.canary({"weight": 10, "hold": "10m"}, {"weight": 20, "hold": "10m"}), 1)
    world.clock.step(timedelta(seconds=-back))
    world.process.add({(models.NAMESPACE, "fraud")})
    world.run_for(60)
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (1, "Holding")
    assert world.weights() == {"v1": 80, "v2": 20}
    world.crash()
    world.run_for(back + 540)
    assert world.rollout()["stepIndex"] == 2


def test_48_a_command_without_a_rollout_is_refused() -> None:
    world = installed(TWO_STEPS)
    for verb in ("promote", "abort", "pause", "resume", "retry"):
        world.command(verb)
        world.run_for(5)
        assert world.rollout()["lastCommand"]["result"] == "Rejected", verb
    serves_alone(world, "v1")
    assert world.status()["phase"] == "Healthy"
