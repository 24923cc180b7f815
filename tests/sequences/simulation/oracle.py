"""Checks every invariant after every write of the operator, and the traffic at every moment."""

import copy
from collections.abc import Callable
from datetime import datetime

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import capacity, hygiene, traffic
from simulation.actors import Gateway
from simulation.clock import Clock
from simulation.facts import Check, Facts
from simulation.selectors import endpoints, labels
from simulation.server import Write
from simulation.store import Store
from simulation.view import View

CHECKS: dict[str, Check] = {**traffic.CHECKS, **capacity.CHECKS, **hygiene.CHECKS}
WATCHED = "16 every request finds a ready pod"
"""What is checked at every moment instead of every write, in tests in which nothing goes wrong."""


class Oracle:
    """Collects violations; the simulation raises them, so that no `except` of the operator can hide one."""

    def __init__(self, store: Store, clock: Clock, gateway: Gateway, view: Callable[[], View]) -> None:
        self._store = store
        self._clock = clock
        self._gateway = gateway
        self._view = view
        self._plans: dict[str, dict[int, Manifest]] = {}
        self._selections: dict[str, list[tuple[datetime, frozenset[str]]]] = {}
        self.violations: list[str] = []
        self.expects_no_outage = False
        """Whether nothing goes wrong in the scenario, so that every request must find a ready pod."""
        self._served: set[str] = set()

    def load(self, other: "Oracle") -> None:
        """Remember what another oracle does of the same objects."""
        self._plans = copy.deepcopy(other._plans)
        self._selections = copy.deepcopy(other._selections)

    def check(self, write: Write) -> None:
        """Judge one write."""
        facts = self._facts(write)
        if facts is None:
            return
        self._remember(facts)
        for name, check in CHECKS.items():
            found = check(facts)
            if found:
                self.violations.append(
                    f"{name}: {found} (write {write.number}: {write.verb} {write.kind} {write.name})"
                )

    def watch_traffic(self) -> None:
        """Every request finds a ready pod, from the first one on that did."""
        if not self.expects_no_outage:
            return
        pods = self._store.all(kinds.POD)
        for owner in self._store.all(kinds.MODEL_DEPLOYMENT):
            metadata = owner["metadata"]
            for place in self._backends(metadata["namespace"], metadata["name"]):
                service = self._store.find(kinds.SERVICE, metadata["namespace"], place)
                answered = bool(service and endpoints(service, pods))
                if answered:
                    self._served.add(f"{metadata['uid']}/{place}")
                elif place != metadata["name"] or f"{metadata['uid']}/{place}" in self._served:
                    self.violations.append(f"{WATCHED}: requests to Service {place} find none")

    def _backends(self, namespace: str, name: str) -> list[str]:
        histories = (self._gateway.reached.get(f"{namespace}/{route}") for route in (name, names.preview(name)))
        return [name, *sorted({service for history in histories if history for service in history[-1][1]})]

    def _facts(self, write: Write) -> Facts | None:
        subject = write.after or write.before
        assert subject is not None
        is_owner = write.kind == kinds.MODEL_DEPLOYMENT
        name = write.name if is_owner else labels(subject).get(names.MODEL_LABEL, "")
        owner = self._store.find(kinds.MODEL_DEPLOYMENT, write.namespace, name)
        if owner is None:
            return None
        return Facts(
            write=write,
            store=self._store,
            view=self._view(),
            gateway=self._gateway,
            now=self._clock(),
            owner=owner,
            plans=self._plans.setdefault(owner["metadata"]["uid"], {}),
            selections=self._selections.setdefault(owner["metadata"]["uid"], []),
        )

    def _remember(self, facts: Facts) -> None:
        uid = facts.owner["metadata"]["uid"]
        number = facts.rollout.get("id")
        if number and number not in self._plans[uid]:
            self._plans[uid][number] = copy.deepcopy(facts.owner["spec"].get("rollout") or {})
        write = facts.write
        if write.kind == kinds.SERVICE and write.name == facts.name and write.after is not None:
            self._selections[uid].append((facts.now, facts.selected(write.after)))
