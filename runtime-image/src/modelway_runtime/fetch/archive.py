"""Unpacks an archive into a folder: regular files only, and never more than the limits, whatever it claims."""

import gzip
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISLNK
from typing import IO, Protocol, cast

from modelway_runtime import units
from modelway_runtime.digest import File
from modelway_runtime.fetch import download
from modelway_runtime.fetch.patience import check_size
from modelway_runtime.reasons import Failure, Reason

_TARS = (".tar", ".tar.gz", ".tgz")
_ZIPS = (".zip",)
MAX_RATIO = 200
"""How often larger than the archive its content may be; zeros are packed to a thousandth."""
_SMALL = 64 << 20
"""Bytes that may come out whatever the ratio."""
_LONGEST_HEADER = 1 << 20
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_CHUNK = 1 << 20


def is_archive(name: str) -> bool:
    """Whether a file is one by its name."""
    return name.lower().endswith((*_TARS, *_ZIPS))


def unpack(path: Path, name: str, folder: Path, *, max_bytes: int) -> tuple[File, ...]:
    """The files that came out into a folder that holds nothing of these names."""
    unpacking = _Unpacking(folder, name, _Bound(path, max_bytes))
    with _translated(name):
        if _starts_as_zip(path):
            _unzip(path, unpacking)
        else:
            _untar(path, unpacking)
    if not unpacking.files:
        raise Failure(Reason.FORMAT_MISMATCH, f"{name} holds no file")
    return tuple(unpacking.files)


class _Bound:
    """Counts what comes out, against the model's limit and the archive's own size."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._packed = path.stat().st_size
        self._max_bytes = max_bytes
        self._size = 0

    def add(self, count: int) -> None:
        self._size += count
        check_size(self._size, self._max_bytes)
        if self._size > max(_SMALL, MAX_RATIO * self._packed):
            message = f"The archive of {units.text(self._packed)} grows more than {MAX_RATIO} times when unpacked"
            raise Failure(Reason.ARTIFACT_TOO_LARGE, message)


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


class _Unpacking:
    """The folder that is filled."""

    def __init__(self, folder: Path, name: str, bound: _Bound) -> None:
        self._folder = folder
        self._name = name
        self._bound = bound
        self._entries = 0
        self.files: list[File] = []

    def count(self) -> None:
        """One more entry, of whatever kind."""
        self._entries += 1
        download.check_count(self._entries)

    def count_bytes(self, count: int) -> None:
        """Bytes that came out and are no file's."""
        self._bound.add(count)

    def refuse(self, path: str, what: str) -> Failure:
        """The archive is none that a model comes in."""
        return Failure(Reason.FORMAT_MISMATCH, f"{self._name} holds {path[:200]!r}, {what}; pack regular files only")

    def add(self, path: str, stream: _Readable) -> None:
        """A file's bytes."""
        path = path.removeprefix("./")
        if not download.is_safe(path):
            raise self.refuse(path, "which is not a path inside a folder")
        target = self._folder / path
        hashing, size = hashlib.sha256(), 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while piece := stream.read(_CHUNK):
                    size += len(piece)
                    self._bound.add(len(piece))
                    hashing.update(piece)
                    file.write(piece)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise self.refuse(path, "twice, or as a file and a folder") from error
        except OSError as error:
            if error.filename is None and not error.errno:
                # Not ours: the archive's own end.
                raise
            raise download.local_failure(target, error) from error
        self.files.append(File(path=path, sha256=hashing.hexdigest(), size=size))


def _starts_as_zip(path: Path) -> bool:
    """By its first bytes: the library looks at the last, where a tar may hold a zip."""
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _unzip(path: Path, unpacking: _Unpacking) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            unpacking.count()
            if S_ISLNK(member.external_attr >> 16):
                raise unpacking.refuse(member.filename, "a link")
            if member.flag_bits & 1:
                raise unpacking.refuse(member.filename, "which is encrypted")
            if not member.is_dir():
                with archive.open(member) as stream:
                    unpacking.add(member.filename, stream)


class _Member(tarfile.TarInfo):
    """A header whose long names and attributes are bounded; the library would read any length into memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


def _untar(path: Path, unpacking: _Unpacking) -> None:
    with _unzipped(path) as packed, tarfile.open(fileobj=packed, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            unpacking.count()
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise unpacking.refuse(member.name, "a link, a device or a sparse file")
            stream: IO[bytes] | None = archive.extractfile(member)
            if stream is not None:
                unpacking.add(member.name, stream)
        # The check of all bytes stands at their end.
        while rest := packed.read(_CHUNK):
            unpacking.count_bytes(len(rest))


def _unzipped(path: Path) -> IO[bytes]:
    """The bytes of the tar. The tar library's own gunzip takes a file that was cut for a whole one."""
    with path.open("rb") as stream:
        is_zipped = stream.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if is_zipped else path.open("rb")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """A broken archive in our words."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Failure(Reason.FORMAT_MISMATCH, f"{name} cannot be unpacked: {str(error)[:200]}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise Failure(Reason.FORMAT_MISMATCH, f"{name} cannot be unpacked: {type(error).__name__}") from error
