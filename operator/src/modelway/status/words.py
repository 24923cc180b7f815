"""Troubles in words: the cause, and what the person on call does next. Pure."""

from modelway.api import reasons
from modelway.plan.trouble import Trouble


def _next_step(name: str) -> str:
    found = reasons.find(name)
    return f" {found.next_step}" if found and found.next_step != "Nothing to do." else ""


def explained(trouble: Trouble) -> str:
    """Cause and next step, for where the reason stands beside it; a cause that was explained stays as it is."""
    step = _next_step(trouble.reason)
    return f"{trouble.message.removesuffix(step).removesuffix('.')}.{step}"


def told(trouble: Trouble) -> str:
    """Reason, cause and next step, for where nothing stands beside it."""
    return f"{trouble.reason}: {explained(trouble)}"
