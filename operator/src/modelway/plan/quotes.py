"""Foreign text as status may quote it: printable, without what looks like a credential, short. Pure.

A container's last words may be the end of its log (`FallbackToLogsOnError`), which anybody's code wrote.
"""

import re

LIMIT = 512
"""Bytes."""

HIDDEN = "[redacted]"

_KEY = (
    r"[\w.-]*(?:passw(?:or)?d|pwd|secret|token|signature|credentials?|sig|"
    r"(?:api|access|account|private)[-_]?key(?:[-_]?id)?)"
)
_CREDENTIALS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(-----END [^-]*-----|$)", re.DOTALL), HIDDEN),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b(bearer)\s+[\w.+/=~-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[=:]\s*[\"']?)(?:basic\s+)?[^\s\"'\[]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), HIDDEN),
    (re.compile(rf"(?i)(?<![\w.-])({_KEY})([\"']?\s*[=:]\s*[\"']?)(?!\[redacted)[^\s\"'&,;]+"), rf"\1\2{HIDDEN}"),
)


def quoted(text: str) -> str:
    """One line of at most 512 bytes, without control characters, lone surrogates and credentials."""
    for pattern, shown in _CREDENTIALS:
        text = pattern.sub(shown, text)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line.encode(errors="ignore")[:LIMIT].decode(errors="ignore")
