"""Which refresh of the runtime a revision carries, and whether its runtime is outdated. Pure.

A refresh is part of a revision's identity: the same fields with the runtime as it was at another time are another
revision. Each edit has to find out which one is meant.
"""

from modelway.kinds import Manifest
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import Record
from modelway.resources import revision


def chosen(observed: Observed, record: Record, source: Manifest) -> str:
    """Id of the refresh that the revision of a source carries; empty for none.

    That is what a command said about these very fields. Without one: what stable carries, so that an edit neither
    loses nor repeats a refresh; but a revision of these fields that exists is taken as it is, the one under way first.
    """
    if record.refresh and record.refresh.spec_hash == revision.identity(source):
        return record.refresh.id
    before = previous(observed, record)
    if before is None or not any(item.refresh for item in observed.revisions):
        return ""
    active = record.active.revision if record.active else ""

    def rank(item: Revision) -> tuple[bool, bool, int]:
        return item.name == active, item.refresh == before.refresh, item.number

    same = [item for item in observed.revisions if revision.is_same(item.source, source)]
    return max(same, key=rank, default=before).refresh


def previous(observed: Observed, record: Record) -> Revision | None:
    """What an edit is rendered after: stable, else the last revision."""
    last = observed.revisions[-1] if observed.revisions else None
    return observed.revision(record.stable) or last


def digest(observed: Observed, record: Record, source: Manifest, refresh: str) -> str:
    """What stable is locked to, where a refresh changes its runtime only: the model's bytes are to stay the same."""
    stable = observed.revision(record.stable)
    if stable is None or not refresh or "digest" in source["model"]:
        return ""
    return stable.lock if revision.is_same(stable.source, source) else ""


def is_outdated(observed: Observed, born: Revision) -> bool:
    """Whether the runtime that a revision was rendered from has changed since, or is gone."""
    recorded = born.runtime
    found = (item for item in observed.runtimes if (item.kind, item.name) == (recorded["kind"], recorded["name"]))
    present = next(found, None)
    return present is None or present.recorded != recorded
