"""What is told and counted of rollouts: by whom, when, how far, why; each exactly once."""

import json
from collections.abc import Callable, Mapping

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import GATED, TWO_STEPS, installed, reach, renew, rest, upgrade
from simulation.world import World

ADA = "ada (claimed)"
WRITER = "kubectl-client-side-apply (field manager)"
BARE = "kubectl-annotate (field manager)"


def ask(world: World, verb: str, **more: object) -> None:
    named = {} if verb == "abort" else {"verb": verb}
    world.command(verb, value=json.dumps({**named, "by": "ada", "id": f"{verb}-{world.clock.elapsed}", **more}))


def last(world: World) -> Manifest:
    """The youngest line of the history."""
    found: Manifest = world.status()["history"][-1]
    return found


def counted(world: World, name: str) -> Mapping[str, float]:
    """Samples of one metric by the values of its labels."""
    return {
        "/".join(sample.labels.values()): sample.value
        for family in world.recorder.metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"modelway_{name}"
    }


def test_a_promotion_is_told_with_its_steps_and_who_wrote_the_spec() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    line = last(world)
    assert {key: line[key] for key in ("id", "outcome", "strategy", "steps", "stepCount", "by")} == {
        "id": 2,
        "outcome": "Promoted",
        "strategy": "Canary",
        "steps": 3,
        "stepCount": 3,
        "by": WRITER,
    }
    assert world.status()["history"][0]["strategy"] == "Initial"


def test_an_abort_is_told_with_who_claims_it_where_it_was_and_why() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    ask(world, "abort")
    world.run_to_phase("RolledBack")
    line = last(world)
    assert (line["outcome"], line["reason"], line["steps"], line["stepCount"]) == ("Aborted", "UserAbort", 2, 3)
    assert (line["by"], line["message"]) == (ADA, f"Aborted by {ADA}")
    assert world.rollout()["lastCommand"]["by"] == ADA
    assert line["startedAt"] < world.rollout()["turnedBackAt"] < line["finishedAt"]


def test_a_command_without_a_name_is_told_with_the_field_manager_that_wrote_it() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    assert (last(world)["by"], world.rollout()["lastCommand"]["by"]) == (BARE, BARE)


def test_an_approval_is_told_with_who_gave_it() -> None:
    world = installed(GATED)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    ask(world, "promote")
    world.run_to_phase("Healthy")
    assert (last(world)["outcome"], last(world)["by"]) == ("Promoted", ADA)


def test_a_failure_keeps_its_message_short_and_says_who_wanted_it() -> None:
    world = installed(TWO_STEPS)
    world.script("v2", load_failure="ModelLoadFailed", message="x" * 400)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    assert (last(world)["reason"], last(world)["by"]) == ("ModelLoadFailed", WRITER)
    assert len(last(world)["message"]) == 256


def test_a_refresh_is_told_with_who_asked_for_it_also_when_it_began_later() -> None:
    world = installed(TWO_STEPS)
    world.edit(rollout=TWO_STEPS | {"paused": True})
    renew(world)
    world.run_for(5)
    ask(world, "refresh")
    world.run_for(600)
    assert world.rollout()["id"] == 1
    world.edit(rollout=TWO_STEPS)
    world.run_until(lambda: world.rollout()["id"] == 2 and "finishedAt" in world.rollout())
    assert (last(world)["outcome"], last(world)["by"]) == ("Promoted", ADA)


def promote(world: World) -> None:
    world.run_to_phase("Healthy")


def abort(world: World) -> None:
    reach(world, 0, "Holding")
    ask(world, "abort")
    world.run_to_phase("RolledBack")


def supersede(world: World) -> None:
    reach(world, 0, "Holding")
    upgrade(world, "v3")
    world.run_to_phase("Healthy")


def revert(world: World) -> None:
    reach(world, 0, "Holding")
    upgrade(world, "v1")
    world.run_to_phase("Healthy")


