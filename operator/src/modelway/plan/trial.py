"""What the candidate is judged by now: which requests count, and what the evidence amounts to. Pure.

A step is judged while it holds, and the promoted revision during its bake. In between (while traffic moves, or the
candidate has lost its pods) nothing counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from modelway.analysis import archive as archives
from modelway.analysis import judgement as judgements
from modelway.analysis import segments
from modelway.analysis.archive import NO_EVIDENCE, Archive, Decision
from modelway.analysis.evidence import Evidence
from modelway.analysis.figures import NOTHING
from modelway.analysis.groups import Groups
from modelway.analysis.verdicts import Judgement, Verdict
from modelway.analysis.window import Window
from modelway.api.analysis import Analysis, Metric
from modelway.plan.observed import Revision
from modelway.plan.record import Rollout, StepState, timestamp
from modelway.plan.scene import JUDGED_STATES, Scene
from modelway.resources import workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The time in which requests count, and for whom."""

    rollout: Rollout
    analysis: Analysis
    step: int
    weight: int
    since: datetime
    settled: datetime
    candidate: Revision
    stable: Revision | None
    """None where stable has no traffic to compare with."""
    steps: int
    """Over how many trials the error level of the rollout is spent."""

    @property
    def id(self) -> str:
        """What readings are asked and taken under."""
        return f"{self.rollout.id}/{self.step}/{timestamp(self.settled)}"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Those that can be judged at this weight, by name."""
        return {metric.name: metric for metric in self.analysis.metrics if self.weight or not needs_traffic(metric)}


def needs_traffic(metric: Metric) -> bool:
    """Whether its figures come from requests of callers."""
    return metric.builtin is not None and not metric.needs_shadow


def trial(scene: Scene) -> Trial | None:
    """The trial under way; None while nothing counts."""
    return _of_step(scene) or _of_bake(scene)


def _of_step(scene: Scene) -> Trial | None:
    rollout, candidate, analysis = scene.rollout, scene.candidate, scene.analysis
    if rollout is None or candidate is None or analysis is None or rollout.state not in JUDGED_STATES:
        return None
    if rollout.settled_at is None or rollout.hold_started_at is None:
        return None
    return Trial(
        rollout=rollout,
        analysis=analysis,
        step=rollout.step,
        weight=scene.step.weight,
        since=rollout.hold_started_at,
        settled=rollout.settled_at + scene.strategy.settle,
        candidate=candidate,
        stable=scene.stable if scene.step.weight < 100 else None,
        steps=_trials(scene, len(scene.steps)),
    )


def _of_bake(scene: Scene) -> Trial | None:
    last, promoted = scene.record.rollout, scene.baking
    analysis = scene.recorded_strategy.analysis
    if last is None or promoted is None or analysis is None or not analysis.metrics or last.finished_at is None:
        return None
    return Trial(
        rollout=last,
        analysis=analysis,
        step=last.step + 1,
        weight=100,
        since=last.finished_at,
        settled=last.finished_at,
        candidate=promoted,
        stable=None,
        steps=_trials(scene, last.step + 1),
    )


def _trials(scene: Scene, steps: int) -> int:
    return steps + bool(scene.recorded_strategy.bake_time)


def gathered(scene: Scene) -> Archive:
    """The evidence that is stored, with what was read since."""
    last = scene.record.rollout
    stored = scene.observed.plans.get(last.id) if last else None
    if last is None or stored is None:
        return NO_EVIDENCE
    found = replace(archives.parse(workload.evidence(stored)), rollout=last.id)
    now = trial(scene)
    return replace(found, current=_current(scene, found, now)) if now else found


def _current(scene: Scene, found: Archive, now: Trial) -> Evidence:
    current = found.current
    if current is None or current.step != now.step:
        groups = Groups(names=found.names)
        current = Evidence(step=now.step, since=now.since, settled=now.settled, groups=groups)
    if current.settled != now.settled:
        current = current.resumed(now.settled)
    readings = scene.observed.readings
    if readings is not None and readings.inquiry == now.id:
        current = current.with_readings(readings, now.metrics)
    return current


def judged(scene: Scene) -> tuple[Judgement, ...] | None:
    """What the present evidence amounts to, metric by metric; None while nothing counts."""
    now, current = trial(scene), scene.archive.current
    if now is None or current is None:
        return None
    counted = sum(not metric.dry_run for metric in now.metrics.values())
    level = judgements.spent(now.analysis.confidence_percent, counted, now.steps)
    window, groups = _window(scene, now, current), _groups(scene, now, current)
    mismatch = judgements.ratio_mismatch(window) if _is_drawn(scene, now) else ""
    found = (
        (metric, segments.judge(metric, window, groups, now.analysis, level))
        for metric in now.metrics.values()
        if _is_comparable(scene, now, metric)
    )
    return tuple(_doubted(item, mismatch) if mismatch and _compares(metric) else item for metric, item in found)


def _compares(metric: Metric) -> bool:
    """Whether the same requests would have to reach both revisions; a loss of throughput is a mismatch itself."""
    return metric.is_relative and metric.builtin != "Throughput"


def _is_drawn(scene: Scene, now: Trial) -> bool:
    """Whether each request is sent to one of the revisions by its weight alone: no header and no session decides."""
    traffic, strategy = scene.spec.traffic, scene.recorded_strategy
    is_held = traffic is not None and traffic.session_persistence is not None
    return bool(now.stable) and scene.observed.has_gateway and not strategy.candidate_matches and not is_held


def _doubted(item: Judgement, mismatch: str) -> Judgement:
    """Of two revisions that do not get the same kind of requests nothing can be said."""
    if item.verdict not in (Verdict.PASS, Verdict.FAIL):
        return item
    message = f"{item.metric}: {mismatch}, so the two cannot be compared; {item.message}"
    return replace(item, verdict=Verdict.INCONCLUSIVE, message=message)


def _window(scene: Scene, now: Trial, current: Evidence) -> Window:
    stable = current.sums.get(now.stable.name, NOTHING) if now.stable else scene.archive.reference
    shadow = scene.recorded_strategy.shadow
    return Window(
        candidate=current.sums.get(now.candidate.name, NOTHING),
        stable=stable or NOTHING,
        seconds=current.seconds,
        weight=now.weight,
        pairs=current.pairs,
        has_baseline=shadow is not None and shadow.baseline_percent > 0,
        tallies=current.tallies,
    )


def _groups(scene: Scene, now: Trial, current: Evidence) -> Mapping[str, Window]:
    """The parts of the window by group."""
    own = current.groups.of(now.candidate.name)
    stable = current.groups.of(now.stable.name) if now.stable else scene.archive.reference_groups
    window = Window(seconds=current.seconds, weight=now.weight)
    return {
        name: replace(window, candidate=own.get(name, NOTHING), stable=stable.get(name, NOTHING))
        for name in sorted(own.keys() | stable.keys())
    }


def _is_comparable(scene: Scene, now: Trial, metric: Metric) -> bool:
    """Whether there is anything of stable that a relative limit could be held against."""
    return bool(now.stable or scene.archive.reference or metric.min is not None or metric.max is not None) or (
        not metric.is_relative
    )


def closed(before: Scene, after: Scene) -> Archive:
    """With the decision written down where the step has been left, or taken back."""
    then, now, current = before.record.rollout, after.record.rollout, before.archive.current
    if then is None or current is None or not before.judgements:
        return before.archive
    is_same = now is not None and (now.id, now.step, now.finished_at) == (then.id, then.step, then.finished_at)
    is_left = now is not None and now.is_active and now.state in (StepState.ROLLING_BACK, StepState.PROMOTING)
    if is_same and not is_left:
        return before.archive
    decision = Decision(step=current.step, since=current.since, until=before.observed.now, judgements=before.judgements)
    return before.archive.decided(decision, before.record.stable)
