"""What a reason is. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """What a reason is about; it decides what the operator does by itself."""

    VERDICT = "Verdict"
    ENVIRONMENT = "Environment"
    BLOCKED = "Blocked"
    STATE = "State"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason of a condition or event."""

    name: str
    category: Class
    meaning: str
    next_step: str

    @property
    def anchor(self) -> str:
        """Anchor of its section in docs/reference/reasons.md."""
        return self.name.lower()

    def __str__(self) -> str:
        return self.name
