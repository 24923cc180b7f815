"""The closed list of reasons: what each means, its class, and what the person on call does next. Pure.

Conditions, events, metrics and the reference page take reasons from here and from nowhere else.
"""

from collections.abc import Iterable
from typing import Final

from modelway.api.reasons import blocked, environment, state, verdict
from modelway.api.reasons.reason import Class, Reason

__all__ = ["ALL", "Class", "Reason", "find", "markdown", "of_class"]

ALL: Final[tuple[Reason, ...]] = tuple(
    value
    for module in (verdict, environment, blocked, state)
    for value in vars(module).values()
    if isinstance(value, Reason)
)
"""Every reason, by class and in the order of its module."""

_BY_NAME: Final = {reason.name: reason for reason in ALL}

_CLASS_MEANING: Final = {
    Class.VERDICT: "About the revision. It is released and remembered, and the stable revision serves on. "
    "A new spec, `retry` or `undo` helps.",
    Class.ENVIRONMENT: "About the surroundings. Named within a minute; nothing is given up before "
    "`progressDeadline`, and it heals by itself: the candidate is tried again after 5, 15 and 60 minutes, "
    "or at once by `kubectl modelway retry`.",
    Class.BLOCKED: "About the request or the set-up. Nothing is started; it goes on as soon as the spec or "
    "the object in the message changes.",
    Class.STATE: "No fault: where a rollout is.",
}


def find(name: str) -> Reason | None:
    """The reason of that name; None for a word outside the closed list."""
    return _BY_NAME.get(name)


def of_class(category: Class) -> tuple[Reason, ...]:
    """The reasons of a class, in the order of this module."""
    return tuple(reason for reason in ALL if reason.category is category)


def markdown() -> str:
    """The page docs/reference/reasons.md."""
    sections = (line for category in Class for line in _section(category))
    head = (
        "<!-- Generated from operator/src/modelway/api/reasons by `make generate`. Do not edit. -->",
        "# Reasons",
        "Conditions, events and metrics of a ModelDeployment use these reasons and no others.",
        "The class decides what the operator does by itself.",
    )
    return "\n\n".join((*head, *sections)) + "\n"


def _section(category: Class) -> Iterable[str]:
    yield f"## {category}"
    yield _CLASS_MEANING[category]
    for reason in of_class(category):
        yield f"### {reason.name}"
        yield f"{reason.meaning} **Next:** {reason.next_step}"
