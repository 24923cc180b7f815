"""One line on standard error for each step that takes time."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def elapsed(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(verb: str, what: str) -> Iterator[None]:
    """Print `verb what` when it begins and add the elapsed time when it is done."""
    begin = time.monotonic()
    interactive = sys.stderr.isatty()
    line = f"{verb:<8} {what}"
    print(line, end=" ", file=sys.stderr, flush=True) if interactive else say(f"{line} …")
    try:
        yield
    except BaseException:
        say("failed" if interactive else f"{line} failed")
        raise
    took = elapsed(time.monotonic() - begin)
    say(took if interactive else f"{line} {took}")
