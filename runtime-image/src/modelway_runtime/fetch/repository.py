"""A repository of an OCI registry: its address, and who we are to it."""

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from modelway_runtime.fetch import client, registry_keys
from modelway_runtime.fetch.client import Answer
from modelway_runtime.fetch.source import Reading, Span, shown
from modelway_runtime.reasons import Failure, Reason

INSECURE = "MODELWAY_INSECURE_REGISTRIES"
"""Registries that are asked over http, with commas between them; those on the loopback always are."""

INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LONGEST_MANIFEST = 4 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Repository:
    """Asks with user and password, or with a token for these actions. A token lives for minutes only."""

    def __init__(self, host: str, name: str, actions: str = "pull") -> None:
        self.host, self.name = host, name
        self._actions = actions
        self._scheme = "http" if _is_plain(host) else "https"
        # What people call docker.io answers at another name.
        server = "registry-1.docker.io" if host == "docker.io" else host
        self.origin = f"{self._scheme}://{server}"
        self.base = f"{self.origin}/v2/{name}"
        self.authorization = ""

    def headers(self) -> dict[str, str]:
        """Who we are, if that was asked for."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def manifest(self, reference: str) -> Answer:
        """The answer to a question for a manifest or an index; raises for anything but a success."""
        url = f"{self.base}/manifests/{quote(reference, safe=':')}"
        accept = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
        answer = client.get(url, accept | self.headers())
        if answer.status == 401 and not self.authorization:
            answer.pieces.close()
            self.authorize(answer)
            answer = client.get(url, accept | self.headers())
        client.check(answer)
        return answer

    def described(self, reference: str, called: str) -> tuple[dict[str, Any], str]:
        """A manifest or an index, and its digest; where that is named, nothing else passes. `called`: in messages."""
        raw = self.manifest(reference).body(LONGEST_MANIFEST)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if reference.startswith("sha256:") and digest != reference:
            raise Failure(Reason.DIGEST_MISMATCH, f"{called} gives the manifest {digest} for {reference}")
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise Failure(Reason.FORMAT_MISMATCH, f"The manifest of {called} is no JSON") from error
        if not isinstance(body, dict):
            raise Failure(Reason.FORMAT_MISMATCH, f"The manifest of {called} is no object")
        return body, digest

    def read(self, url: str, span: Span, version: str) -> Reading:
        """Bytes of a layer; a refusal is tried with a new token."""
        try:
            return client.read(url, span, version, self.headers())
        except Failure as failure:
            if failure.reason is not Reason.CREDENTIALS_DENIED:
                raise
            challenge = client.get(url, method="HEAD")
            challenge.pieces.close()
            self.authorize(challenge)
            return client.read(url, span, version, self.headers())

    def blob(self, digest: str) -> str:
        """The address of a layer."""
        return f"{self.base}/blobs/{digest}"

    def authorize(self, answer: Answer) -> None:
        """As the registry asks for it in this answer: user and password, or a token that they are exchanged for."""
        kind, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        user = registry_keys.basic(self.host, os.environ)
        if kind.lower() == "basic":
            self.authorization = user
            return
        asked = dict(_CHALLENGE.findall(rest))
        realm = asked.get("realm", "")
        if kind.lower() != "bearer" or not realm.startswith(("https://", f"{self._scheme}://")):
            return
        query = {"scope": f"repository:{self.name}:{self._actions}"}
        if "service" in asked:
            query["service"] = asked["service"]
        separator = "&" if "?" in realm else "?"
        self.authorization = _token(f"{realm}{separator}{urlencode(query)}", user)


def _token(url: str, user: str) -> str:
    answer = client.opened(url, {"Authorization": user} if user else {})
    try:
        body: Mapping[str, str] = json.loads(answer.body(LONGEST_MANIFEST))
        return f"Bearer {body.get('token') or body['access_token']}"
    except (ValueError, KeyError, AttributeError) as error:
        raise Failure(Reason.CREDENTIALS_DENIED, f"{shown(url)} answers without a token") from error


def _is_plain(host: str) -> bool:
    if host in (name.strip() for name in os.environ.get(INSECURE, "").split(",")):
        return True
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
