"""Artifacts in an OCI registry: files with titles (ORAS), ModelPack and KitOps layers, images that hold a model."""

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

from modelway_runtime.fetch import client, registry_keys
from modelway_runtime.fetch.client import Answer
from modelway_runtime.fetch.source import Entry, Listing, Reading, Source, Span, shown
from modelway_runtime.reasons import Failure, Reason

_FORM = "oci://REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST"
_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LONGEST_MANIFEST = 4 << 20
_TITLES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_PACKED = re.compile(r"tar$|\btar[.+](gzip|gz)$|\.tar\.gzip$")
_LAYER = "application/vnd.oci.image.layer.v1"
_TAR_OF_FOLDER = "io.deis.oras.content.unpack"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
INSECURE = "MODELWAY_INSECURE_REGISTRIES"
"""Registries that are asked over http, with commas between them; those on the loopback always are."""


def source(uri: str, model_format: str) -> Source:
    """`oci://REGISTRY/REPOSITORY:TAG`, `…@sha256:DIGEST` or both, of which the digest counts."""
    del model_format
    try:
        host = urlsplit(uri).netloc.rpartition("@")[2]
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {error}") from error
    reference = _REFERENCE.fullmatch(unquote(urlsplit(uri).path).strip("/"))
    if not host or reference is None:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} names no artifact; write {_FORM}")
    return _Artifact(uri, host, reference["repository"], reference["digest"] or reference["tag"] or "latest")


class _Artifact:
    """A manifest and its layers."""

    def __init__(self, uri: str, host: str, repository: str, reference: str) -> None:
        self._uri = uri
        self._host = host
        self._scheme = "http" if _is_plain(host) else "https"
        # What people call docker.io answers at another name.
        server = "registry-1.docker.io" if host == "docker.io" else host
        self._base = f"{self._scheme}://{server}/v2/{repository}"
        self._repository = repository
        self._reference = reference
        self._authorization = ""

    def listing(self) -> Listing:
        """The layers as files; the digest is that of the manifest, or of the index, which the reference names."""
        body, digest = self._manifest(self._reference)
        manifest = body
        if body.get("mediaType") in _INDEXES or "manifests" in body:
            manifest, _ = self._manifest(self._only(body["manifests"]))
        try:
            entries = tuple(self._entry(layer) for layer in manifest["layers"])
        except (KeyError, TypeError, AttributeError) as error:
            raise self._odd(f"has no layers ({error})") from error
        if not entries:
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(self._uri)} has no layers")
        return Listing(entries=entries, digest=digest, name=digest)

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """A layer's bytes. A token lives for minutes only, so a refusal is tried with a new one."""
        try:
            return client.read(entry.key, span, version, self._headers())
        except Failure as failure:
            if failure.reason is not Reason.CREDENTIALS_DENIED:
                raise
            challenge = client.get(entry.key, method="HEAD")
            challenge.pieces.close()
            self._authorize(challenge)
            return client.read(entry.key, span, version, self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _manifest(self, reference: str) -> tuple[Any, str]:
        url = f"{self._base}/manifests/{quote(reference, safe=':')}"
        accept = {"Accept": ", ".join((*_MANIFESTS, *_INDEXES))}
        answer = client.get(url, accept | self._headers())
        if answer.status == 401 and not self._authorization:
            answer.pieces.close()
            self._authorize(answer)
            answer = client.get(url, accept | self._headers())
        client.check(answer)
        raw = answer.body(_LONGEST_MANIFEST)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if reference.startswith("sha256:") and digest != reference:
            raise Failure(Reason.DIGEST_MISMATCH, f"{shown(self._uri)} gives the manifest {digest} for {reference}")
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise self._odd("is no JSON") from error
        if not isinstance(body, dict):
            raise self._odd("is no object")
        return body, digest

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
            key=f"{self._base}/blobs/{digest}",
            size=int(layer["size"]),
            sha256=digest.removeprefix("sha256:"),
            is_packed=is_packed,
        )

    def _odd(self, what: str) -> Failure:
        return Failure(Reason.FORMAT_MISMATCH, f"The manifest of {shown(self._uri)} {what}")

    def _authorize(self, answer: Answer) -> None:
        """As the registry asks for it: with user and password, or with a token that they are exchanged for."""
        kind, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        user = registry_keys.basic(self._host, os.environ)
        if kind.lower() == "basic":
            self._authorization = user
            return
        asked = dict(_CHALLENGE.findall(rest))
        realm = asked.get("realm", "")
        if kind.lower() != "bearer" or not realm.startswith(("https://", f"{self._scheme}://")):
            return
        query = {"scope": f"repository:{self._repository}:pull"}
        if "service" in asked:
            query["service"] = asked["service"]
        separator = "&" if "?" in realm else "?"
        token = client.opened(f"{realm}{separator}{urlencode(query)}", {"Authorization": user} if user else {})
        try:
            body = json.loads(token.body(_LONGEST_MANIFEST))
            self._authorization = f"Bearer {body.get('token') or body['access_token']}"
        except (ValueError, KeyError, AttributeError) as error:
            raise Failure(Reason.CREDENTIALS_DENIED, f"{shown(realm)} answers without a token") from error


def _is_artifact(item: Mapping[str, Any]) -> bool:
    """Build tools put attestations beside the manifest."""
    return "vnd.docker.reference.type" not in (item.get("annotations") or {})


def _is_plain(host: str) -> bool:
    if host in (name.strip() for name in os.environ.get(INSECURE, "").split(",")):
        return True
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
