"""Artifacts in an OCI registry: files with titles (ORAS), ModelPack and KitOps layers, images that hold a model."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from modelway_runtime.fetch import repository
from modelway_runtime.fetch.repository import Repository
from modelway_runtime.fetch.source import Entry, Listing, Reading, Source, Span, shown
from modelway_runtime.reasons import Failure, Reason

_FORM = "oci://REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST"
_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_TITLES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_PACKED = re.compile(r"tar$|\btar[.+](gzip|gz)$|\.tar\.gzip$")
_LAYER = "application/vnd.oci.image.layer.v1"
_TAR_OF_FOLDER = "io.deis.oras.content.unpack"


def source(uri: str, model_format: str) -> Source:
    """`oci://REGISTRY/REPOSITORY:TAG`, `…@sha256:DIGEST` or both, of which the digest counts."""
    del model_format
    host, name, tag, digest = parsed(uri)
    return _Artifact(uri, Repository(host, name), digest or tag or "latest")


def parsed(uri: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest of an address; the last two may be empty."""
    try:
        host = urlsplit(uri).netloc.rpartition("@")[2]
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {error}") from error
    reference = _REFERENCE.fullmatch(unquote(urlsplit(uri).path).strip("/"))
    if not host or reference is None:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} names no artifact; write {_FORM}")
    return host, reference["repository"], reference["tag"] or "", reference["digest"] or ""


class _Artifact:
    """A manifest and its layers."""

    def __init__(self, uri: str, found: Repository, reference: str) -> None:
        self._uri = uri
        self.repository = found
        self._reference = reference

    def listing(self) -> Listing:
        """The layers as files; the digest is that of the manifest, or of the index, which the reference names."""
        body, digest = self._manifest(self._reference)
        manifest = body
        if body.get("mediaType") in repository.INDEXES or "manifests" in body:
            manifest, _ = self._manifest(self._only(body["manifests"]))
        try:
            entries = tuple(self._entry(layer) for layer in manifest["layers"])
        except (KeyError, TypeError, AttributeError) as error:
            raise self._odd(f"has no layers ({error})") from error
        if not entries:
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(self._uri)} has no layers")
        return Listing(entries=entries, digest=digest, name=digest)

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """A layer's bytes."""
        return self.repository.read(entry.key, span, version)

    def _manifest(self, reference: str) -> tuple[Any, str]:
        return self.repository.described(reference, shown(self._uri))

    def _only(self, manifests: Any) -> str:
        """The one manifest of an index; which of several would be the model nobody says."""
        try:
            found = [str(item["digest"]) for item in manifests if _is_artifact(item)]
        except (KeyError, TypeError, AttributeError) as error:
            raise self._odd(f"lists no manifests ({error})") from error
        if len(found) != 1:
            message = f"{shown(self._uri)} is an index of {len(found)} manifests; name one of them by its digest"
            raise Failure(Reason.FORMAT_MISMATCH, message)
        return found[0]

    def _entry(self, layer: Mapping[str, Any]) -> Entry:
        digest, kind = layer["digest"], layer["mediaType"]
        if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise self._odd(f"has a layer of digest {digest[:80]!r}; only sha256 is known")
        notes = layer.get("annotations") or {}
        title = next((str(notes[name]) for name in _TITLES if name in notes), "")
        if "zstd" in kind:
            raise self._odd("has a layer packed with zstd; pack it with gzip or not at all")
        # oras calls every file that has a title a layer of an image, and notes the folders that it packed.
        is_file = _TITLES[0] in notes and kind.startswith(_LAYER)
        is_packed = notes.get(_TAR_OF_FOLDER) == "true" or (bool(_PACKED.search(kind)) and not is_file)
        return Entry(
            path=title.strip("/") or digest.replace(":", "-"),
            key=self.repository.blob(digest),
            size=int(layer["size"]),
            sha256=digest.removeprefix("sha256:"),
            is_packed=is_packed,
        )

    def _odd(self, what: str) -> Failure:
        return Failure(Reason.FORMAT_MISMATCH, f"The manifest of {shown(self._uri)} {what}")


def _is_artifact(item: Mapping[str, Any]) -> bool:
    """Build tools put attestations beside the manifest."""
    return "vnd.docker.reference.type" not in (item.get("annotations") or {})
