"""One pod as the kubelet runs it: stages, container statuses, back-off. Talks to nobody."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from modelway.kinds import Manifest
from simulation.clock import parse, stamp
from simulation.scripts import Script

MAX_BACK_OFF = 300
RECHECK = timedelta(seconds=10)


class Stage(StrEnum):
    """Where a pod is in its life."""

    SCHEDULING = "Scheduling"
    STARTING = "Starting"
    FETCHING = "Fetching"
    FETCH_BACK_OFF = "FetchBackOff"
    LOADING = "Loading"
    LOAD_BACK_OFF = "LoadBackOff"
    GATE_BACK_OFF = "GateBackOff"
    READY = "Ready"
    UNREADY = "Unready"
    ENDING = "Ending"


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended."""

    reason: str
    exit_code: int
    message: str
    started: datetime
    finished: datetime

    def state(self) -> Manifest:
        """As `state.terminated` or `lastState.terminated`."""
        return {
            "exitCode": self.exit_code,
            "reason": self.reason,
            "message": self.message,
            "startedAt": stamp(self.started),
            "finishedAt": stamp(self.finished),
        }


@dataclass(slots=True)
class Container:
    """What the kubelet remembers of one container."""

    name: str
    restarts: int = 0
    started: datetime | None = None
    ended: End | None = None
    waiting: str = "PodInitializing"
    waiting_message: str = ""
    is_ready: bool = False
    is_up: bool = False
    """Whether its startup probe passed in this run."""
    image: str = "sha256:0123"

    def start(self, now: datetime) -> None:
        """Begin to run, for the first time or again."""
        if self.ended:
            self.restarts += 1
        self.started, self.waiting, self.waiting_message = now, "", ""

    def end(self, end: End) -> None:
        """Stop running."""
        self.started, self.ended, self.is_ready, self.is_up = None, end, False, False

    def status(self, *, is_init: bool) -> Manifest:
        """The entry in `containerStatuses`."""
        completed = self.ended and self.ended.exit_code == 0 and not self.started
        state: dict[str, Any]
        if self.started:
            state = {"running": {"startedAt": stamp(self.started)}}
        elif completed and self.ended:
            state = {"terminated": self.ended.state()}
        else:
            state = {"waiting": {"reason": self.waiting}}
            if self.waiting_message:
                state["waiting"]["message"] = self.waiting_message
        last = {"terminated": self.ended.state()} if self.ended and not completed else {}
        return {
            "name": self.name,
            "image": "localhost/modelway-runtime:0.1.0",
            "imageID": f"localhost/modelway-runtime@{self.image}" if self.started or self.ended else "",
            "ready": bool(completed) if is_init else self.is_ready,
            "started": self.is_up,
            "restartCount": self.restarts,
            "state": state,
            "lastState": last,
        }


@dataclass(slots=True)
class Run:
    """One pod: its containers, its stage and when it goes on."""

    due: datetime
    stage: Stage = Stage.SCHEDULING
    fetch: Container = field(default_factory=lambda: Container("fetch"))
    model: Container = field(default_factory=lambda: Container("model"))
    gate: Container | None = None
    """The sidecar that holds readiness, beside a server that is not ours."""
    unschedulable: str = ""
    has_node: bool = False
    """Whether it was given to a node; it has its room there until it is gone."""

    def back_off(self, container: Container, stage: Stage, end: End) -> None:
        """A container failed: it waits 10, 20, 40 … 300 s and runs again."""
        container.end(end)
        container.waiting = "CrashLoopBackOff"
        seconds = min(MAX_BACK_OFF, 10 * 2**container.restarts)
        container.waiting_message = f"back-off {seconds}s restarting failed container={container.name}"
        self.stage, self.due = stage, end.finished + timedelta(seconds=seconds)

    def wait(self, container: Container, reason: str, message: str, now: datetime) -> None:
        """A container cannot be started; the kubelet tries again."""
        container.waiting, container.waiting_message = reason, message
        self.due = now + RECHECK

    def status(self, before: Manifest, now: datetime) -> Manifest:
        """The pod's status."""
        initialized = bool(self.fetch.ended and self.fetch.ended.exit_code == 0)
        scheduled = self.stage is not Stage.SCHEDULING
        wanted = {
            "PodScheduled": (scheduled, "Unschedulable" if self.unschedulable else "", self.unschedulable),
            "Initialized": (initialized, "" if initialized else "ContainersNotInitialized", ""),
            "ContainersReady": (self.model.is_ready, "" if self.model.is_ready else "ContainersNotReady", ""),
            "Ready": (self.model.is_ready, "" if self.model.is_ready else "ContainersNotReady", ""),
        }
        if not scheduled and not self.unschedulable:
            return {"phase": "Pending"}
        shown = wanted if scheduled else {"PodScheduled": wanted["PodScheduled"]}
        status: Manifest = {
            "phase": "Running" if initialized else "Pending",
            "conditions": [_condition(before, kind, *found, now) for kind, found in shown.items()],
        }
        if scheduled:
            status["podIP"] = before.get("podIP") or "10.0.0.1"
            gates = [self.gate.status(is_init=False)] if self.gate else []
            status["initContainerStatuses"] = [self.fetch.status(is_init=True), *gates]
            status["containerStatuses"] = [self.model.status(is_init=False)]
        return status


def _condition(before: Manifest, kind: str, holds: bool, reason: str, message: str, now: datetime) -> Manifest:
    status = "True" if holds else "False"
    old = next((item for item in before.get("conditions") or () if item["type"] == kind), None)
    since = old["lastTransitionTime"] if old and old["status"] == status else stamp(now)
    condition = {"type": kind, "status": status, "lastTransitionTime": since}
    return condition | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def finished(run: Run, container: Container, script: Script, now: datetime, **words: Any) -> End:
    """How a container ends that writes our termination message."""
    reason = words["reason"]
    message = {
        "reason": reason or "Completed",
        "message": script.message if reason else "",
        "digest": words.get("digest", ""),
        "bytes": 1024,
    }
    return End(
        "Error" if reason else "Completed",
        1 if reason else 0,
        json.dumps(message),
        container.started or now,
        now,
    )


def created(pod: Manifest) -> datetime:
    """When a pod was created."""
    return parse(pod["metadata"]["creationTimestamp"])


def holds_devices(template: Manifest) -> bool:
    """Whether a pod of this template asks for an extended resource."""
    containers = template["spec"]["containers"]
    return any("/" in name for item in containers for name in (item.get("resources") or {}).get("limits") or ())
