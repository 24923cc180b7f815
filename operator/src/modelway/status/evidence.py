"""The analysis as the status shows it: the verdict on each metric, and the one that follows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modelway.analysis.archive import Archive
from modelway.analysis.verdicts import Judgement, Segments, Verdict, combined
from modelway.kinds import Manifest
from modelway.plan.record import timestamp
from modelway.status.view import View

EXAMPLES_SHOWN, SILENT_SHOWN = 3, 10
"""The ConfigMap of the rollout has more."""
MESSAGE_LIMIT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The judgements to show: those of the present step, else those of the last one that was judged."""

    step: int
    since: datetime
    decided_at: datetime | None
    judgements: Sequence[Judgement]


def shown(view: View) -> Shown | None:
    """None where nothing has been judged yet in the recorded rollout."""
    archive = view.plan.archive
    if not _is_about_record(view, archive):
        return None
    if archive.current is not None and view.plan.judgements:
        current = archive.current
        return Shown(step=current.step, since=current.since, decided_at=None, judgements=view.plan.judgements)
    if not archive.decisions:
        return None
    last = archive.decisions[-1]
    return Shown(step=last.step, since=last.since, decided_at=last.until, judgements=last.judgements)


def _is_about_record(view: View, archive: Archive) -> bool:
    last = view.plan.record.rollout
    return last is not None and archive.rollout == last.id


def analysis(view: View) -> Manifest:
    """`status.rollout.analysis`; empty where nothing has been judged."""
    found = shown(view)
    if found is None:
        return {}
    worst, current = combined(found.judgements), view.plan.archive.current
    manifest: Manifest = {
        "step": found.step,
        "since": timestamp(found.since),
        "metrics": [_metric(item) for item in found.judgements],
    }
    if worst is not None:
        manifest |= {"verdict": str(worst.verdict), "message": worst.message}
    if found.decided_at is not None:
        return manifest | {"decidedAt": timestamp(found.decided_at)}
    if current is not None:
        examples = [dict(item) for item in current.examples[:EXAMPLES_SHOWN]]
        parts = {"examples": examples, "silent": list(current.silent[:SILENT_SHOWN])}
        manifest |= {key: value for key, value in parts.items() if value}
    return manifest


def _metric(item: Judgement) -> Manifest:
    figures = {
        "estimate": item.estimate,
        "low": item.low,
        "high": item.high,
        "limit": item.limit,
    }
    return {
        "name": item.metric,
        "verdict": str(item.verdict),
        "message": item.message[:MESSAGE_LIMIT],
        "samples": item.samples,
        **({"needed": item.needed} if item.needed else {}),
        **({"dryRun": True} if item.is_dry_run else {}),
        **{key: _short(value) for key, value in figures.items() if value is not None},
        **({"segments": _segments(item.segments)} if item.segments else {}),
    }


def _segments(found: Segments) -> Manifest:
    counts: Manifest = {"input": found.input, "judged": found.judged, "small": found.small}
    return counts | ({"worst": found.worst, "message": found.message[:MESSAGE_LIMIT]} if found.worst else {})


def _short(value: float) -> float:
    """Four digits say all that an estimate knows."""
    return float(f"{value:.4g}")


def passing(view: View) -> tuple[str, str, str] | None:
    """Status, reason and message of the condition AnalysisPassing; None where nothing is to be judged."""
    strategy, last = view.strategy, view.plan.record.rollout
    if strategy is None or last is None or not strategy.analysis or not strategy.analysis.metrics:
        return None
    found = shown(view)
    worst = combined(found.judgements) if found else None
    if worst is None:
        return ("Unknown", "NotStarted", "No step has been judged yet") if view.rollout else None
    if worst.verdict is Verdict.PASS:
        return "True", "Pass", worst.message
    return ("False" if worst.verdict is Verdict.FAIL else "Unknown"), str(worst.verdict), worst.message
