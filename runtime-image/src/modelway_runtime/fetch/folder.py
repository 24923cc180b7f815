"""Files that this machine already has as sources: a mounted claim (pvc) is used in place, a local path is copied."""

import os
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from modelway_runtime import digest
from modelway_runtime.fetch.source import Entry, Listing, Reading, Source, Span
from modelway_runtime.reasons import Failure, Reason

MOUNTS = Path("/mnt")
"""Where claims are mounted, each in a folder of its name."""

_CHUNK = 4 << 20


def claim(uri: str, model_format: str) -> Source:
    """`pvc://CLAIM/PATH`: the claim is mounted read-only, nothing is copied."""
    del model_format
    parts = urlsplit(uri)
    path = PurePosixPath(unquote(parts.path).lstrip("/"))
    if parts.netloc in ("", ".", "..") or ".." in path.parts:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{uri} is not a path in a claim; write pvc://CLAIM/PATH")
    return _InPlace(MOUNTS / parts.netloc / path)


def local(uri: str, model_format: str) -> Source:
    """`file:///PATH`, or a plain path."""
    del model_format
    return _Copied(Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri))


class _InPlace:
    """A folder that server and `fetch` both see."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> Listing:
        """Only the place: the digest is taken where the files lie."""
        _check_readable(self._path)
        return Listing(place=self._path, is_folder=self._path.is_dir())

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """Nothing is copied."""
        del span, version
        raise AssertionError(f"{entry.path} is used in place")


class _Copied:
    """A file or a folder on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> Listing:
        """The files below the path."""
        _check_readable(self._path)
        if self._path.is_file():
            return Listing(entries=(self._entry(self._path.name, self._path),), is_folder=False)
        names = digest.listing(self._path)
        if not names:
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{self._path} is empty")
        return Listing(entries=tuple(self._entry(name, self._path / name) for name in names))

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """The file's bytes, all of them."""
        del span, version
        return Reading(pieces=self._pieces(entry), size=entry.size)

    @staticmethod
    def _pieces(entry: Entry) -> Generator[bytes, None, None]:
        try:
            with Path(entry.key).open("rb") as stream:
                while piece := stream.read(_CHUNK):
                    yield piece
        except OSError as error:
            raise unreadable(Path(entry.key), error) from error

    @staticmethod
    def _entry(name: str, path: Path) -> Entry:
        return Entry(path=name, key=str(path), size=path.stat().st_size)


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> Failure:
    """A file or folder of the model that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return Failure(Reason.ARTIFACT_NOT_FOUND, f"{path} does not exist")
    if isinstance(error, PermissionError):
        return Failure(Reason.CREDENTIALS_DENIED, f"{path} is not readable for uid {os.getuid()}; check its mode")
    return Failure(Reason.DOWNLOAD_TIMEOUT, f"{path} cannot be read: {error.strerror}")
