"""Turns writes and happenings into the lines of a golden log, which read like a documentation of the rollout."""

import re
from collections.abc import Iterable
from typing import Any

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import rules
from simulation.server import Write


class Aliases:
    """Short names for revisions, in the order of their birth: `fraud-3f9a1c2b7d` is `r1`."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def learn(self, write: Write) -> None:
        """Give the next name to a new ControllerRevision."""
        if write.kind == kinds.CONTROLLER_REVISION and write.verb == "create":
            identity = write.name.rsplit("-", 1)[1]
            self._known.setdefault(identity, f"r{len(self._known) + 1}")

    def shorten(self, text: str) -> str:
        """Hashes replaced, and generated pod names cut down to their revision."""
        for identity, alias in self._known.items():
            text = re.sub(rf"[a-z0-9-]*-?\b{identity}-[0-9a-f]{{9}}-0*(\d+)", rf"{alias}-pod-\1", text)
            text = re.sub(rf"[a-z0-9-]*-{identity}", alias, text)
            text = text.replace(identity, alias)
        return text


def describe(write: Write) -> str:
    """What a write did, in a line."""
    if write.verb == "status":
        return f"status   {_status(write)}"
    return f"{write.verb:<7}  {write.kind.name} {write.name}{_details(write)}"


def _details(write: Write) -> str:
    if not write.is_change:
        return " (no change)"
    text = ""
    if write.kind == kinds.DEPLOYMENT and write.after:
        text = _count(write)
    elif write.kind == kinds.HTTP_ROUTE and write.after:
        text = _weights(write.after)
    elif write.kind == kinds.SERVICE and write.after:
        selector = write.after["spec"]["selector"]
        text = "selects " + selector.get(names.REVISION_LABEL, "all revisions")
    elif write.kind == kinds.CONFIG_MAP and write.after:
        text = ", ".join(sorted(write.after.get("data") or {}))
    labels = _labels(write)
    return "".join(f": {part}" for part in (text, labels) if part)


def _count(write: Write) -> str:
    after = write.after["spec"]["replicas"] if write.after else 0
    if write.before is None:
        return _pods(after)
    before = write.before["spec"]["replicas"]
    return f"{before} -> {_pods(after)}" if before != after else ""


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _labels(write: Write) -> str:
    if write.before is None or write.after is None:
        return ""
    before, after = (m["metadata"].get("labels") or {} for m in (write.before, write.after))
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return ", ".join(f"{key.split('/')[-1]}={after.get(key, '(none)')}" for key in keys)


def _weights(route: Manifest) -> str:
    shares = " ".join(f"{name}={weight}" for name, weight in rules.weights(route).items()) or "no backends"
    return shares + "".join(f", what matches to {name}" for name in sorted(rules.matched(route)))


def _status(write: Write) -> str:
    before, after = ((m or {}).get("status") or {} for m in (write.before, write.after))
    parts = [*_phase(before, after), *_rollout(before, after), *_conditions(before, after)]
    return ", ".join(parts) or "figures"


def _phase(before: Manifest, after: Manifest) -> Iterable[str]:
    for key in ("phase", "weight"):
        if before.get(key) != after.get(key):
            yield f"{key} {after.get(key)}"


def _rollout(before: Manifest, after: Manifest) -> Iterable[str]:
    old, new = before.get("rollout") or {}, after.get("rollout") or {}
    if place(old) != place(new) and new:
        step = f" step {new['stepIndex']}" if "stepIndex" in new else ""
        yield f"rollout {new.get('id')}{step} {new.get('stepState', '')}"
    if old.get("outcome") != new.get("outcome") and new.get("outcome"):
        yield f"outcome {new['outcome']}" + (f" ({new['reason']})" if new.get("reason") else "")
    command, earlier = new.get("lastCommand") or {}, old.get("lastCommand") or {}
    if command.get("result") and command != earlier:
        yield f"command {command.get('verb')} {command['result']}: {command.get('message', '')}"


def place(rollout: Manifest) -> tuple[Any, ...]:
    """Where a rollout stands: id, step and sub-state."""
    return rollout.get("id"), rollout.get("stepIndex"), rollout.get("stepState")


_TOLD = {"Ready", "Available", "Stalled", "TrafficProgrammed", "Paused", "RevisionFailed", "RolledBack"}
"""The others say the same in other words."""


def _conditions(before: Manifest, after: Manifest) -> Iterable[str]:
    old, new = ({c["type"]: c for c in s.get("conditions") or () if c["type"] in _TOLD} for s in (before, after))
    for kind in sorted(new):
        known = old.get(kind, {})
        if (known.get("status"), known.get("reason")) != (new[kind]["status"], new[kind]["reason"]):
            yield f"{kind}={new[kind]['status']} ({new[kind]['reason']})"
    for kind in sorted(old.keys() - new.keys()):
        yield f"no longer {kind}"
