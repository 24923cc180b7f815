"""`modelway-runtime pack PATH oci://… --image BASE`: an image that serves a model by itself, written without a daemon.

The layers of the runtime's image, one more with the model and the manifest that `fetch` would write, and a
configuration that names it. The same base and files give the same digest.
"""

import gzip
import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from modelway_runtime import digest, formats, manifest, units
from modelway_runtime.digest import File
from modelway_runtime.fetch import oci, repository
from modelway_runtime.fetch.patience import Patience
from modelway_runtime.fetch.repository import Repository
from modelway_runtime.fetch.source import WHOLE
from modelway_runtime.manifest import Manifest
from modelway_runtime.pack import push
from modelway_runtime.pack.push import Blob, Writer
from modelway_runtime.reasons import Failure, Reason, UsageError
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

_LAYERS = {
    "application/vnd.oci.image.manifest.v1+json": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.distribution.manifest.v2+json": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "AMD64": "amd64"}
_FOLDER = "models"
_CHUNK = 1 << 20


def run(path: Path, uri: str, model_format: str, environ: Environ) -> Outcome:
    """Writes the image into the registry and prints how to run it."""
    if environ.get("MODELWAY_SIGNING_KEY"):
        raise UsageError("--key signs a model that `fetch` verifies; sign an image with a tool for images, as cosign")
    name, files = _named(path, model_format, environ)
    base = _Base(environ["MODELWAY_BASE_IMAGE"])
    writer = Writer.of(uri)
    with tempfile.TemporaryDirectory() as folder:
        layer, content = _layer(path, files, Path(folder) / "layer", base.layer_kind)
        config = push.of_bytes(base.config_kind, _config(base.config, content, name))
        base.copy(writer, Path(folder) / "blob")
        body = base.manifest | {
            "config": config.descriptor(),
            "layers": [*base.manifest["layers"], layer.descriptor()],
        }
        found = writer.push([layer, config], body)
    size = sum(file.size for file in files)
    print(
        f"Pushed {uri}@{found}: {base.shown} with {len(files)} files, {units.text(size)}.\n\n"
        f"docker run --rm --publish 8000:8000 {uri.removeprefix('oci://')}"
    )
    return Outcome(reason=Reason.COMPLETED, message="Pushed", digest=found, size=size)


def _named(path: Path, model_format: str, environ: Environ) -> tuple[Mapping[str, str], tuple[File, ...]]:
    """The settings of the server in the image, and the model's files; what runs code needs trust here."""
    trust = environ.get("MODELWAY_TRUST") or "Safe"
    if trust not in ("Safe", "Any"):
        raise UsageError(
            f"--trust {trust}: write Safe or Any; a pod's signature is checked by `fetch`, not in an image"
        )
    _, files = digest.of_path(path)
    formats.check_trust(formats.find([file.path for file in files], model_format), trust)
    place = path.resolve()
    settings = {
        "MODELWAY_MODEL_NAME": environ.get("MODELWAY_MODEL_NAME") or (place.name if place.is_dir() else place.stem),
        "MODELWAY_MODEL_FORMAT": model_format,
        "MODELWAY_MODEL_PATH": f"/{_FOLDER}",
        "MODELWAY_TRUST": trust,
    }
    return settings, files


class _Base:
    """The runtime's image in its registry."""

    def __init__(self, reference: str) -> None:
        self.shown = reference
        host, name, tag, pinned = oci.parsed(f"oci://{reference}")
        self._patience = Patience(push.PATIENCE_SECONDS)
        self._repository = Repository(host, name)
        try:
            self._understand(pinned or tag or "latest")
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            message = f"{reference} is described in a way that nobody understands: {type(error).__name__}: {error}"
            raise Failure(Reason.FORMAT_MISMATCH, message) from error

    def _understand(self, reference: str) -> None:
        self.manifest = self._read(reference)
        if "manifests" in self.manifest:
            self.manifest = self._read(self._for_this_machine(self.manifest["manifests"]))
        kind, described = str(self.manifest.get("mediaType")), self.manifest.get("config") or {}
        if kind not in _LAYERS:
            raise Failure(Reason.FORMAT_MISMATCH, f"{self.shown} is no image, but {kind}")
        if described["size"] > repository.LONGEST_MANIFEST:
            raise Failure(Reason.FORMAT_MISMATCH, f"{self.shown} has a configuration of {described['size']} bytes")
        self.layer_kind = _LAYERS[kind]
        self.config_kind = described["mediaType"]
        self.config: dict[str, Any] = json.loads(self._patience.tried(lambda: b"".join(self._checked(described))))
        entrypoint = (self.config.get("config") or {}).get("Entrypoint") or []
        if entrypoint[:1] != ["modelway-runtime"]:
            message = f"{self.shown} is not Modelway's runtime or built from it: its entry point is {entrypoint}"
            raise Failure(Reason.FORMAT_MISMATCH, message)

    def _read(self, reference: str) -> dict[str, Any]:
        return self._patience.tried(lambda: self._repository.described(reference, self.shown))[0]

    def copy(self, writer: Writer, file: Path) -> None:
        """The layers into the repository of the new image, through a file where the registry cannot do it itself."""
        for layer in self.manifest["layers"]:
            if writer.has(layer["digest"], mounted_from=self._repository):
                continue
            self._patience.tried(lambda layer=layer: self._brought(layer, file))  # type: ignore[misc]  # binds it now
            hexadecimal = layer["digest"].removeprefix("sha256:")
            writer.put(Blob(kind="", sha256=hexadecimal, size=layer["size"], content=file, annotations={}))

    def _brought(self, layer: Mapping[str, Any], file: Path) -> None:
        with file.open("wb") as stream:
            stream.writelines(self._checked(layer))

    def _for_this_machine(self, manifests: list[dict[str, Any]]) -> str:
        wanted = _MACHINES.get(platform.machine(), platform.machine())
        for item in manifests:
            where = item.get("platform") or {}
            if (where.get("os"), where.get("architecture")) == ("linux", wanted):
                return str(item["digest"])
        message = f"{self.shown} has no image for linux/{wanted}; name the one that you want by its digest"
        raise Failure(Reason.FORMAT_MISMATCH, message)

    def _checked(self, descriptor: Mapping[str, Any]) -> Iterator[bytes]:
        """A blob's bytes; raises Failure where there are more than the manifest says, or at their end others."""
        found, left = hashlib.sha256(), int(descriptor["size"])
        with closing(self._repository.read(self._repository.blob(descriptor["digest"]), WHOLE, "").pieces) as pieces:
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    break
                found.update(piece)
                yield piece
        if left or f"sha256:{found.hexdigest()}" != descriptor["digest"]:
            raise Failure(Reason.DIGEST_MISMATCH, f"{self.shown} gives other bytes for {descriptor['digest']}")


def _layer(path: Path, files: tuple[File, ...], target: Path, kind: str) -> tuple[Blob, str]:
    """The compressed layer in a file, and the digest of what is in it."""
    tar = target.with_suffix(".tar")
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        root = path if path.is_dir() else path.parent
        # Below the folder where it lies, wherever that is mounted.
        found, _ = digest.of_path(path)
        told = manifest.encoded(Manifest(root=Path(), digest=found, files=files))
        _add(archive, f"{_FOLDER}/{manifest.NAME}", io.BytesIO(told), len(told))
        for file in files:
            with (root / file.path).open("rb") as stream:
                _add(archive, f"{_FOLDER}/{file.path}", stream, file.size)
    with tar.open("rb") as stream, target.open("wb") as out, gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        while piece := stream.read(_CHUNK):
            packed.write(piece)
    blob = Blob(kind=kind, sha256=digest.of_file(target), size=target.stat().st_size, content=target, annotations={})
    return blob, f"sha256:{digest.of_file(tar)}"


def _add(archive: tarfile.TarFile, name: str, stream: Any, size: int) -> None:
    """A file that everybody may read and nobody may write, without a time and an owner of its own."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o444
    archive.addfile(info, stream)


def _config(base: Mapping[str, Any], content: str, settings: Mapping[str, str]) -> bytes:
    """The base's configuration with the layer, the settings and the command."""
    run_as = dict(base["config"])
    kept = [entry for entry in run_as.get("Env") or [] if entry.partition("=")[0] not in settings]
    run_as["Env"] = [*kept, *(f"{name}={value}" for name, value in settings.items())]
    run_as["Cmd"] = ["serve"]
    step = {"created_by": f"modelway-runtime pack {settings['MODELWAY_MODEL_NAME']}"}
    if "created" in base:
        step["created"] = base["created"]
    history = {"history": [*base["history"], step]} if "history" in base else {}
    rootfs = {**base["rootfs"], "diff_ids": [*base["rootfs"]["diff_ids"], content]}
    return json.dumps({**base, "config": run_as, "rootfs": rootfs, **history}).encode()
