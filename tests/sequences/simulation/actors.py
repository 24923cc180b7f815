"""The other controllers of a cluster: garbage collector, autoscaler and gateway."""

import random
from datetime import datetime, timedelta
from typing import Any, TypeVar

from modelway import kinds
from modelway.kinds import Manifest
from simulation import rules
from simulation.clock import Clock, stamp
from simulation.rules import Request
from simulation.store import Store
from simulation.workloads import terminate

T = TypeVar("T")


class GarbageCollector:
    """Deletes, in the background, what has owners of which none lives."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def step(self) -> bool:
        """Collect one generation of orphans."""
        alive = self._store.uids()
        gone = [found for found in self._store.everything() if _is_ownerless(found[1], alive)]
        for kind, manifest in gone:
            if kind == kinds.POD:
                terminate(self._store, self._clock(), manifest)
            else:
                self._store.remove(kind, manifest)
        return bool(gone)

    def next_due(self) -> datetime | None:
        """Nothing here waits for time."""
        return None


def _is_ownerless(manifest: Manifest, alive: set[str]) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return (
        bool(owners)
        and not any(owner["uid"] in alive for owner in owners)
        and "deletionTimestamp" not in manifest["metadata"]
    )


class Autoscaler:
    """The HPA controller: follows scripted or random targets within min..max."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.targets: dict[str, int] = {}
        """Pods that the metrics of an HPA call for, by name; absent: as many as there are."""
        self.random: random.Random | None = None

    def step(self) -> bool:
        """Scale every target once."""
        return True in [self._step(hpa) for hpa in self._store.all(kinds.HORIZONTAL_POD_AUTOSCALER)]

    def next_due(self) -> datetime | None:
        """Nothing here waits for time."""
        return None

    def shuffle(self) -> None:
        """New random targets."""
        if self.random:
            for hpa in self._store.all(kinds.HORIZONTAL_POD_AUTOSCALER):
                self.targets[hpa["metadata"]["name"]] = self.random.randint(0, hpa["spec"]["maxReplicas"] + 2)

    def _step(self, hpa: Manifest) -> bool:
        spec, namespace = hpa["spec"], hpa["metadata"]["namespace"]
        target = self._store.find(kinds.DEPLOYMENT, namespace, spec["scaleTargetRef"]["name"])
        if target is None:
            return False
        present = target["spec"]["replicas"]
        wanted = self.targets.get(hpa["metadata"]["name"], present)
        desired = min(max(wanted, spec["minReplicas"]), spec["maxReplicas"]) if present else 0
        scaled = target
        if desired != present:
            scaled = self._store.replace(
                kinds.DEPLOYMENT, target, {**target, "spec": {**target["spec"], "replicas": desired}}
            )
        status = {"currentReplicas": present, "desiredReplicas": desired}
        after = self._store.replace(
            kinds.HORIZONTAL_POD_AUTOSCALER, hpa, {**hpa, "status": {**(hpa.get("status") or {}), **status}}
        )
        return after is not hpa or scaled is not target


