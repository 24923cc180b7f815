"""What became of an object's rollouts, and what its revisions are made of, as text and as data. Pure."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from modelway.api.rollout import Rollout, Step
from modelway.api.status import HistoryEntry, Revision
from modelway.cli import grid, view
from modelway.cli.exits import Failure
from modelway.cli.objects import Model
from modelway.cli.paint import PLAIN, Paint
from modelway.kinds import Manifest

PLAN, EVIDENCE = "rollout.json", "evidence.json"
"""Keys of the ConfigMap in which the operator keeps a rollout."""


_ROLLOUTS = ("ROLLOUT", "ENDED", "REVISION", "STRATEGY", "STEPS", "OUTCOME", "REASON", "BY")
_REVISIONS = ("REVISION", "BORN", "VERSION", "STATE", "REASON", "REFRESH", "URI")
_MORE_OF_ROLLOUTS = ("TOOK", "MESSAGE")
_MORE_OF_REVISIONS = ("DIGEST", "IMAGE", "MESSAGE")


def page(model: Model, paint: Paint = PLAIN, output: str | None = None) -> str:
    """The rollouts that ended, newest first, and the revisions that are kept; `wide` output has more columns."""
    is_wide = output == "wide"
    rollouts = [_row(model, line) for line in reversed(model.status.history)]
    kept = sorted(model.status.revisions, key=lambda item: item.number or 0, reverse=True)
    parts = (
        _under_way(model, paint),
        _table(_ROLLOUTS + _MORE_OF_ROLLOUTS * is_wide, rollouts, paint),
        _table(_REVISIONS + _MORE_OF_REVISIONS * is_wide, [_revision_row(item) for item in kept], paint),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n" if any(parts) else "No rollouts yet.\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], paint: Paint) -> list[str]:
    return grid.lines(head, [row[: len(head)] for row in rows], paint) if rows else []


def _under_way(model: Model, paint: Paint) -> list[str]:
    rollout = model.active
    if rollout is None or rollout.id is None:
        return []
    title = paint.strong(f"Rollout {rollout.id}")
    who = f", by {rollout.by}" if rollout.by else ""
    way = _way(model, rollout.from_revision, rollout.revision)
    return [f"{title} of revision {way} is under way{who}: {model.status.message or ''}"]


def _way(model: Model, origin: str | None, target: str | None) -> str:
    return f"{model.number(origin)} → {model.number(target)}" if origin else model.number(target)


def _row(model: Model, line: HistoryEntry) -> tuple[str, ...]:
    steps = f"{line.steps}/{line.step_count}" if line.steps is not None else ""
    return (
        str(line.id),
        _time(line.finished_at),
        _way(model, line.from_revision, line.to_revision),
        line.strategy or "",
        steps,
        line.outcome or "",
        line.reason or "",
        line.by or "",
        _took(line),
        line.message or "",
    )


def _revision_row(revision: Revision) -> tuple[str, ...]:
    model = revision.model
    return (
        str(revision.number or "?"),
        _time(revision.created_at),
        revision.version or "",
        revision.state or "",
        revision.reason or "",
        revision.refresh or "",
        (model.uri if model else None) or "",
        (model.digest if model else None) or "",
        revision.image_digest or "",
        revision.message or "",
    )


def _time(moment: datetime | str | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(moment, datetime) else moment or ""


def _took(line: HistoryEntry) -> str:
    if not (line.started_at and line.finished_at):
        return ""
    return view.span(view.moment(line.finished_at) - view.moment(line.started_at))


def entry(model: Model, number: int) -> Manifest:
    """What the status says of one rollout. Raises Failure where that is forgotten, or never was."""
    status: Manifest = model.manifest.get("status") or {}
    known = [*status.get("history", ()), *filter(None, [status.get("rollout")])]
    found = next((line for line in reversed(known) if line.get("id") == number), None)
    if found is None:
        kept = ", ".join(str(line["id"]) for line in status.get("history", ())) or "none"
        raise Failure(f"rollout {number} of {model.name} is not kept; kept are: {kept}")
    return dict(found)


def rollout(model: Model, number: int, records: Mapping[str, str]) -> Manifest:
    """One rollout as data: its line, the plan that it followed and the evidence, as far as they are kept."""
    found: Manifest = {"rollout": entry(model, number)}
    for name, key in (("plan", PLAN), ("evidence", EVIDENCE)):
        if key in records:
            found[name] = _decoded(records[key])
    return found


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def rollout_page(model: Model, found: Manifest, paint: Paint = PLAIN) -> str:
    """The same as text."""
    parts = [list(_facts(model, found["rollout"], paint)), list(_plan(found, paint)), list(_evidence(found, paint))]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _facts(model: Model, line: Manifest, paint: Paint) -> Iterable[str]:
    name = f"Rollout {line['id']}"
    way = _way(model, line.get("from"), line.get("to") or line.get("revision"))
    yield f"{paint.strong(name)} of {model.name} in {model.namespace}  {line.get('outcome') or 'under way'}"
    steps = f", {line['steps']} of {line['stepCount']} steps" if "steps" in line else ""
    yield f"  revision  {way}, {line.get('strategy', 'unknown strategy')}{steps}"
    yield f"  began     {line.get('startedAt', '')}" + (f", ended {line['finishedAt']}" if "finishedAt" in line else "")
    if line.get("by"):
        yield f"  by        {line['by']}"
    if line.get("reason"):
        yield f"  reason    {line['reason']}" + (f": {line['message']}" if line.get("message") else "")


def _plan(found: Manifest, paint: Paint) -> Iterable[str]:
    if "plan" not in found:
        yield paint.faint("Its plan is not kept any more.")
        return
    yield paint.strong("Plan")
    plan = Rollout.model_validate(found["plan"])
    steps: tuple[Step, ...] = plan.steps if plan.strategy == "Canary" else ()
    yield from (f"  {index} {view.step_text(step)}" for index, step in enumerate(steps, 1))
    others = {key: value for key, value in found["plan"].items() if key != "steps"}
    yield "  " + (", ".join(f"{key} {_text(value)}" for key, value in others.items()) or "the defaults")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _evidence(found: Manifest, paint: Paint) -> Iterable[str]:
    if "evidence" not in found:
        yield paint.faint("No evidence was kept of it.")
        return
    yield paint.strong("Evidence")
    yield from (f"  {line}" for line in json.dumps(found["evidence"], indent=2, ensure_ascii=False).splitlines())


def revision(model: Model, manifests: Iterable[Manifest], number: int) -> Manifest:
    """One revision as data: what it was made from and rendered to. Raises Failure where it is not kept."""
    kept = list(manifests)
    found = next((item for item in kept if item.get("revision") == number), None)
    if found is None:
        numbers = ", ".join(str(item.get("revision")) for item in kept) or "none"
        raise Failure(
            f"revision {number} of {model.name} is not kept; kept are: {numbers}",
            advice="Older ones go by `spec.revisionHistoryLimit`; apply the old spec instead.",
        )
    name, status = found["metadata"]["name"], model.manifest.get("status") or {}
    shown: Manifest = next((item for item in status.get("revisions", ()) if item["name"] == name), {})
    return {"number": number, "name": name, "status": shown, **(found.get("data") or {})}


def revision_page(model: Model, found: Manifest, paint: Paint = PLAIN) -> str:
    """The same as text, without what was rendered."""
    return "\n".join(_revision(model, found, paint)) + "\n"


def _revision(model: Model, found: Manifest, paint: Paint) -> Iterable[str]:
    shown, source, runtime = found["status"], found.get("source", {}), found.get("runtime", {})
    title = f"Revision {found['number']}"
    yield f"{paint.strong(title)} of {model.name} in {model.namespace}  {shown.get('state', '')}".rstrip()
    yield f"  name      {found['name']}"
    yield f"  born      {shown.get('createdAt', 'unknown')}"
    for key, value in {**source.get("model", {}), "digest": shown.get("model", {}).get("digest")}.items():
        if value:
            yield f"  {key:<9} {_text(value)}"
    yield f"  runtime   {runtime.get('kind', '')} {runtime.get('name', '')}, {_image(found)}"
    if found.get("refresh"):
        yield f"  refresh   {found['refresh']}"
    for key, value in source.get("runtime", {}).items():
        yield f"  {key:<9} {_text(value)}"
    if shown.get("reason") or shown.get("message"):
        yield f"  reason    {': '.join(filter(None, (shown.get('reason'), shown.get('message'))))}"


def _image(found: Manifest) -> str:
    containers = found["rendered"]["deployment"]["template"]["spec"]["containers"]
    return next((str(item.get("image", "")) for item in containers if item["name"] == "model"), "")
