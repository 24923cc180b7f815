"""Moments of a rollout as the planner sees them, drawn and not played: also such as no history leads to."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from modelway import names
from modelway.api import ModelDeploymentSpec
from modelway.kinds import Manifest
from modelway.plan.observed import Features, Observed, Owner, Pod, Revision, Route, Workload
from modelway.plan.record import Record, Rollout, Source, StepState, Strategy
from modelway.plan.scene import Scene
from modelway.resources.metadata import Parent

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
ROLES = ("other", "stable", "candidate")
STORED = {"name": "fraud", "namespace": "payments", "uid": "uid-2", "resourceVersion": "1"}
"""Metadata of the model's own Service and route."""


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Of one revision: asked for, ready, ending, and without a node."""

    asked: int = 0
    ready: int = 0
    ending: int = 0
    homeless: int = 0
    holds_devices: bool = False
    has_service: bool = True


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
            "data": {
                "source": {"model": {"digest": "pinned"}},
                "rendered": {
                    "deployment": {"template": template},
                    "service": {"ports": [{"name": "http", "port": 80}]},
                },
            }
        },
        service={} if pods.has_service else None,
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
    """A moment of a rollout behind a gateway, of a canary of `steps`, then 100 percent; `weight` is the candidate's."""

    strategy: Strategy = Strategy.CANARY
    steps: tuple[int, ...] = (50,)
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

    def _rollout(self) -> Manifest:
        if self.strategy is Strategy.BLUE_GREEN:
            return {"strategy": "BlueGreen", "progressDeadline": "3h"}
        weights = [{"weight": weight} for weight in self.steps]
        steps = {"steps": weights} if self.strategy is Strategy.CANARY else {}
        return {"strategy": str(self.strategy), "progressDeadline": "3h", "maxSurge": self.surge} | steps

    def scene(self) -> Scene:
        """What the planner looks at."""
        shares = {"fraud-1": 100 - self.weight, "fraud-2": self.weight}
        route = Route(
            manifest={"metadata": STORED, "spec": {}},
            weights={name: share for name, share in shares.items() if share},
            is_programmed=self.is_programmed,
        )
        body: Manifest = {
            "model": {"uri": "s3://models/fraud", "format": "onnx"},
            "replicas": self.wanted,
            "rollout": self._rollout(),
            "traffic": {"parentRefs": [{"name": "public"}]},
        }
        until = NOW + timedelta(seconds=60 if self.is_kept else -60)
        back = {"outcome": "Aborted"} if self.state is StepState.ROLLING_BACK else {}
        record = Record(
            stable="fraud-1",
            rollout=rollout(self.state, self.step, strategy=self.strategy, is_paused_by_command=self.is_paused, **back),
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
            service={"metadata": STORED, "spec": {"selector": {names.MODEL_LABEL: "fraud", names.REVISION_LABEL: "1"}}},
            route=route,
            planned=spec.rollout,
        )
        parent = Parent(namespace="payments", name="fraud", uid="uid-1")
        return Scene(observed=observed, spec=spec, parent=parent, record=record)


PODS = st.builds(
    Pods,
    asked=st.integers(0, 6),
    ready=st.just(0) | st.integers(0, 6),
    ending=st.integers(0, 2),
    homeless=st.integers(0, 2),
    holds_devices=st.booleans(),
    has_service=st.booleans(),
)
SCENES = st.builds(
    Row,
    strategy=st.sampled_from([Strategy.CANARY, Strategy.ROLLING, Strategy.BLUE_GREEN]),
    steps=st.sampled_from([(50,), (10, 50)]),
    wanted=st.integers(0, 6),
    surge=st.integers(0, 6) | st.sampled_from(["0%", "25%", "50%", "100%"]),
    other=PODS,
    stable=PODS,
    candidate=PODS,
    weight=st.integers(0, 100),
    step=st.integers(0, 2),
    state=st.sampled_from(list(StepState)),
    is_kept=st.booleans(),
    is_programmed=st.booleans(),
    is_paused=st.booleans(),
)
