"""Reads figures for one process of the operator: what it knows dies with it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from modelway import kinds
from modelway.analysis.figures import Answer, Readings
from modelway.analysis.inquiry import Inquiry
from modelway.cluster.snapshot import Key
from simulation.callers import Callers
from simulation.clock import Clock
from simulation.store import Store

Provider = Callable[[str], Answer]
"""What a provider answers for a metric at the moment."""


class Asker:
    """Answers at once, then at each interval, as the real one does beside the passes."""

    def __init__(self, store: Store, clock: Clock, callers: Callers, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._clock = clock
        self._callers = callers
        self._providers = providers
        self._inquiries: dict[Key, Inquiry] = {}
        self._due: dict[Key, datetime] = {}
        self._readings: dict[Key, Readings] = {}
        self.is_cut_off = False
        """Whether no pod can be reached."""
        self.is_behind = False
        """Whether it goes on with what it was asked before."""

    def ask(self, key: Key, inquiry: Inquiry | None) -> None:
        """From now on ask this."""
        if self.is_behind and key in self._inquiries:
            return
        if inquiry is None:
            self._inquiries.pop(key, None)
            self._due.pop(key, None)
            self._readings.pop(key, None)
            return
        former = self._inquiries.get(key)
        self._inquiries[key] = inquiry
        if former is None or former.id != inquiry.id:
            self._readings.pop(key, None)
            self._due[key] = self._clock()

    def asked(self, key: Key) -> Inquiry | None:
        """What it asks now."""
        return self._inquiries.get(key)

    def readings(self, key: Key) -> Readings | None:
        """What was read last."""
        return self._readings.get(key)

    def next_due(self) -> datetime | None:
        """When the next round of questions is due."""
        return min(self._due.values(), default=None)

    def step(self) -> set[Key]:
        """Ask what is due; the objects with news."""
        now = self._clock()
        due = {key for key, moment in self._due.items() if moment <= now}
        for key in due:
            inquiry = self._inquiries[key]
            self._due[key] = now + inquiry.interval
            self._readings[key] = self._read(key, inquiry)
        return due

    def _read(self, key: Key, inquiry: Inquiry) -> Readings:
        found, silent = [], []
        for target in inquiry.targets:
            kind = kinds.POD if target.revision else kinds.DEPLOYMENT
            process = self._store.find(kind, key[0], target.pod)
            if process is None or self.is_cut_off:
                silent.append(target.pod)
            elif target.revision:
                found.append(self._callers.read(process, target, inquiry.division))
            else:
                found.append(self._callers.compared(process))
        answers = [replace(self._ask(metric.name), metric=metric.name) for metric in inquiry.metrics]
        return Readings(
            inquiry=inquiry.id, at=self._clock(), pods=tuple(found), silent=tuple(silent), answers=tuple(answers)
        )

    def _ask(self, metric: str) -> Answer:
        provider = self._providers.get(metric)
        return provider(metric) if provider else Answer(metric=metric, problem="connection refused")
