"""The manifest: what `fetch` brought, and the only files that the server opens."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from modelway_runtime import digest
from modelway_runtime.digest import File
from modelway_runtime.reasons import Failure, Reason

NAME = f"{digest.OWN_FOLDER}/manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A model on disk: the folder of its files, its digest, the files, and whether the right signer signed them."""

    root: Path
    digest: str
    files: tuple[File, ...]
    is_signed: bool = False

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files' paths below the root."""
        return tuple(file.path for file in self.files)


def write(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest below the model volume; it appears whole or not at all."""
    path = folder / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(encoded(manifest))
    partial.replace(path)


def encoded(manifest: Manifest) -> bytes:
    """The manifest as a file holds it; a root without a slash at its start is one below that of the file."""
    body = {
        "root": str(manifest.root),
        "digest": manifest.digest,
        "files": [asdict(file) for file in manifest.files],
        "signed": manifest.is_signed,
    }
    return json.dumps(body).encode()


def read(folder: Path) -> Manifest:
    """The manifest that `fetch` wrote."""
    path = folder / NAME
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(File(path=file["path"], sha256=file["sha256"], size=file["size"]) for file in body["files"])
        is_signed = body.get("signed") is True
        return Manifest(root=folder / body["root"], digest=body["digest"], files=files, is_signed=is_signed)
    except FileNotFoundError:
        message = f"{path} does not exist: run `modelway-runtime fetch` first, or `modelway-runtime serve PATH`"
        raise Failure(Reason.MODEL_LOAD_FAILED, message) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{path} is not a manifest: {error}") from error


def of_path(path: Path) -> Manifest:
    """The manifest of a model that lies on this machine."""
    found, files = digest.of_path(path)
    return Manifest(root=path if path.is_dir() else path.parent, digest=found, files=files)


def verify(manifest: Manifest) -> None:
    """Reads every file again and refuses other bytes than those that were fetched."""
    for file in manifest.files:
        path = manifest.root / file.path
        try:
            found = digest.of_file(path)
        except OSError as error:
            raise Failure(Reason.DIGEST_MISMATCH, f"{file.path} cannot be read: {error.strerror}") from error
        if found != file.sha256:
            message = f"{file.path} has sha256 {found}, fetched was {file.sha256}"
            raise Failure(Reason.DIGEST_MISMATCH, message)
