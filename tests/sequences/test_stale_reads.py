"""Watches that lag and an API server that refuses: late, perhaps, but never wrong."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelway import kinds
from modelway.cluster.api import ApiError, Conflict, TooManyRequests, Unreachable
from modelway.kinds import Kind
from simulation import models
from simulation.server import Fault
from simulation.stories import TWO_STEPS, installed, serves_alone, upgrade
from simulation.world import World

SHOWN = models.blue_green({"hold": "1m", "previewHostnames": ["preview.example.com"]}, candidateMatches=models.BETA)
LAGS: list[Any] = [
    pytest.param({kinds.POD: 10}, id="pods"),
    pytest.param({kinds.DEPLOYMENT: 10}, id="deployments"),
    pytest.param({kinds.HTTP_ROUTE: 10}, id="route"),
    pytest.param({kinds.SERVICE: 10, kinds.CONFIG_MAP: 10, kinds.CONTROLLER_REVISION: 10}, id="small-children"),
    pytest.param({kinds.MODEL_DEPLOYMENT: 5}, id="model"),
    pytest.param(dict.fromkeys((*kinds.CHILD_KINDS, *kinds.OWN_KINDS, kinds.HTTP_ROUTE), 3), id="everything"),
    pytest.param({kinds.POD: 30, kinds.DEPLOYMENT: 1, kinds.HTTP_ROUTE: 15}, id="a-mixture"),
]


def lagging(world: World, lags: dict[Kind, int]) -> None:
    world.process.view.lag = {kind: timedelta(seconds=seconds) for kind, seconds in lags.items()}


@pytest.mark.parametrize("crashes", [False, True], ids=["calm", "with-restarts"])
@pytest.mark.parametrize("lags", LAGS)
@pytest.mark.parametrize("rollout", [TWO_STEPS, models.rolling(), SHOWN], ids=["canary", "rolling", "blue-green"])
def test_62_stale_reads_delay_a_rollout_and_break_nothing(
    rollout: dict[str, Any], lags: dict[Kind, int], crashes: bool
) -> None:
    world = installed(rollout, seed=1, replicas=3)
    calm = len(world.store.all(kinds.DEPLOYMENT))
    world.oracle.expects_no_outage = True
    lagging(world, lags)
    upgrade(world, "v2")
    for _ in range(20):
        world.run_for(13)
        if crashes:
            world.crash()
    world.run_to_phase("Healthy", within=1800)
    world.run_for(300)
    serves_alone(world, "v2", 3)
    assert len(world.store.all(kinds.DEPLOYMENT)) == calm + 1


def sometimes(error: ApiError, percent: int) -> Fault:
    drawn = random.Random(percent)
    return lambda verb, kind, name: error if drawn.randrange(100) < percent else None


ERRORS: list[Any] = [
    pytest.param(Conflict(409, "Conflict", "the object has been modified"), id="conflicts"),
    pytest.param(Unreachable(503, "ServiceUnavailable", "etcd has no leader"), id="unavailable"),
    pytest.param(TooManyRequests("slow down", 1.0), id="too-many"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("rollout", "percent"),
    [(TWO_STEPS, 20), (TWO_STEPS, 60), (SHOWN, 20)],
    ids=["canary-20", "canary-60", "blue-green-20"],
)
def test_62_a_storm_of_errors_ends_where_a_calm_day_does(
    error: ApiError, percent: int, rollout: dict[str, Any]
) -> None:
    world = installed(rollout)
    world.oracle.expects_no_outage = True
    world.server.faults.rules.append(sometimes(error, percent))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=7200)
    world.server.faults.rules.clear()
    world.run_for(600)
    serves_alone(world, "v2")
    assert [line["outcome"] for line in world.status()["history"]] == ["Promoted", "Promoted"]


def outage(start: float, seconds: float, world: World) -> Callable[[str, Kind, str], ApiError | None]:
    error = Unreachable(0, "Unreachable", "connection refused")
    return lambda verb, kind, name: error if start <= world.clock.elapsed < start + seconds else None


@pytest.mark.parametrize("start", range(9, 60, 6))
def test_62_an_api_server_that_is_away_for_five_minutes_loses_nothing(start: int) -> None:
    world = installed(TWO_STEPS)
    world.oracle.expects_no_outage = True
    world.server.faults.rules.append(outage(start, 300, world))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=1800)
    world.run_for(120)
    serves_alone(world, "v2")
    assert world.rollout()["id"] == 2


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENT, kinds.SERVICE], ids=str)
def test_64_a_child_that_was_deleted_unnoticed_is_not_born_by_an_apply(kind: Kind) -> None:
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_until(lambda: bool(world.store.all(kinds.DEPLOYMENT)))
    lagging(world, {kind: 5})
    for child in world.store.all(kind):
        world.store.remove(kind, child)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")
