"""The evidence of one step: what was counted on both revisions since its traffic had settled. Pure.

Processes count from their start, so what a step saw is the difference between two readings. The last reading of each
process is kept beside the sums, in the same object: whatever happens between two passes, nothing is counted twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from modelway.analysis.figures import NO_PAIRS, NOTHING, Divided, Pairs, Reading, Readings, Sums
from modelway.analysis.groups import NO_GROUPS, Groups
from modelway.analysis.window import Tally, tally
from modelway.api.analysis import Metric

EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The last reading of one process."""

    run: str
    sums: Sums = NOTHING
    feedback: Mapping[str, Sums] = field(default_factory=dict)
    pairs: Pairs = NO_PAIRS
    slot: int | None = None
    """Up to which slot its counts by group are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Sums of one step, or of the bake after the last one."""

    step: int
    since: datetime
    """When its traffic had settled; only what came later counts."""
    settled: datetime
    """The same since the last gap: after one, every process is read anew before anything counts again."""
    read_at: datetime | None = None
    sums: Mapping[str, Sums] = field(default_factory=dict)
    """By name of the revision."""
    groups: Groups = NO_GROUPS
    pairs: Pairs = NO_PAIRS
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """By name of the pod."""
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    """By name of the metric."""
    examples: tuple[Mapping[str, str], ...] = ()
    silent: tuple[str, ...] = ()
    """Pods that did not answer last."""

    @property
    def seconds(self) -> float:
        """How long it has been gathered."""
        return (self.read_at - self.since).total_seconds() if self.read_at else 0.0

    def resumed(self, settled: datetime) -> "Evidence":
        """After a gap: what was seen stays, and every process is read anew."""
        return replace(self, settled=settled, marks={})

    def with_readings(self, readings: Readings, metrics: Mapping[str, Metric]) -> "Evidence":
        """With what was read; readings that are not newer than the last change nothing."""
        if self.read_at is not None and readings.at <= self.read_at:
            return self
        most = max((metric.by.max_groups for metric in metrics.values() if metric.by), default=0)
        groups = self.groups.naming((reading.divided for reading in readings.pods if reading.divided), most)
        sums, pairs, marks = dict(self.sums), self.pairs, dict(self.marks)
        by_hash = {name.rpartition("-")[2]: name for name in (*sums, *(reading.revision for reading in readings.pods))}
        for reading in readings.pods:
            fresh, fresh_pairs = self._fresh(reading, readings.at)
            sums[reading.revision] = sums.get(reading.revision, Sums()) + fresh
            pairs = pairs + fresh_pairs
            divided, slot = self._divided(reading, readings.at)
            groups = groups.plus(reading.revision, divided, most) if divided else groups
            for revision, labelled in self._labelled(reading, readings.at).items():
                if revision in by_hash:
                    name = by_hash[revision]
                    sums[name] = sums.get(name, Sums()) + labelled
            marks[reading.pod] = Mark(
                run=reading.run, sums=reading.sums, feedback=reading.feedback, pairs=reading.pairs, slot=slot
            )
        tallies = dict(self.tallies)
        for answer in readings.answers:
            if answer.metric in metrics:
                former = tallies.get(answer.metric)
                tallies[answer.metric] = tally(former, answer, metrics[answer.metric], at=readings.at)
        examples = next((reading.examples for reading in readings.pods if reading.examples), self.examples)
        return replace(
            self,
            read_at=readings.at,
            sums={name: found for name, found in sums.items() if name},
            groups=groups,
            pairs=pairs,
            marks=marks,
            tallies=tallies,
            examples=examples[:EXAMPLES],
            silent=readings.silent,
        )

    def _fresh(self, reading: Reading, now: datetime) -> tuple[Sums, Pairs]:
        """What the process counted since it was read last; all of it where it started within this step."""
        mark = self._mark(reading)
        if mark is not None:
            return reading.sums.since(mark.sums), reading.pairs.since(mark.pairs)
        return (reading.sums, reading.pairs) if self._is_newborn(reading, now) else (Sums(), Pairs())

    def _labelled(self, reading: Reading, now: datetime) -> Mapping[str, Sums]:
        """The labels that it was told of since then, by the hash of the revision that predicted."""
        mark = self._mark(reading)
        if mark is None:
            return reading.feedback if self._is_newborn(reading, now) else {}
        return {
            revision: labelled.since(mark.feedback.get(revision, NOTHING))
            for revision, labelled in reading.feedback.items()
        }

    def _divided(self, reading: Reading, now: datetime) -> tuple[Divided | None, int | None]:
        """The same by group, and up to which slot it is known now.

        An answer to a question that was asked before the last answer was known has counts twice: it is left out.
        """
        mark, found = self._mark(reading), reading.divided
        known = mark.slot if mark else None
        if found is None:
            return None, known
        if known is not None:
            return (found, max(known, found.up_to)) if found.after == known else (None, known)
        if self._is_newborn(reading, now) and found.after is None:
            return found, found.up_to
        return None, found.up_to + 1  # the slot that is open now began earlier

    def _mark(self, reading: Reading) -> Mark | None:
        mark = self.marks.get(reading.pod)
        return mark if mark is not None and mark.run == reading.run else None

    def _is_newborn(self, reading: Reading, now: datetime) -> bool:
        return reading.uptime_seconds <= (now - self.settled).total_seconds()
