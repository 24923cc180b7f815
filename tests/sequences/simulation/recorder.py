"""Takes the Events that the operator would write, for the golden logs and for counting."""

from collections.abc import Callable
from typing import Literal

from modelway.kinds import Manifest


class Recorder:
    """Keeps what it is told, and tells it on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.events: list[tuple[str, str, str]] = []

    def record(self, owner: Manifest, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """One Event."""
        self.events.append((type, reason, message))
        self._tell(f"event    {reason}: {message}")
