"""What was refused, aborted or undone stays out, whatever GitOps tools and people do beside asking for it again."""

from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import beginnings as b
from simulation import models
from simulation.beginnings import Beginning
from simulation.stories import rest, serves_alone, upgrade
from simulation.world import World

ENDS = pytest.mark.parametrize("end", [b.refused, b.aborted, b.undone], ids=lambda end: end.__name__)


def change_metadata(world: World, **fields: Any) -> None:
    live = world.model()
    metadata = {**live["metadata"], **fields}
    world.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "metadata": metadata})


def applied_again(world: World) -> None:
    """The same manifest, with the annotation that the tool writes each time."""
    world.apply(world.model()["spec"])
    annotations = world.model()["metadata"].get("annotations", {})
    change_metadata(world, annotations=annotations | {"argocd.argoproj.io/tracking-id": "fraud:serving:2"})


def healed(world: World) -> None:
    """A self-heal that takes every annotation away that Git does not have."""
    change_metadata(world, annotations={})


def labelled(world: World) -> None:
    change_metadata(world, labels={"team": "risk"})


def restarted(world: World) -> None:
    world.crash()


def resynchronised(world: World) -> None:
    for _ in range(3):
        world.process.add({(models.NAMESPACE, "fraud")})
        world.run_for(60)


def edited_elsewhere(world: World) -> None:
    """A field that makes no revision."""
    world.edit(revisionHistoryLimit=5)


def scaled(world: World) -> None:
    world.edit(replicas=3)


def restored(world: World) -> None:
    """A backup that holds no status."""
    live = world.model()
    world.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "status": {"observedGeneration": -1}})
    world.crash()


NUDGES = [applied_again, healed, labelled, restarted, resynchronised, edited_elsewhere, scaled, restored]


@ENDS
@pytest.mark.parametrize("nudge", NUDGES, ids=lambda nudge: nudge.__name__)
def test_44_nothing_but_a_wish_brings_it_back(end: Beginning, nudge: Callable[[World], None]) -> None:
    world = end()
    world.run_for(120)
    shares: list[Manifest] = []
    world.server.observers.append(lambda write: shares.append(write.after) if write.kind == kinds.HTTP_ROUTE else None)
    nudge(world)
    world.run_for(7200)
    assert world.status()["phase"] == "RolledBack", world.picture()
    assert world.condition("Stalled")["status"] == "True"
    serves_alone(world, "v1", 3 if nudge is scaled else 2)
    assert world.pods("v2") == []
    assert world.replicas("v2") == 0
    assert not any(world.revision_of("v2") in str(route["spec"]) for route in shares)
    assert rest(world, 7200) == 0


@ENDS
def test_44_a_retry_brings_it_back(end: Beginning) -> None:
    world = end()
    world.script("v2")
    world.run_for(120)
    world.command("retry")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


@ENDS
def test_44_a_new_revision_is_no_resurrection(end: Beginning) -> None:
    world = end()
    upgrade(world, "v3")
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")
