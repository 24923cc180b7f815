"""What the demo prints: acts, facts, and one live line, which a pipe gets only now and then."""

import os
import shutil
import sys
import time

from modelway.cli.paint import Paint

_PIPE_SECONDS = 3.0
_WIDE = 118
"""Columns that the live line takes with a bar of 24; a narrower terminal gets a shorter one."""


class Screen:
    """Prints to standard output, with colours and a live line on a terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self.paint = Paint(self._is_terminal and "NO_COLOR" not in os.environ)
        self._began = time.monotonic()
        self._live_at = 0.0
        self._is_live = False

    def act(self, title: str, sentence: str, command: str) -> None:
        """An act begins: what will happen, and what one would type for it."""
        self.say(f"\n{self.paint.strong(f'━━ {title}')}  {self.paint.faint(self._clock())}")
        self.say(f"   {sentence}")
        for line in command.splitlines():
            self.say(f"   {self.paint.faint('$')} {line}")

    def fact(self, text: str) -> None:
        """Something that came about."""
        self.say(f"   {self.paint.good('✔')} {text}")

    def quote(self, text: str) -> None:
        """Output of a program."""
        for line in text.rstrip().splitlines():
            self.say(f"   {self.paint.faint('│')} {line}")

    def trouble(self, text: str) -> None:
        """Something that went wrong."""
        self.say(f"   {self.paint.bad('✘')} {text}")

    def say(self, text: str) -> None:
        """One or more lines."""
        if self._is_live:
            sys.stdout.write("\n")
            self._is_live = False
        print(text, flush=True)

    def live(self, text: str) -> None:
        """The live line: replaced in place on a terminal, now and then printed elsewhere."""
        if self._is_terminal:
            sys.stdout.write(f"\r\x1b[K   {text[: _columns() - 4]}")
            sys.stdout.flush()
            self._is_live = True
        elif time.monotonic() - self._live_at >= _PIPE_SECONDS:
            print(f"   {text}", flush=True)
            self._live_at = time.monotonic()

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes}:{seconds:02}"


def bar(share: float) -> str:
    """`0.25` → a quarter full."""
    length = 24 if _columns() >= _WIDE else 6
    full = round(share * length)
    return "█" * full + "░" * (length - full)


def _columns() -> int:
    return shutil.get_terminal_size(fallback=(120, 24)).columns
