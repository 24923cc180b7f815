"""Writes blobs and manifests into a repository of an OCI registry; what is there already is not sent again."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from modelway_runtime import logs, units
from modelway_runtime.fetch import client
from modelway_runtime.fetch.client import Answer
from modelway_runtime.fetch.patience import Patience
from modelway_runtime.fetch.repository import Repository
from modelway_runtime.reasons import Failure, Reason

_BYTES = "application/octet-stream"


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


def push(repository: Repository, blobs: list[Blob], manifest: Mapping[str, Any], tag: str, patience: Patience) -> str:
    """All blobs, then the manifest, which is there whole or not at all; gives its digest."""
    for blob in blobs:
        patience.tried(lambda blob=blob: _put_blob(repository, blob))  # type: ignore[misc]  # binds it now
    body = json.dumps(manifest).encode()
    headers = {"Content-Type": str(manifest["mediaType"])}
    url = f"{repository.base}/manifests/{tag}"
    _done(patience.tried(lambda: _asked(repository, "PUT", url, headers, of_bytes("", body))))
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _put_blob(repository: Repository, blob: Blob) -> None:
    there = _asked(repository, "HEAD", repository.blob(blob.digest), {}, None, allowed=(404,))
    _done(there)
    if there.status == 200:
        return
    begun = _asked(repository, "POST", f"{repository.base}/blobs/uploads/", {}, of_bytes("", b""))
    _done(begun)
    place = urljoin(begun.url, begun.headers.get("location", ""))
    separator = "&" if urlsplit(place).query else "?"
    _done(_asked(repository, "PUT", f"{place}{separator}digest={blob.digest}", {"Content-Type": _BYTES}, blob))
    logs.write("Pushed", digest=blob.digest, size=units.text(blob.size))


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


def _done(answer: Answer) -> None:
    answer.pieces.close()
