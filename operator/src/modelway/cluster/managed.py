"""Field ownership (`metadata.managedFields`) of objects created with POST and applied later. Pure."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from modelway import names

Entry: TypeAlias = dict[str, Any]


def adopt(entries: Iterable[Entry]) -> list[Entry] | None:
    """The entries, our `Update` of the birth merged into our `Apply`; None when there is nothing to merge.

    Entries of subresources (status, scale) stay: those fields are never applied.
    """
    entries = list(entries)
    born = [entry for entry in entries if _is_ours(entry, "Update")]
    applied = [entry for entry in entries if _is_ours(entry, "Apply")]
    if not born or not applied:
        return None
    fields = applied[0].get("fieldsV1") or {}
    for entry in born:
        fields = _union(fields, entry.get("fieldsV1") or {})
    others = [entry for entry in entries if entry not in born and entry not in applied]
    return [applied[0] | {"fieldsV1": fields}, *others]


def _is_ours(entry: Entry, operation: str) -> bool:
    return (
        entry.get("manager") == names.FIELD_MANAGER
        and entry.get("operation") == operation
        and not entry.get("subresource")
    )


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both sets of fields: `fieldsV1` is a tree of empty leaves."""
    return one | {name: _union(one.get(name, {}), tree) for name, tree in other.items()}
