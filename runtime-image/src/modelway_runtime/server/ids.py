"""Ids of requests: the one that its caller gave, or else a number that no other request has."""

from itertools import count

HEADER = "x-request-id"
"""In requests and in answers; over gRPC it is metadata."""
MOST_SIGNS = 128


class Ids:
    """Gives ids that begin with the name of this start of the process; a random one would cost ten times as much."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._next = count(1).__next__

    def of(self, given: str | None, header: bytes | str | None) -> str:
        """A request's id: the one in its body, in its header, or a new one. What is no id is passed over."""
        if given and is_id(given):
            return given
        text = header.decode("latin-1") if isinstance(header, bytes) else header
        return text if text and is_id(text) else f"{self._run}-{self._next():x}"


def is_id(text: str) -> bool:
    """Whether a text can stand in a header and in a line of a log as it is."""
    return len(text) <= MOST_SIGNS and text.isascii() and text.isprintable() and text.strip() == text != ""
