"""What follows from a worker process that died: how long to wait before it is started again, or to give up. Pure."""

from dataclasses import dataclass

MOST = 5
"""Deaths in a row after which it is not started again."""
STEADY_SECONDS = 600.0
"""Who has lived so long does not die in a row."""
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Deaths:
    """Those of one worker since it last answered a request, or lived for long."""

    in_row: int = 0

    def after(self, lived: float, *, has_answered: bool) -> "Deaths":
        """One more, of a process that lived so many seconds."""
        is_first = has_answered or lived >= STEADY_SECONDS
        return Deaths(1 if is_first else self.in_row + 1)

    @property
    def is_hopeless(self) -> bool:
        """Whether to give up."""
        return self.in_row >= MOST

    @property
    def pause(self) -> float:
        """Seconds until the next start: none after one death, then 1, 2, 4, …"""
        return 0.0 if self.in_row <= 1 else min(2.0 ** (self.in_row - 2), _LONGEST_PAUSE)
