"""One pass of the operator from any state of a rollout, also from such as no history leads to: it does no harm."""

import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelway import kinds, names
from modelway.kinds import Manifest
from modelway.plan.record import StepState
from simulation import models
from simulation.clock import stamp
from simulation.store import REPLICA_SET
from simulation.stories import installed, reach, rest, upgrade
from simulation.world import World

ROLLOUTS: dict[str, Manifest] = {
    "canary": models.canary({"weight": 10, "hold": "1h"}, {"weight": 55, "hold": "1h"}),
    "tight": models.canary({"weight": 10, "hold": "1h"}, {"weight": 55, "hold": "1h"}, maxSurge="34%"),
    "rolling": models.rolling(),
    "no-surge": models.canary({"weight": 10, "hold": "1h"}, {"weight": 55, "hold": "1h"}, maxSurge=0),
    "rolling-no-surge": models.rolling(maxSurge=0),
    "whole": models.blue_green({"hold": "1h"}),
    "aside": models.canary({"weight": 10, "hold": "1h"}, {"weight": 55, "hold": "1h"}, candidateMatches=models.BETA),
}
"""The last one leads requests aside, which only a gateway can."""
LAST_STEPS = {"canary": 2, "tight": 2, "no-surge": 2, "whole": 1, "aside": 2}

THIRD, STABLE, CANDIDATE = "v1", "v2", "v3"

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@dataclass(frozen=True)
class Pods:
    """Of one revision: asked for, ready, and there but not ready."""

    asked: int
    ready: int
    unready: int


@dataclass(frozen=True)
class Moment:
    """A state of a rollout, drawn and not played."""

    rollout: str
    gateway: bool
    pods: int
    stable: Pods
    candidate: Pods
    third: Pods
    """Of the version before stable, which is kept warm or drains."""
    weight: int
    is_programmed: bool
    is_wide: bool
    step: int
    state: StepState
    is_waited: bool
    is_kept: bool
    """Whether the third one's time to go is still to come."""


PODS = st.builds(Pods, asked=st.integers(0, 5), ready=st.integers(0, 5), unready=st.integers(0, 2))
MOMENTS = st.builds(
    Moment,
    rollout=st.sampled_from(list(ROLLOUTS)),
    gateway=st.booleans(),
    pods=st.integers(0, 5),
    stable=PODS,
    candidate=PODS,
    third=st.builds(Pods, asked=st.integers(0, 3), ready=st.integers(0, 3), unready=st.just(0)),
    weight=st.integers(0, 100),
    is_programmed=st.booleans(),
    is_wide=st.booleans(),
    step=st.integers(0, 2),
    state=st.sampled_from(list(StepState)),
    is_waited=st.booleans(),
    is_kept=st.booleans(),
)


@cache
def template(rollout: str, gateway: bool) -> World:
    """A cluster in the midst of that rollout; examples copy its objects."""
    plan = ROLLOUTS[rollout] if gateway else {**ROLLOUTS[rollout], "coarseWeights": "Allow", "candidateMatches": []}
    world = installed(plan, gateway=gateway, replicas=2)
    upgrade(world, STABLE)
    world.run_until(lambda: world.rollout()["id"] == 2)
    world.command("promote-full")
    world.run_to_phase("Healthy")
    world.run_for(60)
    upgrade(world, CANDIDATE)
    if ROLLOUTS[rollout]["strategy"] == "Rolling":
        world.run_until(lambda: bool(world.pods(CANDIDATE, ready=True)))
    else:
        reach(world, 0, "Holding", rollout=3)
    return world


def staged(moment: Moment) -> World:
    """The template with the drawn pods, weights and place of the rollout."""
    source = template(moment.rollout, moment.gateway)
    world = World(has_gateway=moment.gateway)
    world.clock.advance_to(source.clock())
    world.store.load(source.store)
    world.server.owners = copy.deepcopy(source.server.owners)
    world.oracle.load(source.oracle)
    _set_pods(world, world.revision_of(THIRD), moment.third)
    _set_pods(world, world.revision_of(STABLE), moment.stable)
    _set_pods(world, world.revision_of(CANDIDATE), moment.candidate)
    _set_traffic(world, moment)
    _set_place(world, moment)
    world.crash()
    return world


