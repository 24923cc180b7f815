"""How many pods each revision has: the claims on the budget, row by row, and that no scene exceeds or undercuts it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelway import names
from modelway.api import ModelDeploymentSpec
from modelway.kinds import Manifest
from modelway.plan import capacity, counts
from modelway.plan.observed import Features, Observed, Owner, Pod, Revision, Route, Workload
from modelway.plan.record import Record, Rollout, Source, StepState, Strategy
from modelway.plan.scene import Scene
from modelway.resources.metadata import Parent

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
ROLES = ("other", "stable", "candidate")


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Of one revision: asked for, ready, ending, and without a node."""

    asked: int = 0
    ready: int = 0
    ending: int = 0
    homeless: int = 0
    holds_devices: bool = False


NONE = Pods()


def has(asked: int, ready: int | None = None, **more: Any) -> Pods:
    """Pods that are all ready, or some of them."""
    return Pods(asked=asked, ready=asked if ready is None else ready, **more)


def pod(revision: str, number: int, **state: Any) -> Pod:
    """One pod."""
    known: dict[str, Any] = {"is_ready": False, "is_terminating": False, "is_started": True, "unschedulable": ""}
    return Pod(name=f"{revision}-{number}", revision=revision, containers=(), **known | state)


def revision(number: int, pods: Pods) -> Revision:
    """`fraud-0` is the other one, `fraud-1` stable, `fraud-2` the candidate."""
    name = f"fraud-{number}"
    resources = {"limits": {"nvidia.com/gpu": "1"}} if pods.holds_devices else {}
    template = {"spec": {"containers": [{"name": "model", "resources": resources}]}}
    ready = (pod(name, index, is_ready=True) for index in range(pods.ready))
    ending = (
        pod(name, 10 + index, is_terminating=True, ends_at=NOW + timedelta(seconds=30)) for index in range(pods.ending)
    )
    homeless = (pod(name, 20 + index, unschedulable="no room") for index in range(pods.homeless))
    return Revision(
        name=name,
        hash=str(number),
        number=number,
        manifest={
            "data": {"source": {"model": {"digest": "pinned"}}, "rendered": {"deployment": {"template": template}}}
        },
        outcome="",
        reason="",
        role="",
        workload=Workload(manifest={}, replicas=pods.asked, resource_version="1", pods_refused=""),
        pods=(*ready, *ending, *homeless),
    )


def rollout(state: StepState, step: int, **changes: Any) -> Rollout:
    """The rollout from `fraud-1` to `fraud-2`."""
    known = Rollout(
        id=2,
        revision="fraud-2",
        origin="fraud-1",
        strategy=Strategy.CANARY,
        source=Source.SPEC,
        started_at=NOW,
        state=state,
        step=step,
        step_started_at=NOW,
        progress_at=NOW,
    )
    return replace(known, **changes)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A moment of a canary of 50, then 100 percent behind a gateway; `weight` is the candidate's."""

    wanted: int = 4
    surge: int | str = "100%"
    other: Pods = NONE
    stable: Pods = NONE
    candidate: Pods = NONE
    weight: int = 0
    step: int = 0
    state: StepState = StepState.SCALING
    is_kept: bool = True
    """Whether the other one drains or is kept warm, rather than being over."""
    is_programmed: bool = True
    is_paused: bool = False

    def scene(self) -> Scene:
        """What the planner looks at."""
        shares = {"fraud-1": 100 - self.weight, "fraud-2": self.weight}
        route = Route(
            manifest={},
            weights={name: share for name, share in shares.items() if share},
            is_programmed=self.is_programmed,
        )
        body: Manifest = {
            "model": {"uri": "s3://models/fraud", "format": "onnx"},
            "replicas": self.wanted,
            "rollout": {"strategy": "Canary", "maxSurge": self.surge, "steps": [{"weight": 50}]},
            "traffic": {"parentRefs": [{"name": "public"}]},
        }
        until = NOW + timedelta(seconds=60 if self.is_kept else -60)
        back = {"outcome": "Aborted"} if self.state is StepState.ROLLING_BACK else {}
        record = Record(
            stable="fraud-1",
            rollout=rollout(self.state, self.step, is_paused_by_command=self.is_paused, **back),
            retire_at={"fraud-0": until},
        )
        spec = ModelDeploymentSpec.model_validate(body)
        observed = Observed(
            rounded_up=NOW,
            now=NOW,
            epoch=1,
            owner=Owner(
                namespace="payments",
                name="fraud",
                uid="uid-1",
                generation=1,
                resource_version="1",
                annotations={},
                is_deleting=False,
            ),
            spec=spec,
            invalid="",
            record=record,
            status={},
            features=Features(gateway=True, runtime_image=""),
            revisions=tuple(revision(number, getattr(self, role)) for number, role in enumerate(ROLES)),
            service={"spec": {"selector": {names.MODEL_LABEL: "fraud", names.REVISION_LABEL: "1"}}},
            route=route,
            planned=spec.rollout,
        )
        parent = Parent(namespace="payments", name="fraud", uid="uid-1")
        return Scene(observed=observed, spec=spec, parent=parent, record=record)

    def counts(self) -> tuple[int, int, int]:
        """Pods of the other one, of stable and of the candidate."""
        scene = self.scene()
        other, stable, candidate = (counts.of(scene)[item.name] for item in scene.observed.revisions)
        return other, stable, candidate


