"""A registry (distribution) with artifacts in it, pushed as `oras push` does."""

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import tools, versions
from stores import processes

USER, PASSWORD = "reader", "not-a-real-password"
# bcrypt of the password above.
_HTPASSWD = f"{USER}:$2a$04$aJ8lPXXOsvVGSoTuB5Sy7.g8Kbq5uuTHv0vl3YyYwdnx0XzXHc2RS\n"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
FILE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Layer:
    """Bytes with a title, a media type and further annotations."""

    title: str
    content: bytes
    kind: str = FILE
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    """Where it listens, and how a writer identifies itself."""

    port: int
    authorization: str = ""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def push(self, repository: str, tag: str, layers: Sequence[Layer]) -> str:
        """The manifest's digest."""
        described = [self._layer(repository, layer) for layer in layers]
        config = self.blob(repository, b"{}") | {"mediaType": "application/vnd.oci.empty.v1+json"}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
        return self.put(repository, tag, manifest)

    def put(self, repository: str, tag: str, manifest: Mapping[str, Any]) -> str:
        """A manifest or an index under a tag; its digest."""
        body = json.dumps(manifest).encode()
        kind = {"Content-Type": str(manifest["mediaType"])}
        self._asked("PUT", f"/v2/{repository}/manifests/{tag}", body, kind)
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def _layer(self, repository: str, layer: Layer) -> dict[str, Any]:
        titles = {"org.opencontainers.image.title": layer.title} if layer.title else {}
        notes = titles | dict(layer.annotations)
        return self.blob(repository, layer.content) | {"mediaType": layer.kind, "annotations": notes}

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Bytes without a manifest; what a manifest names them by."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self._asked("POST", f"/v2/{repository}/blobs/uploads/", b"", {})["location"]
        target = place.removeprefix(f"http://{self.host}")
        separator = "&" if "?" in target else "?"
        self._asked("PUT", f"{target}{separator}digest={digest}", content, {"Content-Type": FILE})
        return {"digest": digest, "size": len(content)}

    def _asked(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        sent = dict(headers) | ({"Authorization": self.authorization} if self.authorization else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert 200 <= answer.status < 300, said
        return {name.lower(): value for name, value in answer.getheaders()}


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Registry]:
    """A registry that asks for nothing but what the environment tells it."""
    tools.ensure((versions.REGISTRY,))
    folder.mkdir(parents=True, exist_ok=True)
    port = processes.free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    command = (str(tools.binary(versions.REGISTRY.name)), "serve", str(folder / "config.yml"))
    with processes.running(command, port, folder, environment):
        yield Registry(port)


@contextmanager
def private(folder: Path) -> Iterator[Registry]:
    """A registry that asks for a user and a password."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(_HTPASSWD)
    settings = {"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM": "models"}
    with running(folder, settings | {"REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd")}) as held:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        yield Registry(held.port, f"Basic {pair}")
