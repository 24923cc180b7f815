"""Takes the Events that the operator would write, for the golden logs, and counts as the process does."""

from collections.abc import Callable
from typing import Literal

from modelway.kinds import Manifest
from modelway.metrics import Metrics
from modelway.tally import Tally


class Recorder:
    """Keeps what it is told, and tells it on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.events: list[tuple[str, str, str]] = []
        self.metrics = Metrics()
        self._tally = Tally(self.metrics)

    def applied(self, action: str) -> None:
        """A write was made."""
        self._tally.applied(action)

    def repaired(self, kind: str) -> None:
        """What somebody had changed was put back."""
        self._tally.repaired(kind)

    def moved(self, old: Manifest, new: Manifest) -> None:
        """A status was written over another one."""
        self._tally.moved(old, new)

    def record(self, owner: Manifest, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """One Event."""
        self.events.append((type, reason, message))
        self._tell(f"event    {reason}: {message}")
