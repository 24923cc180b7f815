"""What the API server holds of our kinds, kept up to date by lists, watches and our own writes. No I/O.

Every way in goes through one guard: an object is taken only when it is newer than what is known of it, also
than its deletion, so that a late event or list never brings back an old state or a deleted object.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelway import kinds, names
from modelway.cluster import claims, gateways, slim
from modelway.cluster.claims import Claims
from modelway.cluster.snapshot import Key, Snapshot
from modelway.kinds import Kind, Manifest

TOMBSTONE_SECONDS = 300.0
_RUNTIME_KINDS = (kinds.MODEL_RUNTIME, kinds.CLUSTER_MODEL_RUNTIME)

_Place = tuple[str, str]
"""Namespace ("" when the kind has none) and name."""


@dataclass(frozen=True, slots=True)
class _Tombstone:
    version: str | None
    """Nothing of this uid up to this resourceVersion is news; None: nothing at all."""
    at: float


class Cache:
    """Objects by kind and place; children also by the ModelDeployment that they belong to."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._objects: dict[Kind, dict[_Place, Manifest]] = {}
        self._families: dict[Key, dict[Kind, dict[str, Manifest]]] = {}
        self._tombstones: OrderedDict[tuple[Kind, str], _Tombstone] = OrderedDict()
        self._claims = Claims()

    def snapshot(self, key: Key) -> Snapshot:
        """All that is known about one ModelDeployment, in this moment."""
        family = self._families.get(key, {})
        owner = self._objects.get(kinds.MODEL_DEPLOYMENT, {}).get(key)
        return Snapshot(
            owner=owner,
            children={kind: tuple(members[name] for name in sorted(members)) for kind, members in family.items()},
            runtimes=self._runtimes(key[0]),
            gateway_features=self._features(owner) if owner else frozenset(),
            rival=self._claims.rival(key),
        )

    def store(self, kind: Kind, manifest: Manifest) -> None:
        """Take what the API server answered to a write."""
        self._put(kind, manifest)

    def forget(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """The object was deleted, by its uid: whatever is still said about that uid is old."""
        self._bury(kind, uid, None)
        place = (namespace or "", name)
        present = self._objects.get(kind, {}).get(place)
        if present is not None and present["metadata"]["uid"] == uid:
            self._drop(kind, place)

    def observe(self, kind: Kind, event: str | None, manifest: Manifest) -> tuple[Key, ...]:
        """Take an event of a watch (or None: an item of a list). Which ModelDeployments it concerns."""
        if event == "DELETED":
            return self.affected(kind, manifest) if self._remove(kind, manifest) else ()
        before = self._objects.get(kind, {}).get(_place(manifest))
        if not self._put(kind, manifest):
            return ()
        if before is None:
            return self.affected(kind, manifest)
        if kind in gateways.KINDS and gateways.tells_same(before, manifest):
            return ()
        if kind in slim.UNHEARD and slim.asks_same(before, self._objects[kind][_place(manifest)]):
            return ()
        owners = _united(self._owners(kind, manifest), self._owners(kind, before))
        if kind not in claims.KINDS or not owners or claims.are_same(kind, owners[0], before, manifest):
            return owners
        return _united(owners, _united(self._neighbours(kind, manifest), self._neighbours(kind, before)))

    def affected(self, kind: Kind, manifest: Manifest) -> tuple[Key, ...]:
        """The ModelDeployments that may have to act when this object comes or goes."""
        return _united(self._owners(kind, manifest), self._neighbours(kind, manifest))

    def _neighbours(self, kind: Kind, manifest: Manifest) -> tuple[Key, ...]:
        """Those that claim the same requests of a Gateway."""
        owners = self._owners(kind, manifest) if kind in claims.KINDS else ()
        return self._claims.neighbours(kind, owners[0], manifest) if owners else ()

    def _owners(self, kind: Kind, manifest: Manifest) -> tuple[Key, ...]:
        """Those that the object belongs to, or says something about."""
        if kind == kinds.MODEL_DEPLOYMENT:
            return (_place(manifest),)
        if kind in gateways.KINDS:
            return tuple(key for key, model in self._models() if gateways.concerns(kind, manifest, model))
        if kind == kinds.MODEL_RUNTIME:
            namespace = manifest["metadata"]["namespace"]
            return tuple(key for key in self.keys() if key[0] == namespace)
        if kind == kinds.CLUSTER_MODEL_RUNTIME:
            return self.keys()
        key = _family(manifest)
        return () if key is None else (key,)

    def sweep(self, kind: Kind, namespace: str | None, items: Iterable[Manifest], version: str) -> tuple[Manifest, ...]:
        """Drop what a complete list of the kind (in a namespace, or None: everywhere) at `version` lacks.

        Returns the dropped objects.
        """
        listed = {_place(item) for item in items}
        gone = [
            (place, present)
            for place, present in self._objects.get(kind, {}).items()
            if namespace in (None, place[0]) and place not in listed and not slim.is_newer(_version(present), version)
        ]
        for place, present in gone:
            self._bury(kind, present["metadata"]["uid"], version)
            self._drop(kind, place)
        return tuple(present for _, present in gone)

    def is_current(self, kind: Kind, metadata: Manifest) -> bool:
        """Whether an object with this metadata is known in this or a newer state, or known to be gone."""
        return not self._is_news(kind, {"metadata": metadata})

    def keys(self) -> tuple[Key, ...]:
        """Every ModelDeployment."""
        return tuple(self._objects.get(kinds.MODEL_DEPLOYMENT, {}))

    def objects(self, kind: Kind) -> Iterator[Manifest]:
        """Every object of a kind, safe while the cache changes."""
        return iter(tuple(self._objects.get(kind, {}).values()))

    def counts(self) -> Mapping[Kind, int]:
        """How many objects of each kind there are."""
        return {kind: len(objects) for kind, objects in tuple(self._objects.items())}

    def epoch(self, key: Key) -> int:
        """The epoch in which a ModelDeployment was written last; 0 when never, or when it is gone."""
        return slim.epoch(self._objects.get(kinds.MODEL_DEPLOYMENT, {}).get(key, {}))

    def highest_epoch(self) -> int:
        """The highest epoch in which any status was written."""
        return max((slim.epoch(model) for model in self.objects(kinds.MODEL_DEPLOYMENT)), default=0)

    def _models(self) -> Iterable[tuple[Key, Manifest]]:
        return self._objects.get(kinds.MODEL_DEPLOYMENT, {}).items()

    def _features(self, model: Manifest) -> frozenset[str]:
        found = self._objects.get(kinds.GATEWAY, {}), self._objects.get(kinds.GATEWAY_CLASS, {})
        return gateways.features(model, *found)

    def _runtimes(self, namespace: str) -> tuple[Manifest, ...]:
        return tuple(
            runtime
            for kind in _RUNTIME_KINDS
            for place, runtime in sorted(self._objects.get(kind, {}).items())
            if place[0] in (namespace, "")
        )

    def _is_news(self, kind: Kind, manifest: Manifest) -> bool:
        version = _version(manifest)
        tombstone = self._tombstones.get((kind, manifest["metadata"]["uid"]))
        if tombstone is not None and not _is_later(version, tombstone.version):
            return False
        present = self._objects.get(kind, {}).get(_place(manifest))
        return present is None or slim.is_newer(version, _version(present))

    def _put(self, kind: Kind, manifest: Manifest) -> bool:
        if not self._is_news(kind, manifest):
            return False
        place, kept = _place(manifest), slim.slim(kind, manifest)
        self._claim(kind, self._unlink(kind, place), kept)
        self._objects.setdefault(kind, {})[place] = kept
        family = None if kind in kinds.OWN_KINDS else _family(kept)
        if family is not None:
            self._families.setdefault(family, {}).setdefault(kind, {})[place[1]] = kept
        return True

    def _remove(self, kind: Kind, manifest: Manifest) -> bool:
        """False when a newer state of the object is known: it only left the selector, and is back."""
        uid, version = manifest["metadata"]["uid"], _version(manifest)
        present = self._objects.get(kind, {}).get(_place(manifest))
        is_present = present is not None and present["metadata"]["uid"] == uid
        if present is not None and is_present and slim.is_newer(_version(present), version):
            return False
        self._bury(kind, uid, version)
        if is_present:
            self._drop(kind, _place(manifest))
        return True

    def _drop(self, kind: Kind, place: _Place) -> None:
        self._claim(kind, self._unlink(kind, place), None)

    def _unlink(self, kind: Kind, place: _Place) -> Manifest | None:
        """Take an object out of where it is found; the object."""
        present = self._objects.get(kind, {}).pop(place, None)
        family = None if present is None else _family(present)
        members = self._families.get(family, {}) if family is not None else {}
        if family is None or place[1] not in members.get(kind, {}):
            return present
        del members[kind][place[1]]
        if not members[kind]:
            del members[kind]
        if not members:
            del self._families[family]
        return present

    def _claim(self, kind: Kind, before: Manifest | None, after: Manifest | None) -> None:
        """Keep the claims as the objects are."""
        if kind == kinds.MODEL_DEPLOYMENT and after is not None:
            self._claims.want(_place(after), after)
        elif kind == kinds.MODEL_DEPLOYMENT and before is not None:
            self._claims.drop(_place(before))
        if kind != kinds.HTTP_ROUTE:
            return
        if before is not None and (owner := _family(before)):
            self._claims.release(owner, before)
        if after is not None and (owner := _family(after)):
            self._claims.hold(owner, after)

    def _bury(self, kind: Kind, uid: str, version: str | None) -> None:
        now = self._clock()
        former = self._tombstones.pop((kind, uid), None)
        if former is not None and version is not None and not _is_later(version, former.version):
            version = former.version
        self._tombstones[kind, uid] = _Tombstone(version, now)
        while now - next(iter(self._tombstones.values())).at > TOMBSTONE_SECONDS:
            self._tombstones.popitem(last=False)


def _is_later(version: str, than: str | None) -> bool:
    """None is the end of time."""
    return than is not None and slim.is_newer(version, than)


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


def _place(manifest: Manifest) -> _Place:
    metadata = manifest["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _family(manifest: Manifest) -> Key | None:
    """The ModelDeployment that an object belongs to: its controller, else (Pods, orphans) our label."""
    metadata = manifest["metadata"]
    controller = slim.controller(manifest)
    name = controller["name"] if controller else (metadata.get("labels") or {}).get(names.MODEL_LABEL)
    return (metadata["namespace"], name) if name and metadata.get("namespace") else None


def _united(one: tuple[Key, ...], other: tuple[Key, ...]) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(one + other))