def _set_pods(world: World, name: str, pods: Pods) -> None:
    pattern = next(pod for pod in world.store.all(kinds.POD) if pod["status"]["phase"] == "Running")
    labels = {**pattern["metadata"]["labels"], names.REVISION_LABEL: name.rsplit("-", 1)[1]}
    (replica_set,) = (item for item in world.store.all(REPLICA_SET) if item["metadata"]["name"].startswith(name))
    owner = pattern["metadata"]["ownerReferences"][0] | {key: replica_set["metadata"][key] for key in ("name", "uid")}
    for pod in world.store.all(kinds.POD):
        if pod["metadata"]["name"].startswith(name):
            world.store.remove(kinds.POD, pod)
    live = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, name)
    assert live is not None
    for number in range(pods.ready + pods.unready):
        status = copy.deepcopy(pattern["status"])
        for item in (*status["conditions"], *status["containerStatuses"]):
            if item.get("type") in ("Ready", "ContainersReady"):
                item["status"] = "True" if number < pods.ready else "False"
            elif "ready" in item:
                item["ready"] = number < pods.ready
        metadata = {**pattern["metadata"], "name": f"{name}-drawn-{number}", "labels": labels}
        metadata["ownerReferences"] = [owner]
        spec = live["spec"]["template"]["spec"]
        world.store.insert(kinds.POD, {**pattern, "metadata": metadata, "spec": spec, "status": status})
    status = {**live["status"], "readyReplicas": pods.ready}
    world.store.replace(
        kinds.DEPLOYMENT, live, {**live, "spec": {**live["spec"], "replicas": pods.asked}, "status": status}
    )


def _set_traffic(world: World, moment: Moment) -> None:
    shares = {world.revision_of(STABLE): 100 - moment.weight, world.revision_of(CANDIDATE): moment.weight}
    service = world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud")
    assert service is not None
    labels = {"serving.modelway.io/model": "fraud"}
    narrow = labels | {"serving.modelway.io/revision": world.revision_of(STABLE).rsplit("-", 1)[1]}
    selector = labels if moment.is_wide else narrow
    world.store.replace(kinds.SERVICE, service, {**service, "spec": {**service["spec"], "selector": selector}})
    route = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    if route is None:
        return
    after = copy.deepcopy(route)
    backend = after["spec"]["rules"][0]["backendRefs"][0]
    for item in after["spec"]["rules"]:
        item["backendRefs"] = [{**backend, "name": name, "weight": w} for name, w in shares.items() if w]
    stored = world.store.replace(kinds.HTTP_ROUTE, route, after)
    world.gateway.history[f"{models.NAMESPACE}/fraud"] = [(world.clock.start, shares)]
    reached = frozenset(name for name, weight in shares.items() if weight)
    world.gateway.reached[f"{models.NAMESPACE}/fraud"] = [(world.clock.start, reached)]
    if moment.is_programmed:
        status = copy.deepcopy(route["status"])
        for item in status["parents"][0]["conditions"]:
            item["observedGeneration"] = stored["metadata"]["generation"]
        world.store.replace(kinds.HTTP_ROUTE, stored, {**stored, "status": status})


