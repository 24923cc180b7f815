"""Writes blobs and manifests into a repository of an OCI registry; what is there already is not sent again."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from modelway_runtime import logs, units
from modelway_runtime.fetch import client, oci
from modelway_runtime.fetch.client import Answer
from modelway_runtime.fetch.patience import Patience
from modelway_runtime.fetch.repository import Repository
from modelway_runtime.reasons import Failure, Reason, UsageError

_BYTES = "application/octet-stream"
PATIENCE_SECONDS = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes that a manifest names, in a file or here."""

    kind: str
    sha256: str
    size: int
    content: Path | bytes
    annotations: Mapping[str, str]

    @property
    def digest(self) -> str:
        """As a manifest writes it."""
        return f"sha256:{self.sha256}"

    def descriptor(self) -> dict[str, Any]:
        """The blob in a manifest."""
        described = {"mediaType": self.kind, "digest": self.digest, "size": self.size}
        return described | ({"annotations": dict(self.annotations)} if self.annotations else {})

    def opened(self) -> BinaryIO:
        """From its first byte on."""
        return self.content.open("rb") if isinstance(self.content, Path) else BytesIO(self.content)


def of_bytes(kind: str, content: bytes, annotations: Mapping[str, str] | None = None) -> Blob:
    """A small blob."""
    found = hashlib.sha256(content).hexdigest()
    return Blob(kind=kind, sha256=found, size=len(content), content=content, annotations=annotations or {})


class Writer:
    """A repository and a tag in it. What is there already is not sent again; no answer in 45 seconds ends it."""

    def __init__(self, repository: Repository, tag: str) -> None:
        self._repository, self._tag = repository, tag
        self._patience = Patience(PATIENCE_SECONDS)

    @classmethod
    def of(cls, uri: str) -> "Writer":
        """By the address of an artifact with a tag; raises UsageError without one."""
        host, name, tag, pinned = oci.parsed(uri)
        if pinned or not tag:
            raise UsageError(f"{uri} has no tag; write oci://REGISTRY/NAME:TAG")
        return cls(Repository(host, name, "pull,push"), tag)

    def push(self, blobs: list[Blob], manifest: Mapping[str, Any]) -> str:
        """All blobs, then the manifest, which is there whole or not at all; gives its digest."""
        for blob in blobs:
            if not self.has(blob.digest):
                self.put(blob)
        body = json.dumps(manifest).encode()
        headers = {"Content-Type": str(manifest["mediaType"])}
        self._asked("PUT", f"{self._repository.base}/manifests/{self._tag}", headers, of_bytes("", body))
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def has(self, digest: str, mounted_from: Repository | None = None) -> bool:
        """Whether a blob is there, or can be taken over from another repository of the same registry."""
        if self._asked("HEAD", self._repository.blob(digest), {}, None, allowed=(404,)).status == 200:
            return True
        if mounted_from is None or mounted_from.origin != self._repository.origin:
            return False
        query = urlencode({"mount": digest, "from": mounted_from.name})
        url = f"{self._repository.base}/blobs/uploads/?{query}"
        return self._asked("POST", url, {}, of_bytes("", b"")).status == 201

    def put(self, blob: Blob) -> None:
        """Sends a blob."""
        logs.write("Pushing", digest=blob.digest, size=units.text(blob.size))
        begun = self._asked("POST", f"{self._repository.base}/blobs/uploads/", {}, of_bytes("", b""))
        place = urljoin(begun.url, begun.headers.get("location", ""))
        separator = "&" if urlsplit(place).query else "?"
        self._asked("PUT", f"{place}{separator}digest={blob.digest}", {"Content-Type": _BYTES}, blob)
        logs.write("Pushed", digest=blob.digest, size=units.text(blob.size))

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: Blob | None, *, allowed: tuple[int, ...] = ()
    ) -> Answer:
        answer = self._patience.tried(lambda: _asked(self._repository, method, url, headers, body, allowed=allowed))
        answer.pieces.close()
        return answer


def _asked(
    repository: Repository,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Blob | None,
    *,
    allowed: tuple[int, ...] = (),
) -> Answer:
    """A success or an allowed status; a refusal is tried with a new token. Raises Failure, or Transient."""
    answer = _sent(repository, method, url, headers, body)
    if answer.status == 401:
        answer.pieces.close()
        repository.authorize(answer)
        answer = _sent(repository, method, url, headers, body)
    if answer.status in allowed:
        return answer
    try:
        client.check(answer)
    except Failure as failure:
        if failure.reason is not Reason.CREDENTIALS_DENIED:
            raise
        way = f"log in with `docker login {repository.host}`, or set OCI_USERNAME and OCI_PASSWORD"
        raise Failure(failure.reason, f"{failure.message}; {way}") from failure
    return answer


def _sent(repository: Repository, method: str, url: str, headers: Mapping[str, str], body: Blob | None) -> Answer:
    # A registry may take uploads at another place, which is told nothing but the bytes.
    known = repository.headers() if url.startswith(f"{repository.origin}/") else {}
    if body is None:
        return client.send(method, url, {**headers, **known}, None)
    with closing(body.opened()) as stream:
        return client.send(method, url, {**headers, **known, "Content-Length": str(body.size)}, stream)
