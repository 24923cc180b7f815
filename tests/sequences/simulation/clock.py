"""The clock of the simulated cluster: it moves only when told to."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


class Clock:
    """Call it for the time; every part of one simulation shares it."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move forward; a moment in the past leaves the clock where it is."""
        self._now = max(self._now, moment)

    def step(self, delta: timedelta) -> None:
        """Jump by any amount, also backwards, as NTP does."""
        self._now += delta

    @property
    def elapsed(self) -> float:
        """Seconds since the simulation began."""
        return (self._now - self.start).total_seconds()


def stamp(moment: datetime) -> str:
    """A time as Kubernetes writes it: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """The time that `stamp` wrote."""
    return datetime.fromisoformat(text)