SPARE = {"surge": "100%", "stable": has(4)}
TIGHT: dict[str, Any] = {"surge": 1}
SCARCE: dict[str, Any] = {"surge": 0}
BACK = StepState.ROLLING_BACK
GPU = {"holds_devices": True}

ROWS: dict[str, tuple[Row, tuple[int, int, int]]] = {
    "a step gets its pods beside stable": (Row(**SPARE), (0, 4, 2)),
    "the last step gets all": (Row(**SPARE, candidate=has(2), weight=50, step=1), (0, 4, 4)),
    "suspended": (Row(**SPARE | {"wanted": 0}, candidate=has(2)), (0, 0, 0)),
    "stable comes first": (Row(stable=has(1)), (0, 4, 2)),
    "with little surge the first pod is all there is room for": (Row(**TIGHT, stable=has(4)), (0, 4, 1)),
    "stable keeps what its weight needs": (
        Row(**TIGHT, stable=has(4), candidate=has(1), weight=25, state=StepState.ROUTING),
        (0, 3, 1),
    ),
    "and the candidate gets what stable gave": (Row(**TIGHT, stable=has(3), candidate=has(1), weight=25), (0, 3, 2)),
    "until the weight is in force stable keeps all": (
        Row(**TIGHT, stable=has(4), candidate=has(1), weight=25, is_programmed=False),
        (0, 4, 1),
    ),
    "a superseded one drains before the next starts": (Row(**TIGHT, stable=has(4), other=has(1)), (1, 4, 0)),
    "and makes room when its time is over": (
        Row(**TIGHT, stable=has(4), other=has(1), is_kept=False),
        (0, 4, 0),
    ),
    "what stable lacks waits for the drain too": (
        Row(**TIGHT, wanted=2, stable=has(1), other=has(2), candidate=has(0)),
        (2, 1, 0),
    ),
    "a pause stops pods that are on the move": (
        Row(**TIGHT, stable=has(3), candidate=has(1), weight=25, is_paused=True),
        (0, 3, 1),
    ),
    "on its way back stable rises first": (
        Row(**TIGHT, stable=has(2), candidate=has(2), weight=50, state=BACK),
        (0, 3, 2),
    ),
    "and the candidate falls with its weight": (
        Row(**TIGHT, stable=has(3), candidate=has(2), weight=25, state=BACK),
        (0, 3, 1),
    ),
    "with all the surge it stays while it goes back": (
        Row(**SPARE, candidate=has(4), weight=50, state=BACK),
        (0, 4, 4),
    ),
    "more pods wanted": (Row(**SPARE | {"wanted": 8}, candidate=has(2), weight=50), (0, 8, 4)),
    "fewer pods wanted": (Row(**SPARE | {"wanted": 2}, candidate=has(2), weight=50), (0, 2, 1)),
    "a stable one without ready pods leaves room for what replaces it": (
        Row(**TIGHT, stable=has(4, 0), candidate=has(1), weight=100),
        (0, 3, 1),
    ),
    "without surge stable gives a pod first": (Row(**SCARCE, stable=has(4)), (0, 3, 0)),
    "then the candidate starts": (Row(**SCARCE, stable=has(3)), (0, 3, 1)),
    "then stable gives the next": (Row(**SCARCE, stable=has(3), candidate=has(1), weight=33), (0, 3, 1)),
    "without surge the last stable pod stays until its traffic is gone": (
        Row(**SCARCE, wanted=2, stable=has(1), candidate=has(1), weight=50, step=1),
        (0, 1, 1),
    ),
    "the only pod makes room": (Row(**SCARCE, wanted=1, stable=has(1)), (0, 0, 0)),
    "and is replaced": (Row(**SCARCE, wanted=1), (0, 0, 1)),
    "without surge and on the way back": (Row(**SCARCE, stable=has(3), candidate=has(1), state=BACK), (0, 3, 0)),
    "pods that end hold their devices": (Row(**SCARCE, stable=has(3, ending=1, **GPU)), (0, 3, 0)),
    "pods that end hold nothing else": (Row(**SCARCE, stable=has(3, ending=1)), (0, 3, 1)),
    "those of a third one hold theirs too": (
        Row(**TIGHT, stable=has(4), other=Pods(ending=1, **GPU), candidate=Pods(**GPU)),
        (0, 4, 0),
    ),
    "pods that are still to be ended hold their devices": (
        Row(**SCARCE, stable=Pods(asked=3, ready=4, **GPU)),
        (0, 3, 0),
    ),
    "without surge pods that no node takes are asked for no longer": (
        Row(**SCARCE, stable=has(4), candidate=Pods(asked=2, homeless=2)),
        (0, 3, 1),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_18_the_budget_goes_to_the_most_urgent_claims(name: str) -> None:
    row, expected = ROWS[name]
    assert row.counts() == expected


PODS = st.builds(
    Pods,
    asked=st.integers(0, 6),
    ready=st.integers(0, 6),
    ending=st.integers(0, 2),
    homeless=st.integers(0, 2),
    holds_devices=st.booleans(),
)
SCENES = st.builds(
    Row,
    wanted=st.integers(0, 6),
    surge=st.integers(0, 6) | st.sampled_from(["0%", "25%", "50%", "100%"]),
    other=PODS,
    stable=PODS,
    candidate=PODS,
    weight=st.integers(0, 100),
    step=st.integers(0, 1),
    state=st.sampled_from(list(StepState)),
    is_kept=st.booleans(),
    is_programmed=st.booleans(),
    is_paused=st.booleans(),
)


@given(SCENES)
def test_18_no_pod_is_started_that_the_budget_has_no_room_for(row: Row) -> None:
    scene, found = row.scene(), row.counts()
    revisions = scene.observed.revisions
    started = sum(max(0, count - item.asked) for count, item in zip(found, revisions, strict=True))
    there = sum(item.asked + item.lingering(NOW) for item in revisions)
    assert started == 0 or there + started <= scene.total + scene.surge


@given(SCENES)
def test_17_no_revision_loses_a_pod_that_its_weight_needs(row: Row) -> None:
    scene = row.scene()
    assume(scene.carrying)
    for item, count in zip(scene.observed.revisions, row.counts(), strict=True):
        share = (scene.observed.route.weights if scene.observed.route else {}).get(item.name, 0)
        assert count >= min(item.replicas, capacity.need(share, scene.carrying))


@given(SCENES)
def test_19_counts_are_never_negative_and_a_step_always_has_a_pod_to_ask_for(row: Row) -> None:
    assert min(row.counts()) >= 0
    alone = replace(row, other=NONE, stable=NONE, candidate=NONE, weight=0, state=StepState.SCALING, is_paused=False)
    assert row.wanted == 0 or alone.counts()[2] >= 1