def _set_place(world: World, moment: Moment) -> None:
    live = world.model()
    status: dict[str, Any] = copy.deepcopy(live["status"])
    since = stamp(world.clock.start if moment.is_waited else world.clock())
    last = LAST_STEPS.get(moment.rollout, 0)
    rollout = status["rollout"] | {"stepIndex": min(moment.step, last), "stepState": str(moment.state)}
    rollout |= {"settledAt": since, "holdStartedAt": since}
    if moment.state is StepState.ROLLING_BACK:
        rollout |= {"outcome": "Aborted", "reason": "UserAbort", "message": "Aborted by command"}
    shown = next(item for item in status["revisions"] if item["name"] == world.revision_of(THIRD))
    shown["retainUntil"] = stamp(world.clock() + timedelta(seconds=60 if moment.is_kept else -60))
    spec = {**live["spec"], "replicas": moment.pods}
    stored = world.store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "spec": spec})
    world.store.replace(kinds.MODEL_DEPLOYMENT, stored, {**stored, "status": {**status, "rollout": rollout}})


def harm(moment: Moment, *numbers: str) -> list[str]:
    """What three passes in a row do against these invariants, while nothing else moves."""
    world = staged(moment)
    for _ in range(3):
        world.process.add({(models.NAMESPACE, "fraud")})
        world.process.reconcile(None)
    return [text for text in world.oracle.violations if text.split()[0] in numbers]


@EXAMPLES
@given(MOMENTS)
def test_01_no_weight_on_emptiness(moment: Moment) -> None:
    assert harm(moment, "1", "Service") == []


@EXAMPLES
@given(MOMENTS)
def test_02_weights_are_valid(moment: Moment) -> None:
    assert harm(moment, "2") == []


@EXAMPLES
@given(MOMENTS)
def test_03_never_above_the_step(moment: Moment) -> None:
    assert harm(moment, "3") == []


@EXAMPLES
@given(MOMENTS)
def test_04_raise_only_with_capacity(moment: Moment) -> None:
    assert harm(moment, "4") == []


@EXAMPLES
@given(MOMENTS)
def test_05_traffic_leaves_before_capacity(moment: Moment) -> None:
    assert harm(moment, "5") == []


@EXAMPLES
@given(MOMENTS)
def test_07_the_service_changes_by_union_then_subset(moment: Moment) -> None:
    assert harm(moment, "7", "7b") == []


@EXAMPLES
@given(MOMENTS)
def test_13_special_rules_lead_to_a_ready_candidate(moment: Moment) -> None:
    assert harm(moment, "13") == []


@EXAMPLES
@given(MOMENTS)
def test_17_stable_floor(moment: Moment) -> None:
    assert harm(moment, "17") == []


@EXAMPLES
@given(MOMENTS)
def test_18_budget(moment: Moment) -> None:
    assert harm(moment, "18") == []


@EXAMPLES
@given(MOMENTS)
def test_27_what_is_made_was_intended_and_has_the_name_that_it_must_have(moment: Moment) -> None:
    assert harm(moment, "27") == []


@EXAMPLES
@given(MOMENTS)
def test_29_steps_never_fall(moment: Moment) -> None:
    assert harm(moment, "29") == []


@EXAMPLES
@given(MOMENTS)
def test_36_from_any_state_a_rollout_comes_to_its_end_and_to_rest(moment: Moment) -> None:
    assume(moment.pods)
    # A third revision never has pods where the Service selects them all (7).
    assume(not (moment.is_wide and moment.third.asked))
    world = staged(moment)
    world.server.observers.remove(world.oracle.check)
    world.run_for(6 * 3600)
    assert world.status()["phase"] in ("Healthy", "RolledBack"), world.picture()
    ends = {"Healthy": CANDIDATE, "RolledBack": STABLE}
    assert {world.version_of(owner_of(pod)) for pod in world.pods()} == {ends[world.status()["phase"]]}
    assert rest(world) == 0


def owner_of(pod: Manifest) -> str:
    """Name of its revision."""
    return names.revision("fraud", pod["metadata"]["labels"][names.REVISION_LABEL])


@EXAMPLES
@given(MOMENTS)
def test_64_and_65_status_is_truthful_and_writes_are_ours(moment: Moment) -> None:
    assert harm(moment, "45", "62", "64", "65") == []
