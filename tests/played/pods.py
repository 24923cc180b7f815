"""The status that a kubelet gives to a model Pod, without running it. Pure."""

import json
from datetime import datetime
from typing import Any

from modelway.kinds import Manifest

DIGEST = "sha256:" + "0" * 64
BROKEN = "broken"
"""A model whose URI ends so fails to load."""


def is_settled(pod: Manifest) -> bool:
    """Whether the kubelet has nothing more to say."""
    status = pod.get("status") or {}
    is_ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
    return is_ready or status.get("phase") == "Failed" or "deletionTimestamp" in pod["metadata"] or _waits(status)


def _waits(status: Manifest) -> bool:
    return any("waiting" in (item.get("state") or {}) for item in status.get("containerStatuses") or ())


def is_broken(pod: Manifest) -> bool:
    """Whether its model is one that fails to load."""
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    variables = {item["name"]: item.get("value", "") for each in containers for item in each.get("env") or ()}
    return str(variables.get("MODELWAY_MODEL_URI", "")).endswith(BROKEN)


def ready(pod: Manifest, now: datetime) -> Manifest:
    """Model fetched, loaded and served: the status of a Pod that answers."""
    running = {"running": {"startedAt": _stamp(now)}}
    return _status(pod, now, is_ready=True, model={"ready": True, "started": True, "restartCount": 0, "state": running})


def failed(pod: Manifest, now: datetime) -> Manifest:
    """The model cannot be loaded: it was tried once and is waited with."""
    said = _message("ModelLoadFailed", "no such operator")
    ended = {"exitCode": 1, "reason": "Error", "message": said, "startedAt": _stamp(now), "finishedAt": _stamp(now)}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    model = {"ready": False, "started": False, "restartCount": 1, "state": waiting, "lastState": {"terminated": ended}}
    return _status(pod, now, is_ready=False, model=model)


def _status(pod: Manifest, now: datetime, *, is_ready: bool, model: Manifest) -> Manifest:
    shown = {"PodScheduled": True, "Initialized": True, "ContainersReady": is_ready, "Ready": is_ready}
    conditions = [
        {"type": name, "status": "True" if holds else "False", "lastTransitionTime": _stamp(now)}
        for name, holds in shown.items()
    ]
    return {
        "phase": "Running",
        "conditions": conditions,
        "initContainerStatuses": [_fetched(item["name"], now) for item in pod["spec"].get("initContainers") or ()],
        "containerStatuses": [_named(item["name"], **model) for item in pod["spec"]["containers"]],
    }


def _fetched(name: str, now: datetime) -> Manifest:
    said = _message("Completed", "")
    state = {"exitCode": 0, "reason": "Completed", "message": said, "startedAt": _stamp(now), "finishedAt": _stamp(now)}
    return _named(name, ready=True, started=False, restartCount=0, state={"terminated": state})


def _named(name: str, **fields: Any) -> Manifest:
    return {"name": name, "image": "example.com/runtime", "imageID": "sha256:0123", **fields}


def _message(reason: str, message: str) -> str:
    return json.dumps({"reason": reason, "message": message, "digest": DIGEST, "bytes": 1024})


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
