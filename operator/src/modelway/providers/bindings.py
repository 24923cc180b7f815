"""What the placeholders of a question stand for. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modelway.analysis.inquiry import Inquiry
from modelway.api.analysis import PLACEHOLDERS
from modelway.providers.failures import NoAnswer

WINDOW = "window"

_PLACEHOLDER = re.compile(rf"\{{\{{\s*({'|'.join(PLACEHOLDERS)})\s*\}}\}}")
_SAFE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?")
"""Hashes and DNS names: what ends no string of a query and opens no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings:
    """The values for one time of asking."""

    values: Mapping[str, str]
    is_early: bool
    """Whether the step's traffic has been settled for less than an interval, so that a window that is worth asking
    about would reach back to before it."""

    def fill(self, text: str) -> str:
        """The text with a value in place of each placeholder. Raises NoAnswer where one has none."""
        return _PLACEHOLDER.sub(self._value, text)

    def is_too_early_for(self, text: str) -> bool:
        """Whether the text asks about a window that is too short yet."""
        return self.is_early and any(found[1] == WINDOW for found in _PLACEHOLDER.finditer(text))

    def _value(self, found: re.Match[str]) -> str:
        name = found[1]
        value = self.values.get(name, "")
        if not _SAFE.fullmatch(value):
            raise NoAnswer(f"Nothing that a query may hold stands for {{{{{name}}}}} now")
        return value


def bound(inquiry: Inquiry, now: datetime) -> Bindings:
    """The values now. The window reaches back to when the step's traffic had settled, and is an interval at least."""
    settled = _since(inquiry)
    elapsed = now - settled if settled else timedelta()
    values = {name: inquiry.bindings.get(name, "") for name in PLACEHOLDERS}
    if settled:
        values[WINDOW] = f"{int(max(elapsed, inquiry.interval).total_seconds())}s"
    return Bindings(values=values, is_early=settled is not None and elapsed < inquiry.interval)


def _since(inquiry: Inquiry) -> datetime | None:
    try:
        since = datetime.fromisoformat(inquiry.bindings.get("since", ""))
    except ValueError:
        return None
    return since if since.tzinfo else since.replace(tzinfo=UTC)
