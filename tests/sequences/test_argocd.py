"""Commands as Argo CD's actions: what its Lua writes is what the operator obeys."""

from functools import cache

import pytest

from modelway import kinds, names
from modelway.kinds import Manifest
from modelway.observe import observe
from modelway.plan import commands
from modelway.plan.observed import Features, Observed
from simulation import beginnings as b
from simulation import judges, models
from simulation.beginnings import Beginning, world_of
from simulation.stories import TWO_STEPS, installed, reach, renew, serves_alone, upgrade
from simulation.world import World


def outdated() -> World:
    """The runtime has changed since stable was rendered."""
    world = installed(TWO_STEPS)
    renew(world)
    world.run_for(60)
    return world


def outdated_and_suspended() -> World:
    world = outdated()
    world.edit(replicas=0)
    world.run_for(60)
    return world


def outdated_and_paused() -> World:
    world = outdated()
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(60)
    return world


def refreshing() -> World:
    world = outdated()
    world.command("refresh")
    reach(world, 0, "Holding")
    return world


def upgraded() -> World:
    """A second revision serves, and the first is kept."""
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    return world


def upgraded_long_ago() -> World:
    """The revision before is not kept any more."""
    world = upgraded()
    world.run_for(120)
    world.store.remove(kinds.CONTROLLER_REVISION, revision(world, world.revision_of("v1")))
    world.run_for(60)
    return world


def revision(world: World, name: str) -> Manifest:
    found = world.store.find(kinds.CONTROLLER_REVISION, models.NAMESPACE, name)
    assert found is not None
    return found


def previewed() -> World:
    """A BlueGreen candidate waits for the switch."""
    world = installed(models.blue_green({"approval": "Required"}))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    return world


AVAILABLE: list[tuple[Beginning, str]] = [
    (b.pending, ""),
    (b.initializing, "pause"),
    (b.healthy, ""),
    (b.progressing, "abort pause promote promote-full"),
    (b.holding, "abort pause promote promote-full"),
    (b.waiting_for_approval, "abort pause promote promote-full"),
    (b.promoting, "abort pause"),
    (b.rolling_back, ""),
    (b.aborted, "retry"),
    (b.refused, "retry"),
    (b.undone, "retry undo"),
    (outdated, "refresh"),
    (outdated_and_suspended, ""),
    (outdated_and_paused, ""),
    (refreshing, "abort pause promote promote-full"),
    (upgraded, "undo"),
    (upgraded_long_ago, ""),
    (previewed, "abort pause promote promote-full"),
    (b.overdue, "retry"),
    (b.tried_again, "abort pause promote promote-full"),
    (b.first_is_refused, "pause retry"),
    (b.invalid, ""),
    (b.suspended, ""),
]
OFFERED = [
    pytest.param(beginning, action, id=f"{beginning.__name__}-{action}")
    for beginning, actions in AVAILABLE
    for action in actions.split()
]


def paused_by_command() -> World:
    world = b.holding()
    world.command("pause")
    world.run_for(2)
    return world


@cache
def available() -> dict[Beginning, list[str]]:
    """The actions that the user interface offers in each beginning, asked all at once."""
    answers = judges.judged(world_of(beginning).model() for beginning, _ in AVAILABLE)
    return {row[0]: answer.get("available", []) for row, answer in zip(AVAILABLE, answers, strict=True)}


@pytest.mark.parametrize(("beginning", "actions"), AVAILABLE, ids=[row[0].__name__ for row in AVAILABLE])
def test_only_what_makes_sense_is_offered(beginning: Beginning, actions: str) -> None:
    assert available()[beginning] == actions.split()


def test_a_paused_rollout_can_be_resumed_and_not_paused_again() -> None:
    (answer,) = judges.judged([paused_by_command().model()])
    assert answer["available"] == ["abort", "promote", "promote-full", "resume"]


def seen(world: World, manifest: Manifest) -> Observed:
    """What a pass would see, were this the object."""
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    found = type(snapshot)(owner=manifest, children=snapshot.children, runtimes=snapshot.runtimes)
    return observe(found, now=world.clock(), epoch=1, features=Features(gateway=True, runtime_image=""))


@pytest.mark.parametrize(("beginning", "action"), OFFERED)
def test_an_action_writes_a_command_that_the_operator_takes_and_nothing_else(beginning: Beginning, action: str) -> None:
    world = world_of(beginning)
    before, after = world.model(), judges.act(world.model(), action)
    observed = seen(world, after)
    command = commands.pending(observed, observed.record)
    assert command is not None
    assert (command.verb, command.by, command.uid) == (action, "argocd", before["metadata"]["uid"])
    assert command.rollout == world.rollout()["id"]
    assert command.id.startswith("argocd-")
    assert commands.refusal(command, observed, observed.record) == ""
    assert after["spec"].keys() == before["spec"].keys()
    written = after["metadata"].pop("annotations")
    assert written.keys() <= {
        names.COMMAND_ANNOTATION,
        names.ABORT_ANNOTATION,
        *before["metadata"].get("annotations", {}),
    }
    assert after["metadata"].keys() == before["metadata"].keys() - {"annotations"}


def do(world: World, action: str) -> None:
    """Somebody clicks on an action; Argo CD patches what its script changed."""
    annotation = models.annotation(action)
    world.command(action, value=judges.act(world.model(), action)["metadata"]["annotations"][annotation])


@pytest.mark.parametrize("beginning", [b.waiting_for_approval, previewed])
@pytest.mark.parametrize("action", ["promote", "promote-full"])
def test_a_step_that_waits_is_approved(action: str, beginning: Beginning) -> None:
    world = beginning()
    do(world, action)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_a_rollout_is_aborted_and_tried_again() -> None:
    world = b.holding()
    do(world, "abort")
    world.run_to_phase("RolledBack")
    assert world.rollout()["message"] == "Aborted by argocd (claimed)"
    do(world, "retry")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_a_rollout_is_paused_and_resumed() -> None:
    world = b.holding()
    do(world, "pause")
    world.run_for(600)
    assert world.condition("Paused")["reason"] == "UserPause"
    do(world, "resume")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_a_runtime_that_changed_is_taken_over() -> None:
    world = outdated()
    do(world, "refresh")
    world.run_until(lambda: world.rollout()["id"] == 2, within=10)
    assert world.rollout()["source"] == "Refresh"
    world.run_to_phase("Healthy")
    world.run_for(60)
    assert world.status()["runtime"]["outdated"] is False


def test_a_version_is_undone_and_the_undo_too() -> None:
    world = upgraded()
    do(world, "undo")
    world.run_to_phase("RolledBack")
    serves_alone(world, "v1")
    do(world, "undo")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")
