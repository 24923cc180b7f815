"""Colours of a terminal, or none. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paint:
    """Wraps text in colours where `is_on`; piped output and NO_COLOR get plain text."""

    is_on: bool = False

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_on and text else text

    def strong(self, text: str) -> str:
        """For headings and what is current."""
        return self._wrap("1", text)

    def faint(self, text: str) -> str:
        """For what is over or does not matter now."""
        return self._wrap("2", text)

    def good(self, text: str) -> str:
        """For what is as it should be."""
        return self._wrap("32", text)

    def warn(self, text: str) -> str:
        """For what waits for somebody."""
        return self._wrap("33", text)

    def bad(self, text: str) -> str:
        """For what failed."""
        return self._wrap("31", text)


PLAIN = Paint()
