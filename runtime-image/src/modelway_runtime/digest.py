"""Digests: the identity of a model's bytes, the same however they were fetched."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelway_runtime.reasons import Failure, Reason

CHUNK = 1 << 20
OWN_FOLDER = ".modelway"
"""Where `fetch` keeps its manifest; never part of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a model: its path with `/` below the root, its hash in hex and its size in bytes."""

    path: str
    sha256: str
    size: int


def of_file(path: Path) -> str:
    """The sha256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_files(files: Iterable[File]) -> str:
    """The digest of a folder: sha256 over the lines `<sha256>  <path>`, sorted bytewise by path."""
    ordered = sorted(files, key=lambda file: file.path.encode())
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in ordered)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def of_path(path: Path) -> tuple[str, tuple[File, ...]]:
    """The digest of a file or a folder, and its files."""
    if path.is_file():
        only = File(path=path.name, sha256=of_file(path), size=path.stat().st_size)
        return f"sha256:{only.sha256}", (only,)
    files = tuple(
        File(path=name, sha256=of_file(path / name), size=(path / name).stat().st_size) for name in listing(path)
    )
    return of_files(files), files


def is_name(path: str) -> bool:
    """Whether a path is text on one line, as the digest of a folder needs it."""
    return not any(sign < " " or "\ud800" <= sign <= "\udfff" for sign in path)


def listing(root: Path) -> tuple[str, ...]:
    """The paths of all files below a folder, without our own; a link that leads out of the folder is an error."""
    inside = root.resolve()
    names = []
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if name.split("/", 1)[0] == OWN_FOLDER or not path.is_file():
            continue
        if not path.resolve().is_relative_to(inside):
            message = f"{name} is a link that leads out of the model's folder"
            raise Failure(Reason.FORMAT_MISMATCH, message)
        if not is_name(name):
            raise Failure(Reason.FORMAT_MISMATCH, f"{name!r} is not a name in UTF-8 on one line")
        names.append(name)
    return tuple(sorted(names, key=str.encode))


def of_text(text: str) -> str:
    """The sha256 of a text in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
