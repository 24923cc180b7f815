"""A file on a web server, which cannot list folders."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from modelway_runtime.fetch import archive, client
from modelway_runtime.fetch.source import Entry, Listing, Reading, Source, Span, shown
from modelway_runtime.formats import FORMATS
from modelway_runtime.reasons import Failure, Reason


def source(uri: str, model_format: str) -> Source:
    """One file by its URL; with a `/` at the end, the file of the format below it."""
    return _Site(uri, model_format)


class _Site:
    """A URL."""

    def __init__(self, uri: str, model_format: str) -> None:
        self._uri = uri
        self._format = model_format

    def listing(self) -> Listing:
        """The file; its name is the URL's when that has a suffix of the format, else the format's first name."""
        names = [candidate.name for candidate in FORMATS.get(self._format, ())]
        path = unquote(_path(self._uri))
        if not path.endswith("/"):
            entry = Entry(path=_kept_as(PurePosixPath(path).name, names), key=self._uri)
            return Listing(entries=(entry,), is_folder=False)
        for name in names:
            key = self._uri + name
            answer = client.get(key)
            answer.pieces.close()
            if answer.status in (404, 410):
                continue
            client.check(answer)
            return Listing(entries=(Entry(path=name, key=key),), is_folder=False)
        wanted = " or ".join(names) or "a format, to know which file to ask for"
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(self._uri)} has no {wanted}")

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """The file's bytes."""
        return client.read(entry.key, span, version)


def _kept_as(name: str, names: list[str]) -> str:
    """A download's name often says nothing; then the file has the format's first."""
    suffixes = {PurePosixPath(known).suffix for known in names}
    is_known = not names or archive.is_archive(name) or PurePosixPath(name).suffix in suffixes
    return name if is_known else names[0]


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {error}") from error
