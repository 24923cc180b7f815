"""Beginnings that many tests share, and the comparison with golden logs."""

import json
import os
from pathlib import Path
from typing import Any

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import models
from simulation.notes import place
from simulation.world import World

GOLDEN = Path(__file__).parent.parent / "golden"

TWO_STEPS = models.canary(
    {"name": "taste", "weight": 10, "hold": "1m"}, {"name": "half", "weight": 50, "hold": "1m"}, bake="1m"
)
GATED = models.canary({"weight": 10, "hold": "1m"}, {"weight": 50, "approval": "Required"}, bake="0s")


def installed(
    rollout: Manifest | None = None, *, seed: int | None = None, gateway: bool = True, **fields: Any
) -> World:
    """A cluster in which v1 serves."""
    world = World(seed=seed, has_gateway=gateway)
    world.apply(models.spec("v1", gateway=gateway, rollout=rollout or TWO_STEPS, **fields))
    world.run_to_phase("Suspended" if fields.get("replicas") == 0 else "Healthy")
    return world


def judged(*metrics: Any, steps: Any = None, bake: str = "10m", **analysis: Any) -> Any:
    """`spec.rollout` with an analysis."""
    found = steps or ({"weight": 10, "hold": "1m"}, {"weight": 50, "hold": "1m"})
    return models.canary(*found, bake=bake, analysis={"metrics": list(metrics), **analysis})


def evidence(world: World, number: int) -> Any:
    """What is kept of one rollout."""
    stored = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, names.rollout("fraud", number))
    assert stored is not None
    return json.loads(stored["data"]["evidence.json"])


def upgrade(world: World, version: str, **changes: Any) -> None:
    """The user applies the same manifest with another version of the model (and other changes)."""
    spec = {**world.model()["spec"], **changes, "model": {**models.model(version), **changes.get("model", {})}}
    world.apply(spec)


def reach(world: World, step: int, state: str, *, rollout: int = 2, within: float = 900) -> None:
    """Let time pass until the rollout (the first one is the install) is there."""
    world.run_until(lambda: place(world.rollout()) == (rollout, step, state), within=within)


def rest(world: World, seconds: float = 900) -> int:
    """Let time pass; how many writes the operator made in it."""
    before = len(world.server.writes) + len(world.recorder.events)
    world.run_for(seconds)
    return len(world.server.writes) + len(world.recorder.events) - before


def compare(world: World, name: str) -> None:
    """The log is the golden one; `UPDATE_GOLDEN=1` writes it anew."""
    path = GOLDEN / f"{name}.log"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(world.golden(), encoding="utf-8")
    assert world.golden() == path.read_text(encoding="utf-8"), f"{path.name} differs: see UPDATE_GOLDEN=1"


def serves_alone(world: World, version: str, pods: int = 2) -> None:
    """Assert that one version has all the traffic and all its pods."""
    assert world.selected() == {version}, world.picture()
    if world.model()["spec"].get("traffic"):
        assert world.weights() == {version: 100}, world.picture()
    assert len(world.pods(version, ready=True)) == pods, world.picture()


def renew(world: World, image: str = "example.com/runtime:2") -> None:
    """Somebody gives the runtime another image."""

    def edit(runtime: Manifest) -> None:
        runtime["spec"]["template"]["spec"]["containers"][0]["image"] = image

    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", edit)


def image_of(world: World, number: int) -> str:
    """The model container's image of a revision, by its number."""
    (found,) = [item for item in world.store.all(kinds.CONTROLLER_REVISION) if item["revision"] == number]
    containers = found["data"]["rendered"]["deployment"]["template"]["spec"]["containers"]
    return str(next(item["image"] for item in containers if item["name"] == "model"))


def serving(world: World) -> int:
    """Number of the stable revision, which has all of the traffic and all of the pods."""
    stable = world.status()["stableRevision"]
    route = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    if world.model()["spec"].get("traffic"):
        assert route is not None
        weights = {item["name"]: item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]}
        assert {name for name, weight in weights.items() if weight} == {stable["name"]}, world.picture()
    assert {pod["metadata"]["labels"][names.REVISION_LABEL] for pod in world.pods(ready=True)} == {stable["hash"]}
    return int(stable["number"])
