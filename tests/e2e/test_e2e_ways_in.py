"""The ways in beside the weights, on a real gateway: headers, sessions, and copies for the comparator."""

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cluster import tools, waiting
from cluster.versions import GATEWAY_API
from demo import objects, place
from demo.load import Load
from demo.models import Models
from demo.place import Place
from demo.street import Street, is_rolled_back, street
from modelway import names
from modelway.cli.objects import Model

SLOW = {"drain": "20s", "bake": "0s"}
"""The drain is long enough to see what happens within it."""
HALF = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], **SLOW}
CLIENTS = 12
GUARD = "safe-upgrades.gateway.networking.k8s.io"
"""Keeps the experimental channel from taking the place of the standard one by mistake."""
ROUTES = "gateway.networking.k8s.io_httproutes.yaml"


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("ways-in")


@asynccontextmanager
async def callers(*loads: Load) -> AsyncIterator[tuple[Load, ...]]:
    """More callers of the same model; none of their requests may fail."""
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        for load in loads:
            group.create_task(_ask(load, stop))
        yield loads
        stop.set()
    assert [lost.what for load in loads for lost in load.lost] == []


async def _ask(load: Load, stop: asyncio.Event) -> None:
    async with load.running():
        await stop.wait()


async def answered(loads: tuple[Load, ...], count: int) -> None:
    """Wait for so many more answers to each."""
    await asyncio.gather(*(load.until_answered(len(load.answers) + count) for load in loads))


async def test_13_and_14_who_matches_gets_the_candidate_until_it_is_aborted(where: Place, known: Models) -> None:
    matches = [{"headers": [{"name": "x-cohort", "value": "beta"}]}]
    rollout = HALF | {"steps": [{"weight": 10, "approval": "Required"}], "candidateMatches": matches}
    beta = replace(where.target("matched"), headers={"x-cohort": "beta"})
    other = replace(beta, headers={"x-cohort": "alpha"})
    async with (
        street(where, known, "matched", rollout, per_second=100) as seen,
        callers(*(Load(target, known, per_second=50) for target in (beta, other))) as loads,
    ):
        seen.apply("2", rollout)
        await seen.until("it holds", functools.partial(objects.holds_step, 0))
        began = time.monotonic()
        await answered(loads, 100)
        assert set(loads[0].shares(began)) == {"2"}
        assert set(loads[1].shares(began)) == {"1", "2"}
        await seen.say("abort", "matched")
        await seen.until("the route is in force", is_off_the_candidate)
        aborted = time.monotonic()
        await answered(loads, 100)
        assert set(loads[0].shares(aborted)) == set(loads[1].shares(aborted)) == {"1"}
        await seen.until("it is taken back", is_rolled_back)


def is_off_the_candidate(model: Model) -> bool:
    """Whether the gateway has confirmed a route with stable alone."""
    (share, *others) = model.status.traffic
    return not others and share.programmed_weight == 100 and model.is_true("TrafficProgrammed")


@pytest.fixture(scope="module")
def sessions(where: Place) -> Iterator[None]:
    """The experimental channel's HTTPRoute, whose rules can have sessions; the operator looks at it when it starts."""
    if os.environ.get("CONTEXT"):
        pytest.skip("it exchanges a definition of the Gateway API, which only the test cluster is for")
    guard = where.kubectl.get(f"validatingadmissionpolicybinding/{GUARD}")
    where.kubectl.run("delete", "validatingadmissionpolicybinding", GUARD)
    exchange(where, "experimental")
    yield
    exchange(where, "standard")
    kept = {name: value for name, value in guard["metadata"].items() if name in ("name", "annotations", "labels")}
    where.kubectl.create([guard | {"metadata": kept}])


def exchange(where: Place, channel: str) -> None:
    """Another channel's HTTPRoute; the guard needs some seconds to go."""
    folder = tools.module_folder("sigs.k8s.io/gateway-api", GATEWAY_API) / "config" / "crd" / channel
    words = ("apply", "--server-side", "--force-conflicts", f"--filename={folder / ROUTES}")
    waiting.until(lambda: where.kubectl.answers(*words), (), "the API server takes the definition")
    scope = f"--namespace={place.SYSTEM}"
    where.kubectl.run("rollout", "restart", f"deployment/{place.RELEASE}", scope)
    where.kubectl.run("rollout", "status", f"deployment/{place.RELEASE}", scope, "--timeout=2m")


