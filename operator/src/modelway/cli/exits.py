"""How the command line ends: exit codes, and failures that say what to do next."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; `modelway --help` lists them, scripts may rely on them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMEOUT = 4
    OVERTAKEN = 5
    INTERRUPTED = 130
    NOBODY_READS = 141


class Failure(Exception):
    """Something the user must know: what is wrong, and what to do about it."""

    def __init__(self, message: str, *, advice: str = "", code: Exit = Exit.REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code

    def __str__(self) -> str:
        return f"error: {self.message}" + (f"\n  {self.advice}" if self.advice else "")
