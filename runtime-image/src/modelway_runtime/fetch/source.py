"""What a store offers to `fetch`: the files below a URI and their bytes. A store is registered by scheme."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the model: its path below the root, the store's own key, its size in bytes and version where known.

    A version is what the store calls these bytes, such as an ETag; other bytes under the same key have another one. A
    store that knows the sha256 (in hex) says it, and other bytes are refused. A packed entry is an archive whose files
    are the model's.
    """

    path: str
    key: str
    size: int | None = None
    version: str = ""
    sha256: str = ""
    is_packed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lies at a URI. A model that need not be copied has its place instead of entries.

    `name` is what a name that may move stands for at this time, such as the commit of a branch. `digest` is given by a
    store that has its own for the whole.
    """

    entries: tuple[Entry, ...] = ()
    is_folder: bool = True
    place: Path | None = None
    name: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes from `start` up to `stop`, which is not among them; without `stop` up to the end."""

    start: int = 0
    stop: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether this is the file."""
        return self.start == 0 and self.stop is None


WHOLE = Span()


class Pieces(Protocol):
    """Bytes as they come, from a connection that `close` ends; a generator is one."""

    def __iter__(self) -> Iterator[bytes]:
        """Itself."""

    def __next__(self) -> bytes:
        """The next piece."""

    def close(self) -> None:
        """Nothing more is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a store answers: pieces from `start` on, and of the whole file the size and version where it tells them.

    `is_partial` says that the store gave the span that was asked for; it may be asked for others.
    """

    pieces: Pieces
    start: int = 0
    size: int | None = None
    version: str = ""
    is_partial: bool = False


class Source(Protocol):
    """A model in a store. Both methods raise Transient for what may be better in a moment, else Failure."""

    def listing(self) -> Listing:
        """The files at the URI."""

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """The bytes of a span, or of the file where the store knows no spans; raises Changed for another version."""


class Transient(Exception):
    """The store did not answer, or not well; worth another try."""


class Changed(Exception):
    """The file is another one than when it was begun; what came of it is worth nothing."""


def shown(uri: str) -> str:
    """A URI without its user and query, which may hold secrets."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition('://')[0]}://…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