def undo(world: World) -> None:
    world.run_to_phase("Healthy")
    ask(world, "undo")
    world.run_to_phase("RolledBack")


ENDS: dict[str, tuple[Callable[[World], None], dict[str, float], dict[str, float], int]] = {
    "promoted": (promote, {"Promoted/": 2}, {}, 0),
    "aborted": (abort, {"Promoted/": 1, "Aborted/UserAbort": 1}, {"abort/Accepted": 1}, 1),
    "superseded": (supersede, {"Promoted/": 2, "Superseded/Superseded": 1}, {}, 0),
    "reverted": (revert, {"Promoted/": 1, "RolledBack/SpecReverted": 1}, {}, 1),
    "undone": (undo, {"Promoted/": 3}, {"undo/Accepted": 1}, 1),
}


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("name", ENDS)
def test_each_end_and_each_command_counts_once(name: str, seed: int | None) -> None:
    act, rollouts, commands, returns = ENDS[name]
    world = installed(TWO_STEPS, seed=seed)
    upgrade(world, "v2")
    act(world)
    world.run_for(600)
    world.crash()
    world.run_for(600)
    assert counted(world, "rollouts_total") == rollouts
    assert counted(world, "commands_total") == commands
    assert counted(world, "rollback_seconds_count")[""] == returns
    assert sum(counted(world, "rollout_duration_seconds_count").values()) == sum(rollouts.values())
    told = [event[1] for event in world.recorder.events]
    assert told.count("RevisionPromoted") == rollouts["Promoted/"]
    for reason in ("Superseded", "UserAbort", "SpecReverted"):
        assert told.count(reason) == sum(value for key, value in rollouts.items() if key.endswith(f"/{reason}"))


def test_a_rollback_takes_as_long_as_requests_reached_the_candidate() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.gateway.is_frozen = True
    ask(world, "abort")
    world.run_for(50)
    world.gateway.is_frozen = False
    world.run_to_phase("RolledBack")
    assert 50 <= counted(world, "rollback_seconds_sum")[""] <= 52


def test_commands_of_unknown_verbs_share_one_series() -> None:
    world = installed(TWO_STEPS)
    for verb in ("destroy", "obey"):
        world.command(verb, value=json.dumps({"verb": verb}))
        world.run_for(5)
    assert counted(world, "commands_total") == {"unknown/Rejected": 2}


def test_10_a_repair_is_counted_and_told_once_and_nothing_else_is_one() -> None:
    world = installed(TWO_STEPS, validation={"requests": models.GOLDEN})
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert counted(world, "drift_repaired_total") == {}

    def edit(route: Manifest) -> None:
        route["spec"]["rules"][0]["backendRefs"][0]["weight"] = 1

    world.change(kinds.HTTP_ROUTE, "fraud", edit)
    world.run_for(10)
    assert world.weights() == {"v1": 90, "v2": 10}
    assert counted(world, "drift_repaired_total") == {"HTTPRoute": 1}
    told = [event for event in world.recorder.events if event[1] == "DriftRepaired"]
    assert told == [("Normal", "DriftRepaired", "HTTPRoute fraud had been changed and is as it was again")]
    ask(world, "abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    world.edit(validation={"requests": [models.GOLDEN[0] | {"name": "corrected"}]})
    ask(world, "retry")
    world.run_to_phase("Healthy")
    world.run_for(200)
    assert counted(world, "drift_repaired_total") == {"HTTPRoute": 1}
    assert rest(world) == 0


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
def test_10_whole_rollouts_repair_nothing(gateway: bool) -> None:
    world = installed(
        models.canary({"weight": 50, "hold": "20s"}, bake="0s"),
        gateway=gateway,
        replicas=None,
        autoscaling={"minReplicas": 2, "maxReplicas": 4},
    )
    for version in ("v2", "v3"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(60)
    world.edit(autoscaling={"minReplicas": 3, "maxReplicas": 5})
    world.run_for(60)
    world.command("undo")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert counted(world, "drift_repaired_total") == {}
