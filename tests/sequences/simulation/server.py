"""The simulated API server: `modelway.cluster.api.Api` over the store, with a write log, faults and observers."""

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from modelway import kinds, names
from modelway.cluster.api import AlreadyExists, ApiError, Conflict, NotFound, Unreachable
from modelway.kinds import Kind, Manifest
from simulation import validation
from simulation.clock import START, Clock
from simulation.ownership import Owners
from simulation.selectors import labels, matches
from simulation.store import Store
from simulation.workloads import terminate


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of the operator, with the object before and after it (None: absent)."""

    number: int
    at: datetime
    verb: str
    kind: Kind
    namespace: str
    name: str
    before: Manifest | None
    after: Manifest | None
    sent: Manifest | None = None

    @property
    def is_change(self) -> bool:
        """Whether the object is another one than before."""
        return self.before is not self.after

    @property
    def at_seconds(self) -> float:
        """Seconds since the simulation began."""
        return (self.at - START).total_seconds()


class Died(BaseException):
    """The process of the operator ended here. Not an Exception, so that nothing can catch it by mistake."""


Fault = Callable[[str, Kind, str], ApiError | None]
"""Asked before each request with verb, kind and name; the error that it returns is the answer."""


@dataclass(slots=True)
class Faults:
    """What is wrong with the API server."""

    rules: list[Fault] = field(default_factory=list)
    die_after: int | None = None
    """The operator dies when its write of this number is stored."""
    lose_answer_of: set[int] = field(default_factory=set)
    """Writes that are stored, though the operator gets no answer."""


class Server:
    """What the operator talks to. Reads are always fresh; only the cache can be stale."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.owners = Owners()
        self.faults = Faults()
        self.writes: list[Write] = []
        self.events: list[tuple[datetime, Manifest]] = []
        self.observers: list[Callable[[Write], None]] = []
        self.requests: list[tuple[str, Kind, str]] = []
        self.absent: set[Kind] = set()
        """Kinds that no CustomResourceDefinition makes known."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        """The object as stored."""
        self._ask("get", kind, name)
        return wire(self._find(kind, namespace, name))

    async def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """Every object of a kind that the selector matches."""
        self._ask("list", kind, "")
        found = self._store.all(kind, namespace)
        return [wire(item) for item in found if matches(selector, labels(item))]

    async def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """POST."""
        name = manifest["metadata"]["name"]
        self._ask("verify" if dry_run else "create", kind, name)
        wanted = validation.default(kind, wire(manifest))
        if self._store.find(kind, manifest["metadata"].get("namespace"), name) and not dry_run:
            raise AlreadyExists(409, "AlreadyExists", f'{kind.plural} "{name}" already exists')
        validation.check(kind, None, wanted)
        if dry_run:
            return wanted
        wanted.pop("status", None)
        stored = self._store.insert(kind, wanted)
        self.owners.created(stored["metadata"]["uid"], names.FIELD_MANAGER, manifest)
        self._written("create", kind, None, stored, manifest)
        return wire(stored)

    async def apply(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Server-side apply with force."""
        metadata = manifest["metadata"]
        self._ask("verify" if dry_run else "apply", kind, metadata["name"])
        live = self._store.find(kind, metadata.get("namespace"), metadata["name"])
        _expect_identity(live, metadata.get("uid"))
        if live is None:
            created = validation.default(kind, wire(manifest))
            validation.check(kind, None, created)
            if dry_run:
                return created
            stored = self._store.insert(kind, created)
            self.owners.apply(stored["metadata"]["uid"], names.FIELD_MANAGER, stored, manifest)
            self._written("apply", kind, None, stored, manifest)
            return wire(stored)
        _expect_version(live, metadata.get("resourceVersion"))
        owners = copy.deepcopy(self.owners) if dry_run else self.owners
        merged = owners.apply(live["metadata"]["uid"], names.FIELD_MANAGER, live, wire(manifest))
        merged = validation.default(kind, merged)
        validation.check(kind, live, merged)
        if dry_run:
            return merged
        stored = self._store.replace(kind, live, merged)
        self._written("apply", kind, live, stored, manifest)
        return wire(stored)

    async def scale(self, kind: Kind, namespace: str, name: str, replicas: int, resource_version: str) -> Manifest:
        """Merge patch on the scale subresource."""
        self._ask("scale", kind, name)
        live = self._find(kind, namespace, name)
        _expect_version(live, resource_version)
        stored = self._store.replace(kind, live, {**live, "spec": {**live["spec"], "replicas": replicas}})
        self._written("scale", kind, live, stored, {"metadata": {"resourceVersion": resource_version}})
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {key: stored["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")},
            "spec": {"replicas": replicas},
            "status": {"replicas": stored.get("status", {}).get("replicas", 0)},
        }

    async def delete(
        self, kind: Kind, namespace: str, name: str, uid: str, resource_version: str | None = None
    ) -> None:
        """Delete in the background; another uid is another object."""
        self._ask("delete", kind, name)
        live = self._store.find(kind, namespace, name)
        if live is None:
            return
        if live["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", f"the UID in the precondition ({uid}) does not match")
        _expect_version(live, resource_version)
        if kind == kinds.POD:
            terminate(self._store, self._clock(), live)
        else:
            self._store.remove(kind, live)
        self._written("delete", kind, live, None, None)

    async def put_status(self, manifest: Manifest) -> Manifest:
        """PUT of the status subresource: all but status is ignored."""
        metadata = manifest["metadata"]
        self._ask("status", kinds.MODEL_DEPLOYMENT, metadata["name"])
        live = self._find(kinds.MODEL_DEPLOYMENT, metadata["namespace"], metadata["name"])
        if "uid" in metadata and metadata["uid"] != live["metadata"]["uid"]:
            raise Conflict(409, "Conflict", "the UID in the precondition does not match")
        _expect_version(live, metadata.get("resourceVersion"))
        status = wire(manifest.get("status") or {})
        stored = self._store.replace(kinds.MODEL_DEPLOYMENT, live, {**live, "status": status})
        self._written("status", kinds.MODEL_DEPLOYMENT, live, stored, manifest)
        return wire(stored)

    async def create_event(self, manifest: Manifest) -> None:
        """Keep an Event for the golden logs; Events count as writes of their own."""
        self._ask("event", kinds.EVENT, manifest["metadata"].get("name", ""))
        self.events.append((self._clock(), wire(manifest)))

    def _ask(self, verb: str, kind: Kind, name: str) -> None:
        self.requests.append((verb, kind, name))
        if kind in self.absent:
            raise NotFound(404, "NotFound", "the server could not find the requested resource")
        for rule in self.faults.rules:
            error = rule(verb, kind, name)
            if error:
                raise error

    def _find(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        live = self._store.find(kind, namespace, name)
        if live is None:
            raise NotFound(404, "NotFound", f'{kind.plural} "{name}" not found')
        return live

    def _written(
        self, verb: str, kind: Kind, before: Manifest | None, after: Manifest | None, sent: Manifest | None
    ) -> None:
        subject = after or before
        assert subject is not None
        write = Write(
            number=len(self.writes) + 1,
            at=self._clock(),
            verb=verb,
            kind=kind,
            namespace=subject["metadata"].get("namespace", ""),
            name=subject["metadata"]["name"],
            before=before,
            after=after,
            sent=wire(sent) if sent else None,
        )
        self.writes.append(write)
        for observer in self.observers:
            observer(write)
        if write.number == self.faults.die_after:
            raise Died
        if write.number in self.faults.lose_answer_of:
            raise unreachable()


def wire(manifest: Manifest) -> Manifest:
    """What arrives at the other end: JSON, sharing nothing with what was sent."""
    received: Manifest = json.loads(json.dumps(manifest))
    return received


def unreachable() -> ApiError:
    """No answer: what was asked may have been done."""
    return Unreachable(0, "Unreachable", "the connection was reset")


def always(error: ApiError, verbs: Iterable[str], kind: Kind) -> Fault:
    """A fault that answers these verbs on a kind with one error."""
    wanted = set(verbs)
    return lambda verb, asked, name: error if verb in wanted and asked == kind else None


def _expect_identity(live: Manifest | None, uid: str | None) -> None:
    if uid and (live is None or live["metadata"]["uid"] != uid):
        raise Conflict(409, "Conflict", f"uid mismatch: the provided object specified uid {uid}")


def _expect_version(live: Manifest, version: str | None) -> None:
    if version and version != live["metadata"]["resourceVersion"]:
        raise Conflict(409, "Conflict", "the object has been modified; please apply your changes to the latest version")
