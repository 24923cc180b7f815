"""The status of ModelDeployments as text for people. Pure: the objects and `now` go in, text comes out."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from modelway.api import durations
from modelway.api.rollout import Step
from modelway.api.status import (
    AnalysisStatus,
    Condition,
    Revision,
    RolloutStatus,
    SegmentsStatus,
    TrafficShare,
)
from modelway.cli import advice, grid
from modelway.cli.objects import Model
from modelway.cli.paint import PLAIN, Paint

_GOOD_PHASES = {"Healthy", "Suspended"}
_BAD_PHASES = {"Degraded", "Stalled", "RolledBack"}
_ABNORMAL = {"Stalled", "Paused", "RevisionFailed", "RolledBack"}
_NORMAL = ("Ready", "Available", "TrafficProgrammed", "AnalysisPassing")


def page(model: Model, now: datetime, paint: Paint = PLAIN) -> str:
    """Everything worth knowing, the most important first."""
    parts = (
        _head(model, paint),
        _rollout(model, now, paint),
        _revisions(model, paint),
        _conditions(model, paint),
        _next(model, paint),
    )
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(model: Model, paint: Paint) -> Iterable[str]:
    phase = model.status.phase or "Pending"
    yield f"{paint.strong(model.name)} in {model.namespace}  {_painted_phase(phase, paint)}"
    if model.status.observed_generation < 1:
        yield "  The operator has not seen this object yet."
        return
    if not model.is_observed:
        yield paint.warn("  The operator has not seen the last change of the spec yet.")
    if model.status.message:
        yield f"  {model.status.message}"
    address = model.status.address
    if address and address.url:
        yield f"  URL     {address.url}"
    if address and address.internal and address.internal != address.url:
        yield f"  inside  {address.internal}"
    if address and address.preview:
        yield f"  preview {address.preview}"


def _painted_phase(phase: str, paint: Paint) -> str:
    if phase in _GOOD_PHASES:
        return paint.good(phase)
    return paint.bad(phase) if phase in _BAD_PHASES else paint.warn(phase)


def _rollout(model: Model, now: datetime, paint: Paint) -> Iterable[str]:
    rollout = model.rollout
    if rollout is None or rollout.id is None:
        return
    origin = f"{model.number(rollout.from_revision)} → " if rollout.from_revision else ""
    way = f"revision {origin}{model.number(rollout.revision)}"
    strategy = rollout.strategy or "–"
    yield f"{paint.strong(f'Rollout {rollout.id}')}  {strategy}, {way}, {_ending(rollout, now, paint)}"
    steps = _listed(model, rollout)
    if steps is not None and not rollout.finished_at and rollout.step_count in (None, len(steps), len(steps) + 1):
        yield from _steps(steps, rollout, now, paint)
    elif not rollout.finished_at and rollout.step_state:
        yield f"  {paint.strong('▶')} {rollout.step_state}"
    yield from _evidence(rollout.analysis, paint)
    if rollout.retry_at:
        yield f"  next try in {span(moment(rollout.retry_at) - now)}"
    last = rollout.last_command
    if last and last.verb and last.result:
        who = f" by {last.by}" if last.by else ""
        yield paint.faint(f"  last command: {last.verb}{who}: {last.result}") + _more(last.message, ". ")


def _listed(model: Model, rollout: RolloutStatus) -> Sequence[Step] | None:
    """The steps as the spec has them now; None with a strategy that has none."""
    if model.spec is None or rollout.strategy not in ("Canary", "BlueGreen"):
        return None
    is_canary = rollout.strategy == "Canary"
    return model.spec.rollout.steps if is_canary else model.spec.rollout.stages(rollout.strategy)


def _ending(rollout: RolloutStatus, now: datetime, paint: Paint) -> str:
    started = moment(rollout.started_at) if rollout.started_at else now
    if not rollout.finished_at:
        return f"for {span(now - started)}"
    took = span(moment(rollout.finished_at) - started)
    outcome = rollout.outcome or "ended"
    painted = paint.good(outcome) if outcome in ("Promoted", "FastPromoted") else paint.bad(outcome)
    return f"{painted} after {took}" + (f": {rollout.reason}" if rollout.reason else "")


def _steps(steps: Sequence[Step], rollout: RolloutStatus, now: datetime, paint: Paint) -> Iterable[str]:
    current = rollout.step_index or 0
    width = max((len(step.name or "") for step in steps), default=0)
    for index, step in enumerate(steps):
        line = f"{index + 1} {step_text(step, width)}"
        if index < current:
            yield paint.faint(f"  ✔ {line}")
        elif index == current:
            yield f"  {paint.strong(f'▶ {line}')}  {paint.warn(_place(step, rollout, now))}"
        else:
            yield f"  · {line}"
    if current >= len(steps):
        yield f"  {paint.strong('▶ promotion')}  {paint.warn(rollout.step_state or '')}"


def _evidence(analysis: AnalysisStatus | None, paint: Paint) -> Iterable[str]:
    """The verdict on each metric, with its interval."""
    if analysis is None:
        return
    width = max((len(metric.verdict or "") for metric in analysis.metrics), default=0)
    for metric in analysis.metrics:
        mark, tint = _VERDICTS.get(metric.verdict or "", ("…", Paint.warn))
        note = " (dry run)" if metric.dry_run else ""
        yield f"    {tint(paint, mark)} {metric.verdict or '':<{width}}  {metric.message or metric.name}{note}"
        if metric.segments:
            yield from (paint.faint(f"      {line}") for line in _segments(metric.segments, metric.message))
    for example in analysis.examples[:3]:
        yield paint.faint(
            f"      {example.output or example.id}: stable {example.stable}, candidate {example.candidate}"
        )


def _segments(found: SegmentsStatus, said: str | None) -> Iterable[str]:
    """How many groups there are, and the worst of them unless the verdict is about it."""
    judged = "1 group" if found.judged == 1 else f"{found.judged or 'no'} groups"
    small = f", {found.small} with too few requests" if found.small else ""
    worst = f"; the worst is {found.worst}" if found.worst else ""
    yield f"by {found.input}: {judged} judged{small}{worst}"
    if found.message and found.message != said:
        yield found.message


_VERDICTS = {"Pass": ("✔", Paint.good), "Fail": ("✘", Paint.bad)}


def step_text(step: Step, width: int = 0) -> str:
    """Name, weight and what a step waits for; the name is `width` characters wide."""
    return f"{step.name or '':<{width}} {step.weight:>3} %  {_wish(step)}".rstrip()


def _wish(step: Step) -> str:
    parts = [f"hold {durations.format(step.hold)}"] if step.hold else []
    return ", ".join(parts + (["approval"] if step.approval else []))


def _place(step: Step, rollout: RolloutStatus, now: datetime) -> str:
    """The sub-state, and what is left of a hold."""
    state = rollout.step_state or "waiting"
    if state != "Holding" or not rollout.hold_started_at:
        return state
    end = now if not rollout.pause_started_at else moment(rollout.pause_started_at)
    left = step.hold - (end - moment(rollout.hold_started_at))
    if left > timedelta(0):
        return f"{state}, {span(left)} left"
    return f"{state}, waits for approval" if step.approval else state


def _revisions(model: Model, paint: Paint) -> Iterable[str]:
    if not model.status.revisions:
        return
    yield paint.strong("Revisions")
    shares = {share.revision: share for share in model.status.traffic}
    for revision in sorted(model.status.revisions, key=lambda item: item.number or 0, reverse=True):
        share = shares.get(revision.name)
        weight = "–" if share is None else f"{share.desired_weight or 0} %"
        who = f"{revision.number or '?':>3}  {_role(model, revision):<9}"
        what = f"{_ready(revision):<12}  {revision.state or '–':<8}  {revision.version or ''}"
        line = f"  {who}  {weight:>5}  {what}".rstrip() + _lag(share) + _matching(share)
        yield paint.faint(line) if share is None and not revision.reason else line
        if revision.reason:
            yield paint.bad(f"       {revision.reason}") + _more(revision.message or _failure(model, revision))
        elif revision.message:
            yield paint.warn(f"       {revision.message}")


def _lag(share: TrafficShare | None) -> str:
    """What the gateway has not confirmed yet."""
    if share is None or share.programmed_weight in (None, share.desired_weight):
        return ""
    return f"  (the gateway is at {share.programmed_weight} %)"


def _matching(share: TrafficShare | None) -> str:
    """What it gets besides its weight."""
    if share is None:
        return ""
    mirrored = f"  (and copies of {share.mirror_percent} %)" if share.mirror_percent else ""
    return mirrored + ("  (and what candidateMatches names)" if share.match else "")


def _role(model: Model, revision: Revision) -> str:
    stable, candidate = model.status.stable_revision, model.status.candidate_revision
    if stable and stable.name == revision.name:
        return "stable"
    return "candidate" if candidate and candidate.name == revision.name else ""


def _failure(model: Model, revision: Revision) -> str | None:
    """Why it failed, where it was the last one that did."""
    last = model.status.last_failed_revision
    is_it = last is not None and (last.name, last.reason) == (revision.name, revision.reason)
    return last.message if last and is_it else None


def _ready(revision: Revision) -> str:
    pods = revision.replicas
    if pods is None or not (pods.desired or pods.ready):
        return "no pods"
    return f"{pods.ready or 0} of {pods.desired or 0} ready"


def _conditions(model: Model, paint: Paint) -> Iterable[str]:
    """The conditions that matter; what the head or a condition before said is not said again."""
    shown = [item for item in model.status.conditions if _matters(item)]
    if not shown:
        return
    yield paint.strong("Conditions")
    said = {model.status.message, ""}
    for item in shown:
        is_good = item.status == "True" and item.type in _NORMAL
        mark = paint.good("✔") if is_good else paint.bad("✘")
        yield f"  {mark} {item.type}={item.status}  {item.reason}" + _more(_unsaid(item.message, said))
        said.add(item.message)


def _unsaid(message: str, said: set[str | None]) -> str:
    return "" if message in said else message


def _matters(item: Condition) -> bool:
    """Ready always, the others when they tell of something unusual."""
    if item.type == "Ready":
        return True
    if item.type in _ABNORMAL:
        return item.status == "True"
    return item.type in _NORMAL and item.status == "False"


def _more(message: str | None, separator: str = ": ") -> str:
    return f"{separator}{message}" if message else ""


def _next(model: Model, paint: Paint) -> Iterable[str]:
    step = advice.next_step(model)
    if step:
        yield f"{paint.strong('Next')}  {step}"


def moment(text: str | datetime) -> datetime:
    """A time of the status."""
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def span(span: timedelta) -> str:
    """Whole seconds; never below zero, clocks differ."""
    return durations.format(max(timedelta(0), timedelta(seconds=int(span.total_seconds()))))


def table(models: Sequence[Model], paint: Paint = PLAIN) -> str:
    """A line for each object."""
    if not models:
        return "No ModelDeployments found.\n"
    head = ("NAMESPACE", "NAME", "PHASE", "REVISION", "WEIGHT", "MESSAGE")
    return "\n".join(grid.lines(head, [_row(model) for model in models], paint)) + "\n"


def _row(model: Model) -> tuple[str, str, str, str, str, str]:
    status = model.status
    candidate, stable = status.candidate_revision, status.stable_revision
    number = "–" if stable is None else str(stable.number)
    if candidate and (stable is None or candidate.name != stable.name):
        number = f"{number} → {candidate.number}"
    weight = "–" if status.weight is None else f"{status.weight} %"
    return model.namespace, model.name, status.phase or "Pending", number, weight, status.message or ""
