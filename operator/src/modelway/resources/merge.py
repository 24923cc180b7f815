"""Laying one manifest over another, and telling whether a stored one still holds what was asked. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelway.api import quantities


def overlay(base: Any, over: Any) -> Any:
    """`over` laid over `base`: maps are merged, lists of named things by name, all else is replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        merged = {key: overlay(value, over[key]) if key in over else value for key, value in base.items()}
        return merged | {key: value for key, value in over.items() if key not in base}
    if _is_named(base) and _is_named(over):
        return _overlay_named(base, over)
    return over


def _is_named(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(_name(item) for item in value)


def _name(item: Any) -> str:
    return str(item.get("name", "")) if isinstance(item, Mapping) else ""


def _overlay_named(base: Sequence[Any], over: Sequence[Any]) -> list[Any]:
    by_name = {_name(item): item for item in over}
    merged = [overlay(item, by_name.pop(_name(item))) if _name(item) in by_name else item for item in base]
    return [*merged, *(item for item in over if _name(item) in by_name)]


_QUANTITY_MAPS = {"requests", "limits"}
_QUANTITY_FIELDS = {"sizeLimit", "averageValue", "divisor", "tolerance"}
_ATOMIC_MAPS = {"selector", "timeouts", "requestHeaderModifier", "responseHeaderModifier"}
"""Maps that belong to us as wholes: one key too many changes their meaning."""

_MERGED_LISTS = {"containers", "initContainers", "env", "volumes", "volumeMounts", "ports", "ownerReferences"}
"""Lists that appliers merge by key: what others put beside our items stays, and would be there again at once."""

_CLOSED_LISTS = {"parentRefs", "rules", "matches", "headers", "backendRefs"}
"""Lists of an HTTPRoute, whose items we write with every field: one more changes who gets which requests."""

_STATED_FALSE = {"allowPrivilegeEscalation", "automountServiceAccountToken"}
"""Where absent is not the same as false."""


def holds(stored: Any, wanted: Any, field: str = "") -> bool:
    """Whether everything in `wanted` is in `stored`, which may hold more (defaults, other managers' fields).

    Empty values equal absent ones, since the API server drops them; quantities are compared by amount.
    """
    if stored == wanted:
        return True
    if isinstance(wanted, dict):
        found = stored if isinstance(stored, dict) else {}
        if field in _ATOMIC_MAPS and _stated(found) != _stated(wanted):
            return False
        inner = field if field in _QUANTITY_MAPS else ""
        differing = [key for key, value in wanted.items() if found.get(key) != value]
        return all(holds(found.get(key), wanted[key], inner or key) for key in differing)
    if isinstance(wanted, list):
        items = stored if isinstance(stored, list) else []
        if field in _MERGED_LISTS:
            return all(any(holds(item, asked) for item in _namesakes(items, asked)) for asked in wanted)
        is_open = field not in _CLOSED_LISTS or all(map(_has_no_more, items, wanted))
        return len(items) == len(wanted) and is_open and all(map(holds, items, wanted))
    if field in _QUANTITY_MAPS | _QUANTITY_FIELDS and isinstance(stored, str | int) and stored != wanted:
        return quantities.parse(stored) == quantities.parse(wanted)
    return not stored and not wanted and field not in _STATED_FALSE


def _stated(item: Mapping[str, Any]) -> set[str]:
    """Keys with a value that is more than an absent one."""
    return {key for key, value in item.items() if value not in (None, {}, [])}


def _has_no_more(stored: Any, wanted: Any) -> bool:
    return not isinstance(stored, dict) or not isinstance(wanted, dict) or stored.keys() <= wanted.keys()


def _namesakes(items: Sequence[Any], asked: Any) -> Sequence[Any]:
    """Those that may be the item asked for: of the same name where it has one."""
    name = _name(asked)
    return [item for item in items if _name(item) == name] if name else items