class Gateway:
    """The gateway's controller: takes over each route after a delay and says so in its status."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.delay = timedelta(seconds=1)
        self.is_frozen = False
        """Whether it takes over nothing and says nothing."""
        self.refusal: tuple[str, str] | None = None
        """Condition that it denies (Accepted, ResolvedRefs) and the message."""
        self.refusals: dict[str, tuple[str, str]] = {}
        """The same for single routes, by name."""
        self._seen: dict[str, tuple[int, datetime]] = {}
        self.history: dict[str, list[tuple[datetime, dict[str, int]]]] = {}
        """For each route (namespace/name): since when which Service gets which share of the requests."""
        self.reached: dict[str, list[tuple[datetime, frozenset[str]]]] = {}
        """For each route: since when which Services may get a request, by whatever rule, header or session."""
        self._taken: dict[str, Manifest] = {}
        self._gone: dict[str, datetime] = {}

    def step(self) -> bool:
        """Take over what is due; a route that is gone leads on for the same delay."""
        routes = self._store.all(kinds.HTTP_ROUTE)
        is_less = self._let_go({_key(route) for route in routes})
        return True in [is_less, *(self._step(route) for route in routes)]

    def answering(self, request: Request) -> dict[str, int]:
        """Services that may get a request now, with their weights."""
        return rules.answering(self._taken.values(), request)

    def mirrors(self, request: Request) -> dict[str, int]:
        """Services that get a copy of a request now, with the percentage."""
        return rules.mirrors(self._taken.values(), request)

    def next_due(self) -> datetime | None:
        """When the next route is taken over."""
        if self.is_frozen:
            return None
        moments = (*(since for _, since in self._seen.values()), *self._gone.values())
        waiting = (since for since in moments if since + self.delay > self._clock())
        return min((since + self.delay for since in waiting), default=None)

    def weights(self, namespace: str, name: str) -> dict[str, int]:
        """The shares in force now."""
        history = self.history.get(f"{namespace}/{name}")
        return history[-1][1] if history else {}

    def _step(self, route: Manifest) -> bool:
        uid, generation = route["metadata"]["uid"], route["metadata"]["generation"]
        if self._seen.get(uid, (0, None))[0] != generation:
            self._seen[uid] = (generation, self._clock())
        if self.is_frozen or self._seen[uid][1] + self.delay > self._clock():
            return False
        if not self._denied(route):
            self._take_over(route)
        parents = [self._parent(route, reference) for reference in route["spec"].get("parentRefs") or ()]
        after = self._store.replace(kinds.HTTP_ROUTE, route, {**route, "status": {"parents": parents}})
        return after is not route

    def _take_over(self, route: Manifest) -> None:
        key = _key(route)
        self._taken[key] = route
        self._gone.pop(key, None)
        self._note(self.history, key, rules.weights(route))
        self._note(self.reached, key, rules.reached(route))

    def _let_go(self, present: set[str]) -> bool:
        now = self._clock()
        gone = {key: self._gone.setdefault(key, now) for key in sorted(self._taken.keys() - present)}
        due = [key for key, since in gone.items() if not self.is_frozen and since + self.delay <= now]
        for key in due:
            del self._taken[key], self._gone[key]
            self._note(self.history, key, {})
            self._note(self.reached, key, frozenset[str]())
        return bool(due)

    def _note(self, history: dict[str, list[tuple[datetime, T]]], key: str, value: T) -> None:
        known = history.setdefault(key, [])
        if not known or known[-1][1] != value:
            known.append((self._clock(), value))

    def _parent(self, route: Manifest, reference: dict[str, Any]) -> Manifest:
        before = {
            (parent["parentRef"]["name"], item["type"]): item
            for parent in (route.get("status") or {}).get("parents") or ()
            for item in parent["conditions"]
        }
        conditions = []
        for kind, reason in (("Accepted", "Accepted"), ("ResolvedRefs", "ResolvedRefs")):
            holds, message = self._verdict(route, kind)
            status = "True" if holds else "False"
            old = before.get((reference["name"], kind))
            since = old["lastTransitionTime"] if old and old["status"] == status else stamp(self._clock())
            conditions.append(
                {
                    "type": kind,
                    "status": status,
                    "reason": reason if holds else _REFUSALS[kind],
                    "message": message,
                    "lastTransitionTime": since,
                    "observedGeneration": route["metadata"]["generation"],
                }
            )
        return {"parentRef": reference, "controllerName": "gateway.test/controller", "conditions": conditions}

    def _denied(self, route: Manifest) -> tuple[str, str] | None:
        return self.refusals.get(route["metadata"]["name"], self.refusal)

    def _verdict(self, route: Manifest, kind: str) -> tuple[bool, str]:
        denied = self._denied(route)
        if denied and denied[0] == kind:
            return False, denied[1]
        namespace = route["metadata"]["namespace"]
        backends = [b for rule in route["spec"].get("rules") or () for b in rule.get("backendRefs") or ()]
        for backend in backends if kind == "ResolvedRefs" else ():
            service = self._store.find(kinds.SERVICE, namespace, backend["name"])
            if service is None:
                return False, f"Service {namespace}/{backend['name']} not found"
            if backend["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                return False, f"TCP Port {backend['port']} not found on Service {namespace}/{backend['name']}"
        return True, "ok"


_REFUSALS = {"Accepted": "NotAllowedByListeners", "ResolvedRefs": "BackendNotFound"}


def _key(route: Manifest) -> str:
    return f"{route['metadata']['namespace']}/{route['metadata']['name']}"
