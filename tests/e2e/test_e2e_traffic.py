"""Three hundred requests a second through every kind of change: none fails, and each step has its share."""

import asyncio
import functools
import json
import math
import time
from collections.abc import Callable

import pytest

from cluster.shell import ClusterError
from demo import objects
from demo.models import Models
from demo.place import Place
from demo.street import RATE, Street, has_promoted, is_rolled_back, street
from modelway.cli.objects import Model

STEPS = [{"weight": 10, "hold": "8s"}, {"weight": 50, "hold": "8s"}]
RARE = 3.29
"""Standard deviations that a fair split stays within in 999 of 1,000 runs."""


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("traffic")


async def split(seen: Street, index: int) -> float:
    """How far the share of the answers is from the step's weight, in standard deviations."""
    await seen.until(f"it holds at step {index}", functools.partial(objects.holds_step, index))
    began = ended = time.monotonic()

    def is_over(model: Model) -> bool:
        nonlocal ended
        if objects.holds_step(index, model):
            ended = time.monotonic() - objects.LOOK_SECONDS
            return False
        return True

    await seen.until(f"the hold of step {index} is over", is_over)
    counted = seen.load.shares(began, ended)
    share, total = STEPS[index]["weight"] / 100, counted.total()
    assert total > 1000
    return abs(counted["2"] / total - share) / math.sqrt(share * (1 - share) / total)


async def test_15_and_16_a_canary_loses_nothing_and_each_step_has_its_share(where: Place, known: Models) -> None:
    rollout = {"strategy": "Canary", "steps": STEPS, "bake": "0s"}
    async with street(where, known, "canary", rollout) as seen:
        seen.apply("2", rollout)
        for index in range(len(STEPS)):
            assert await split(seen, index) <= RARE
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
    assert set(seen.load.shares(0)) == {"1", "2"}


async def test_16_an_abort_loses_nothing(where: Place, known: Models) -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], "bake": "0s"}
    async with street(where, known, "aborted", rollout) as seen:
        seen.apply("2", rollout)
        await seen.until("it holds", functools.partial(objects.holds_step, 0))
        await seen.say("abort", "aborted")
        await seen.until("it is taken back", is_rolled_back)
        asked = time.monotonic()
        await seen.load.until_answered(len(seen.load.answers) + RATE)
    assert set(seen.load.shares(asked)) == {"1"}


async def test_16_a_return_during_the_bake_loses_nothing_and_starts_no_pod(where: Place, known: Models) -> None:
    # A process that ends by itself is out of the traffic when two probes, 2 s apart, have seen it drain.
    rollout = {"strategy": "Canary", "steps": [{"weight": 50}], "bake": "10m", "drain": "8s"}
    async with street(where, known, "baked", rollout) as seen:
        old = set(seen.pods())
        seen.apply("2", rollout)
        await seen.until("version 2 is promoted", functools.partial(has_promoted, "2"))
        end_a_container(seen, (set(seen.pods()) - old).pop())
        found = await seen.until("it is taken back", is_rolled_back)
        assert old <= set(seen.pods())
        asked = time.monotonic()
        await seen.load.until_answered(len(seen.load.answers) + RATE)
    assert set(seen.load.shares(asked)) == {"1"}
    failed = found.status.last_failed_revision
    assert failed is not None
    assert (failed.version, failed.reason) == ("2", "CandidateUnhealthy")


def end_a_container(seen: Street, uid: str) -> None:
    """The model's process gets SIGTERM from within, as if it decided to end: no request is cut off by it."""
    scope = f"--namespace={seen.where.namespace}"
    code = "import os, signal; os.kill(1, signal.SIGTERM)"
    seen.where.kubectl.run("exec", seen.pods()[uid], scope, "--container=model", "--", "python", "-c", code)


async def test_16_and_40_an_undo_loses_nothing_and_starts_no_pod(where: Place, known: Models) -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50}], "bake": "10m"}
    async with street(where, known, "undone", rollout) as seen:
        old = set(seen.pods())
        seen.apply("2", rollout)
        await seen.until("version 2 is promoted", functools.partial(has_promoted, "2"))
        await seen.say("undo", "undone", "--wait", "--timeout", "1m")
        await seen.until("it is taken back", is_rolled_back)
        assert old <= set(seen.pods())
        asked = time.monotonic()
        await seen.load.until_answered(len(seen.load.answers) + RATE)
    assert set(seen.load.shares(asked)) == {"1"}


async def test_25_evictions_of_every_pod_take_one_at_a_time_and_lose_nothing(where: Place, known: Models) -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], "bake": "0s"}
    async with street(where, known, "evicted", rollout) as seen:
        first, second = seen.pods().values()
        await asyncio.to_thread(evict, seen, first)
        with pytest.raises(ClusterError, match="disruption budget"):
            await asyncio.to_thread(evict, seen, second)
        await seen.until("another is ready", lambda model: set(seen.pods().values()) > {second} and is_whole(model))
        await asyncio.to_thread(evict, seen, second)
        await seen.until(
            "all are new", lambda model: {first, second}.isdisjoint(seen.pods().values()) and is_whole(model)
        )


def evict(seen: Street, pod: str) -> None:
    """As `kubectl drain` asks for it. Raises ClusterError where the budget refuses."""
    scope = {"name": pod, "namespace": seen.where.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": scope}
    path = f"/api/v1/namespaces/{seen.where.namespace}/pods/{pod}/eviction"
    seen.where.kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))


def is_whole(model: Model) -> bool:
    """Whether all pods of stable are ready."""
    return model.is_observed and model.is_true("Ready")


async def test_16_blue_green_loses_nothing_and_switches_at_once(where: Place, known: Models) -> None:
    rollout = {"strategy": "BlueGreen", "blueGreen": {"approval": "Required"}, "bake": "0s"}
    async with street(where, known, "bluegreen", rollout) as seen:
        seen.apply("2", rollout)
        await seen.until("it waits for approval", functools.partial(objects.holds_step, 0))
        assert set(seen.load.shares(0)) == {"1"}
        await seen.say("promote", "bluegreen")
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
    assert set(seen.load.shares(0)) == {"1", "2"}
