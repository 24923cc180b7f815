"""How urgent a key is."""

from enum import IntEnum


class Lane(IntEnum):
    """A lower number is served first."""

    HIGH = 0
    """A user's change, a child's event, a due wake-up."""
    LOW = 1
    """The first list, a sweep, a changed runtime."""
