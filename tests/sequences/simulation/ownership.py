"""Server-side apply: who owns which field, and what an apply changes. Pure but for the table of owners."""

from typing import Any, TypeAlias

from modelway.kinds import Manifest

Path: TypeAlias = tuple[Any, ...]
Leaves: TypeAlias = dict[Path, Any]

_KEYED_LISTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "volumes": (("name",),),
    "env": (("name",),),
    "volumeMounts": (("mountPath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "ownerReferences": (("uid",),),
}
"""Lists that merge by key (`x-kubernetes-list-map-keys`); all others are atomic."""

_ATOMIC_MAPS = {"selector", "nodeSelector", "data:ControllerRevision"}
"""Maps that are replaced whole (`x-kubernetes-map-type: atomic`)."""

_SERVER_FIELDS = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}


def leaves(manifest: Manifest) -> Leaves:
    """Every field that an applier of this manifest owns, with its value."""
    found: Leaves = {}
    for key, value in manifest.items():
        if key in ("apiVersion", "kind", "status"):
            continue
        if key == "metadata":
            _flatten_metadata(value, found)
            continue
        name = f"{key}:{manifest.get('kind')}" if key == "data" else key
        _flatten((key,), name, value, found)
    return found


def _flatten_metadata(metadata: Manifest, into: Leaves) -> None:
    ours = {key: value for key, value in metadata.items() if key not in _SERVER_FIELDS | _NAMES}
    _flatten(("metadata",), "metadata", ours, into)


def _flatten(path: Path, name: str, value: Any, into: Leaves) -> None:
    keys = _list_keys(name, value)
    if isinstance(value, dict) and value and name not in _ATOMIC_MAPS:
        for key, item in value.items():
            _flatten((*path, key), key, item, into)
    elif keys:
        for item in value:
            identity = ("item", tuple((key, _protocol(item, key)) for key in keys))
            _flatten((*path, identity), "", item, into)
    else:
        into[path] = value


def _list_keys(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        return ()
    for keys in _KEYED_LISTS.get(name, ()):
        if all(isinstance(item, dict) and keys[0] in item for item in value):
            return keys
    return ()


def _protocol(item: dict[str, Any], key: str) -> Any:
    return item.get(key, "TCP" if key == "protocol" else None)


def assemble(found: Leaves) -> Manifest:
    """The manifest that has exactly these fields."""
    root: dict[Any, Any] = {}
    for path, value in found.items():
        node = root
        for part in path[:-1]:
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        if not (value in ({}, []) and isinstance(node.get(path[-1]), dict)):
            node[path[-1]] = _Leaf(value)
    return {key: _collapse(value) for key, value in root.items()}


class _Leaf:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _collapse(node: Any) -> Any:
    if isinstance(node, _Leaf):
        return node.value
    if any(isinstance(key, tuple) for key in node):
        return [_collapse(value) for value in node.values()]
    return {key: _collapse(value) for key, value in node.items()}


class Owners:
    """The managedFields of all objects: for each uid and manager the set of field paths."""

    def __init__(self) -> None:
        self._owned: dict[str, dict[str, set[Path]]] = {}

    def created(self, uid: str, manager: str, manifest: Manifest) -> None:
        """A POST owns what it sent, as operation Update: a later apply does not inherit it."""
        self._owned[uid] = {f"{manager}/Update": set(leaves(manifest))}

    def edited(self, uid: str, manager: str, before: Manifest, after: Manifest) -> None:
        """A plain update takes the fields that it changed away from everybody else."""
        old, new = leaves(before), leaves(after)
        changed = {path for path, value in new.items() if path not in old or old[path] != value}
        gone = set(old) - set(new)
        owned = self._owned.setdefault(uid, {})
        for paths in owned.values():
            paths.difference_update(changed | gone)
        owned.setdefault(f"{manager}/Update", set()).update(changed)

    def apply(self, uid: str, manager: str, live: Manifest, manifest: Manifest) -> Manifest:
        """The object after a forced apply: our fields set, those that we dropped and nobody else owns gone."""
        old, new = leaves(live), leaves(manifest)
        owned = self._owned.setdefault(uid, {})
        mine = f"{manager}/Apply"
        before = owned.get(mine, set())
        others = set().union(*(paths for owner, paths in owned.items() if owner != mine), set())
        dropped = {path for path in before if path not in new and path not in others}
        taken = {path for path, value in new.items() if path in old and old[path] != value}
        for owner, paths in owned.items():
            if owner != mine:
                paths.difference_update(taken)
        owned[mine] = set(new)
        merged = {path: value for path, value in old.items() if path not in dropped}
        merged.update(new)
        body = assemble(merged)
        metadata = {key: live["metadata"][key] for key in live["metadata"] if key in _SERVER_FIELDS | _NAMES}
        rest = {key: live[key] for key in ("apiVersion", "kind", "status") if key in live}
        return rest | body | {"metadata": {**body.get("metadata", {}), **metadata}}

    def managers(self, uid: str, path: Path) -> set[str]:
        """Who owns one field."""
        return {owner for owner, paths in self._owned.get(uid, {}).items() if path in paths}


_NAMES = {"name", "namespace"}
