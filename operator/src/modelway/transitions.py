"""What happened between one status and the next: rollouts that ended, commands that were answered. Pure.

Each write of a status is one transition, and the next one begins where it ended; so each of these is found once.
"""

from collections.abc import Mapping, Sequence

from modelway.kinds import Manifest

_GOING = ("Promoted", "FastPromoted")


def ended(old: Manifest, new: Manifest) -> Sequence[Manifest]:
    """The lines of the history that are new, oldest first: a rollout may give way to the next in one write."""
    known = {line["id"] for line in old.get("history", ())}
    return [line for line in new.get("history", ()) if line["id"] not in known]


def answered(old: Manifest, new: Manifest) -> Manifest | None:
    """The command that was answered, if one was. A value that was only seen to be gone is no answer."""
    before, now = (_command(status) for status in (old, new))
    is_later = now.get("at") != before.get("at")
    is_another = any(now.get(raw) and now.get(raw) != before.get(raw) for raw in ("raw", "rawAbort"))
    return dict(now) if now.get("result") and (is_later or is_another) else None


def _command(status: Manifest) -> Mapping[str, str]:
    return (status.get("rollout") or {}).get("lastCommand") or {}


def went_back_since(line: Manifest, new: Manifest) -> str | None:
    """When the way back began that ends with this line of the history; None where traffic did not go back."""
    rollout = new.get("rollout") or {}
    is_return = line.get("strategy") == "Return" and line["outcome"] in _GOING
    if is_return:
        return str(line["startedAt"])
    return rollout.get("turnedBackAt") if rollout.get("id") == line["id"] else None
