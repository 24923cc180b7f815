"""`modelway-runtime pack PATH oci://…`: a model as an artifact, with its files as layers and their paths as titles."""

from dataclasses import replace
from pathlib import Path

from modelway_runtime import digest, units
from modelway_runtime.digest import File
from modelway_runtime.fetch.repository import MANIFESTS
from modelway_runtime.pack import push, signing
from modelway_runtime.pack.push import Blob, Writer
from modelway_runtime.reasons import Reason
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

SIGNATURE = "model.sig"
_FILE = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_EMPTY = "application/vnd.oci.empty.v1+json"
_ARTIFACT = "application/vnd.modelway.model"


def run(path: Path, uri: str, model_format: str, environ: Environ) -> Outcome:
    """Pushes the files and prints what a ModelDeployment names."""
    writer = Writer.of(uri)
    _, files = digest.of_path(path)
    root = path if path.is_dir() else path.parent
    signer = signing.key(Path(environ["MODELWAY_SIGNING_KEY"])) if environ.get("MODELWAY_SIGNING_KEY") else None
    layers = [_layer(root, file) for file in files if signer is None or file.path != SIGNATURE]
    if signer:
        named = [file for file in files if file.path != SIGNATURE]
        content = signing.signed(named, signer, path.resolve().name, SIGNATURE)
        layers.append(push.of_bytes(_FILE, content, {_TITLE: SIGNATURE}))
    config = push.of_bytes(_EMPTY, b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "artifactType": _ARTIFACT,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    found = writer.push([*layers, config], manifest)
    size = sum(layer.size for layer in layers)
    print(f"Pushed {len(layers)} files, {units.text(size)}, to {uri}. In the ModelDeployment:\n")
    print(_spec(uri, found, model_format, signing.public(signer) if signer else ""))
    return Outcome(reason=Reason.COMPLETED, message="Pushed", digest=found, size=size)


def _layer(root: Path, file: File) -> Blob:
    return replace(
        push.of_bytes(_FILE, b"", {_TITLE: file.path}), sha256=file.sha256, size=file.size, content=root / file.path
    )


def _spec(uri: str, found: str, model_format: str, public_key: str) -> str:
    lines = ["spec:", "  model:", f"    uri: {uri}", f"    digest: {found}", f"    format: {model_format}"]
    if public_key:
        indented = [f"        {line}" for line in public_key.splitlines()]
        lines += ["    trust: Signed", "    signature:", "      publicKey: |", *indented]
    return "\n".join(lines)
