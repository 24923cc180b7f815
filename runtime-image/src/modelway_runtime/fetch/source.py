"""What a store offers to `fetch`: the files below a URI and their bytes. A store is registered by scheme."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the model: its path below the root, the store's own key, and its size in bytes where known."""

    path: str
    key: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lies at a URI. A model that need not be copied has its place instead of entries."""

    entries: tuple[Entry, ...] = ()
    is_folder: bool = True
    place: Path | None = None


class Source(Protocol):
    """A model in a store. Both methods raise Transient for what may be better in a moment, else Failure."""

    def listing(self) -> Listing:
        """The files at the URI."""

    def read(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, in pieces."""


class Transient(Exception):
    """The store did not answer, or not well; worth another try."""


def shown(uri: str) -> str:
    """A URI without its user and query, which may hold secrets."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition('://')[0]}://…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