@pytest.mark.usefixtures("sessions")
async def test_14_a_session_stays_with_its_version_and_an_abort_ends_it(where: Place, known: Models) -> None:
    cookie = {"sessionPersistence": {"type": "Cookie", "sessionName": "modelway"}}
    visitor = replace(where.target("visited"), keeps_cookies=True)
    async with street(where, known, "visited", HALF, per_second=100, traffic=cookie) as seen:
        seen.apply("2", HALF, traffic=cookie)
        await seen.until("it holds", functools.partial(objects.holds_step, 0))
        visitors = tuple(Load(visitor, known, per_second=10) for _ in range(CLIENTS))
        async with callers(*visitors):
            await answered(visitors, 10)
            began = time.monotonic()
            await answered(visitors, 20)
            stayed = [set(load.shares(began)) for load in visitors]
            assert all(len(versions) == 1 for versions in stayed), stayed
            assert set().union(*stayed) == {"1", "2"}
            await seen.say("abort", "visited")
            await seen.until("the route is in force", is_off_the_candidate)
            aborted = time.monotonic()
            await answered(visitors, 20)
            assert set().union(*(set(load.shares(aborted)) for load in visitors)) == {"1"}
        await seen.until("it is taken back", is_rolled_back)


async def test_57_a_caller_who_passes_for_a_comparator_is_evidence_like_any_other(where: Place, known: Models) -> None:
    metrics = [{"name": "errors", "builtin": "ErrorRate", "max": 0.05}]
    analysis = {"interval": "5s", "minSamples": 20, "metrics": metrics}
    rollout = HALF | {"steps": [{"weight": 50}], "analysis": analysis, "drain": "3s"}
    marked = {names.SHADOW_HEADER: "1"}
    async with street(where, known, "marked", rollout, per_second=50, headers=marked) as seen:
        seen.apply("2", rollout)
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))


async def test_12_a_comparator_that_dies_costs_its_callers_nothing(where: Place, known: Models) -> None:
    rollout = HALF | {"shadow": {"percent": 100, "maxRequestsPerSecond": 50}}
    async with street(where, known, "mirrored", rollout, per_second=100) as seen:
        seen.apply("2", rollout)
        await seen.until("it holds, and copies are made", lambda model: holds_with_copies(seen, model))
        for _ in range(3):
            (comparator,) = await asyncio.to_thread(comparators, seen)
            scope = f"--namespace={where.namespace}"
            await asyncio.to_thread(
                where.kubectl.run, "delete", "pod", comparator, scope, "--grace-period=0", "--force"
            )
            await seen.load.until_answered(len(seen.load.answers) + 300)
            await seen.until("copies are made again", lambda model: holds_with_copies(seen, model))
        await seen.say("promote", "mirrored")
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
        assert comparators(seen) == []


def holds_with_copies(seen: Street, model: Model) -> bool:
    """Whether the step holds, and the gateway is told to send copies to a comparator that is there."""
    if not objects.holds_step(0, model) or len(comparators(seen)) != 1:
        return False
    route = seen.where.kubectl.get(f"httproute/{seen.name}", f"--namespace={seen.where.namespace}")
    filters = [item["type"] for rule in route["spec"]["rules"] for item in rule.get("filters", ())]
    return "RequestMirror" in filters


def end_at_once(where: Place, pod: str) -> None:
    """Without a grace."""
    where.kubectl.run("delete", "pod", pod, f"--namespace={where.namespace}", "--grace-period=0", "--force")


def comparators(seen: Street) -> list[str]:
    """Names of the comparator's pods that are not ending."""
    pods = seen.where.kubectl.get(
        "pods", f"--namespace={seen.where.namespace}", f"--selector={names.COMPARATOR_LABEL}"
    )["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
