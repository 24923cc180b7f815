"""How a manifest becomes a write: created where it is missing, applied where it differs, else left alone. Pure."""

from collections.abc import Iterator

from modelway.kinds import Kind, Manifest
from modelway.plan.actions import Action, Apply, Create, Delete
from modelway.resources.merge import holds


def ensured(kind: Kind, stored: Manifest | None, manifest: Manifest, note: str) -> Iterator[Action]:
    """Create what is missing, apply what differs, leave alone what holds."""
    if stored is None:
        yield Create(kind=kind, manifest=manifest, note=note)
    elif not holds(stored, manifest):
        is_repair = _is_same_intent(stored, manifest)
        note = f"{note}: repair" if is_repair else note
        yield Apply(kind=kind, manifest=identified(stored, manifest), note=note, is_repair=is_repair)


def identified(stored: Manifest, manifest: Manifest) -> Manifest:
    """With the uid of the object that is meant: an apply would create one that somebody has just deleted."""
    return manifest | {"metadata": manifest["metadata"] | {"uid": stored["metadata"]["uid"]}}


def _is_same_intent(stored: Manifest, manifest: Manifest) -> bool:
    """Whether we asked for just this before, so that somebody else changed it."""
    parts = ("labels", "annotations")
    return all(holds(stored["metadata"].get(part), manifest["metadata"].get(part, {})) for part in parts)


def guarded(stored: Manifest | None, manifest: Manifest) -> Manifest:
    """With the resourceVersion that the decision was made from, so that a late write fails."""
    if stored is None:
        return manifest
    version = {"resourceVersion": stored["metadata"]["resourceVersion"]}
    return manifest | {"metadata": manifest["metadata"] | version}


def delete(kind: Kind, manifest: Manifest, note: str) -> Delete:
    """Delete this very object."""
    metadata = manifest["metadata"]
    return Delete(kind=kind, name=metadata["name"], uid=metadata["uid"], note=note)
