"""The record as it is written into `status`, and read from there. Pure."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from modelway.kinds import Manifest
from modelway.plan.record import (
    Finished,
    LastCommand,
    Outcome,
    Record,
    Refresh,
    Rollout,
    Source,
    StepState,
    Strategy,
    moment,
    timestamp,
)

T = TypeVar("T")

_NAMES = {
    "origin": "from",
    "step": "stepIndex",
    "state": "stepState",
    "is_paused_by_command": "paused",
    "is_approved": "approved",
    "is_full": "full",
    "is_replacing": "replacing",
    "paused_at": "pauseStartedAt",
    "progress_at": "lastProgressAt",
    "high_water": "highWaterReady",
    "base": "baseReplicas",
}
_TIMES = {
    "started_at",
    "step_started_at",
    "settled_at",
    "hold_started_at",
    "paused_at",
    "progress_at",
    "retry_at",
    "finished_at",
    "turned_back_at",
}


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _key(cls: type, name: str) -> str:
    if cls is Finished and name == "revision":
        return "to"
    if cls is LastCommand:
        return _camel(name)
    return _NAMES.get(name, _camel(name))


_KEYS: dict[type, dict[str, str]] = {
    cls: {item.name: _key(cls, item.name) for item in fields(cls)} for cls in (Rollout, LastCommand, Finished, Refresh)
}
"""The keys of each record's fields, by their names."""


def dump(value: Rollout | LastCommand | Finished | Refresh) -> Manifest:
    """One of the records above as JSON; empty values are left out."""
    found = {key: getattr(value, name) for name, key in _KEYS[type(value)].items()}
    return {
        key: timestamp(item) if isinstance(item, datetime) else item
        for key, item in found.items()
        if item is not None and item is not False and item != ""
    }


def _load(cls: type[Any], raw: Manifest) -> Any:
    values = {name: raw[key] for name, key in _KEYS[cls].items() if key in raw}
    times = {name: moment(values[name]) for name in values.keys() & _TIMES}
    return cls(**values | times)


def _rollout(raw: Manifest) -> Rollout:
    rollout: Rollout = _load(Rollout, {"from": ""} | raw)
    is_over = rollout.finished_at is not None or rollout.state == StepState.ROLLING_BACK
    return replace(
        rollout,
        outcome=str(Outcome(rollout.outcome)) if is_over else "",
        strategy=Strategy(rollout.strategy),
        source=Source(rollout.source),
        state=StepState(rollout.state),
    )


def _finished(raw: Manifest) -> Finished:
    line: Finished = _load(Finished, {"reason": "", "from": ""} | raw)
    return line


def _refresh(raw: Manifest) -> Refresh:
    return Refresh(spec_hash=str(raw["specHash"]), id=str(raw.get("id", "")), by=str(raw.get("by", "")))


def _readable(read: Callable[[Any], T], raw: Any) -> T | None:
    """What another version of the operator, or a person, wrote so that it cannot be read counts as lost."""
    try:
        return read(raw)
    except (KeyError, TypeError, ValueError):
        return None


def parse(status: Manifest) -> Record:
    """The record kept in a status; an empty one where there is none."""
    rollout = status.get("rollout") or {}
    retire = {item["name"]: _readable(moment, item.get("retainUntil")) for item in status.get("revisions", ())}
    history = (_readable(_finished, line) for line in status.get("history", ()))
    return Record(
        stable=status.get("stableRevision", {}).get("name", ""),
        rollout=_readable(_rollout, rollout) if "id" in rollout else None,
        last_command=_load(LastCommand, rollout.get("lastCommand", {})),
        refresh=_readable(_refresh, rollout.get("refresh")),
        retire_at=MappingProxyType({name: until for name, until in retire.items() if until is not None}),
        history=tuple(line for line in history if line is not None),
    )
