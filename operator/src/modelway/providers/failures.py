"""Why there is no answer. Pure."""

from modelway.plan import quotes

MOST_QUOTED_BYTES = 200


class NoAnswer(Exception):
    """There is no usable answer; the text says why, in a few words that a status may show."""


def short(text: str) -> str:
    """Foreign text for a message: one line, without credentials, at most 200 bytes."""
    return quotes.quoted(text).encode()[:MOST_QUOTED_BYTES].decode(errors="ignore")
