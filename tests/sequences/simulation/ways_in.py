"""The ways in to a model: its route, and rollouts that are seen through it."""

from typing import Any

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models, rules
from simulation.stories import TWO_STEPS, installed, reach, upgrade
from simulation.world import World

BETA = {"x-cohort": "beta"}
PREVIEW = "preview.fraud.example.com"
MATCHED = TWO_STEPS | {"candidateMatches": models.BETA}
LONG = models.canary({"weight": 10, "hold": "10m"}, {"weight": 50, "hold": "10m"}, candidateMatches=models.BETA)
SHOWN = models.blue_green({"previewHostnames": [PREVIEW], "hold": "10m"}, candidateMatches=models.BETA)
GRPC_RUNTIME: Manifest = {"spec": models.RUNTIME["spec"] | {"ports": {"http": 8000, "grpc": 8001, "metrics": 8002}}}
EVERYTHING = models.GATEWAY | {"paths": "All"}
STICKY = models.GATEWAY | {"sessionPersistence": {"type": "Cookie", "sessionName": "fraud"}}
EXPERIMENTAL = frozenset({"name", "sessionPersistence"})


def route(world: World, name: str = "fraud") -> Manifest:
    """A live route's spec."""
    found = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, name)
    assert found is not None, world.picture()
    spec: Manifest = found["spec"]
    return spec


def at(rollout: Manifest, step: int, state: str = "Holding", **fields: Any) -> World:
    """v1 serves, v2 is at that step."""
    world = installed(rollout, **fields)
    upgrade(world, "v2")
    reach(world, step, state)
    world.run_for(2)
    return world


def leading(spec: Manifest) -> Manifest:
    """A route without rules that only keep their places, whatever the places of the others."""
    return spec | {"rules": {rule["name"]: rule for rule in spec["rules"] if rules.purpose(rule)}}


def speaking(world: World, *, grpc: bool) -> None:
    """The runtime has, or has no more, a port for gRPC."""
    ports = {"http": 8000, "metrics": 8002} | ({"grpc": 8001} if grpc else {})
    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item["spec"].update(ports=ports))


def all_paths(*, grpc: bool, rollout: Manifest = MATCHED) -> World:
    world = World()
    speaking(world, grpc=grpc)
    world.oracle.expects_no_outage = True
    world.apply(models.spec("v1", rollout=rollout, traffic=EVERYTHING))
    world.run_to_phase("Healthy")
    return world


def calls(world: World, **headers: str) -> set[str]:
    """Versions that may answer a gRPC call."""
    return world.answers(path=rules.GRPC, headers=headers)


def sticky(rollout: Manifest, step: int = 0) -> World:
    world = World(route_fields=EXPERIMENTAL)
    world.apply(models.spec("v1", rollout=rollout, traffic=STICKY))
    world.run_to_phase("Healthy")
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, "Holding")
    return world


def held(world: World, version: str) -> set[str]:
    """Versions that may answer a client whose cookie names one."""
    return world.answers(session=world.revision_of(version))
