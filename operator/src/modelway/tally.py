"""Counts what reconciliations do and what becomes of rollouts and commands, into the process's metrics."""

from datetime import datetime

from modelway import transitions
from modelway.kinds import Manifest
from modelway.metrics import Metrics
from modelway.plan.commands import Verb


class Tally:
    """Implements `modelway.reconcile.Counters`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def applied(self, action: str) -> None:
        """A write was made."""
        self._metrics.applied.labels(action).inc()

    def repaired(self, kind: str) -> None:
        """What somebody had changed was put back."""
        self._metrics.drift_repaired.labels(kind).inc()

    def moved(self, old: Manifest, new: Manifest) -> None:
        """A status was written over another one: each rollout that ended and each command that was answered counts."""
        for line in transitions.ended(old, new):
            self._ended(line, transitions.went_back_since(line, new))
        command = transitions.answered(old, new)
        if command:
            verb = command.get("verb", "")
            self._metrics.commands.labels(verb if verb in set(Verb) else "unknown", command["result"]).inc()

    def _ended(self, line: Manifest, went_back_since: str | None) -> None:
        end = line["finishedAt"]
        self._metrics.rollouts.labels(line["outcome"], line.get("reason", "")).inc()
        self._metrics.rollout_seconds.labels(line["outcome"]).observe(_seconds(line["startedAt"], end))
        if went_back_since is not None:
            self._metrics.rollback_seconds.observe(_seconds(went_back_since, end))


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
