"""What etcd and the registry hold: objects with identity and versions, and the journal that watches read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from modelway import kinds
from modelway.api.status import UNSEEN
from modelway.kinds import Kind, Manifest
from simulation.clock import Clock, stamp

REPLICA_SET = Kind("apps", "v1", "replicasets", "ReplicaSet")

_WITHOUT_GENERATION = {
    kinds.CONTROLLER_REVISION,
    kinds.CONFIG_MAP,
    kinds.SERVICE,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.EVENT,
    kinds.LEASE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the journal, as a watch would deliver it."""

    version: int
    at: datetime
    type: str
    kind: Kind
    manifest: Manifest


class Store:
    """Objects are replaced, never changed in place: a manifest that was read stays as it was."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[Kind, dict[tuple[str, str], Manifest]] = {}
        self._version = 100
        self._uid = 0
        self.journal: list[Change] = []

    def load(self, other: "Store") -> None:
        """Begin with the objects of another store."""
        self._objects = {kind: dict(objects) for kind, objects in other._objects.items()}
        self._version, self._uid = other._version, other._uid

    def find(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None."""
        return self._objects.get(kind, {}).get((namespace or "", name))

    def all(self, kind: Kind, namespace: str | None = None) -> list[Manifest]:
        """Every object of a kind, by name, in one namespace or in all."""
        objects = self._objects.get(kind, {})
        return [objects[key] for key in sorted(objects) if namespace in (None, key[0])]

    def everything(self) -> Iterator[tuple[Kind, Manifest]]:
        """Every object of every kind."""
        for kind, objects in list(self._objects.items()):
            for manifest in list(objects.values()):
                yield kind, manifest

    def uids(self) -> set[str]:
        """The uids of all that lives."""
        return {manifest["metadata"]["uid"] for _, manifest in self.everything()}

    def insert(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Store a new object, with uid, version, generation and creation time."""
        self._uid += 1
        metadata = dict(manifest["metadata"])
        metadata["uid"] = f"uid-{self._uid:05}"
        metadata["creationTimestamp"] = stamp(self._clock())
        metadata["resourceVersion"] = self._next_version()
        if kind not in _WITHOUT_GENERATION:
            metadata["generation"] = 1
        stored = {"apiVersion": kind.api_version, "kind": kind.name, **manifest, "metadata": metadata}
        if kind == kinds.MODEL_DEPLOYMENT:
            stored.setdefault("status", {"observedGeneration": UNSEEN})
        self._put(kind, stored, "ADDED")
        return stored

    def replace(self, kind: Kind, before: Manifest, after: Manifest) -> Manifest:
        """Store a new state. Nothing new is no write: the version stays, no watch hears of it."""
        metadata = dict(after["metadata"])
        metadata.update({key: before["metadata"][key] for key in _IDENTITY if key in before["metadata"]})
        stored = {**after, "metadata": metadata}
        if stored == before:
            return before
        if kind not in _WITHOUT_GENERATION and after.get("spec") != before.get("spec"):
            metadata["generation"] = before["metadata"]["generation"] + 1
        metadata["resourceVersion"] = self._next_version()
        self._put(kind, stored, "MODIFIED")
        return stored

    def remove(self, kind: Kind, manifest: Manifest) -> None:
        """Take an object out for good."""
        key = _key(manifest)
        if self._objects.get(kind, {}).pop(key, None) is None:
            return
        last = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": self._next_version()}}
        self.journal.append(Change(version=self._version, at=self._clock(), type="DELETED", kind=kind, manifest=last))

    def _put(self, kind: Kind, manifest: Manifest, type_: str) -> None:
        self._objects.setdefault(kind, {})[_key(manifest)] = manifest
        self.journal.append(Change(version=self._version, at=self._clock(), type=type_, kind=kind, manifest=manifest))

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)


_IDENTITY = ("uid", "creationTimestamp", "resourceVersion", "generation", "name", "namespace")


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
