"""The token service of a registry, as those of the public registries: who asks with the password gets a token."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from stores.registry import PASSWORD, USER

ISSUER, SERVICE = "acme-tokens", "acme-registry"


@dataclass(slots=True)
class Tokens:
    """A token service and the certificate by which a registry knows its tokens."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = self._certified()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def _certified(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return made.sign(self.key, hashes.SHA256())

    def token(self, scope: str, actions: list[str], seconds: int = 300) -> str:
        """A JWT for one repository, signed by ES256."""
        kind, _, rest = scope.partition(":")
        name = rest.rpartition(":")[0]
        now = int(time.time())
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        access = [{"type": kind, "name": name, "actions": actions}]
        times = {"iat": now - 10, "nbf": now - 10, "exp": now + seconds}
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": USER, "jti": "1", "access": access, **times}
        text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
        pair = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(b''.join(number.to_bytes(32, 'big') for number in pair))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def running(folder: Path) -> Iterator[tuple[Tokens, dict[str, str]]]:
    """The service, and what a registry's environment says of it."""
    held = Tokens()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"held": held}))
    held.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    bundle = folder / "tokens.pem"
    bundle.write_bytes(held.certificate.public_bytes(serialization.Encoding.PEM))
    told = {"REALM": held.url, "SERVICE": SERVICE, "ISSUER": ISSUER, "ROOTCERTBUNDLE": str(bundle)}
    try:
        settings = {f"REGISTRY_AUTH_TOKEN_{key}": value for key, value in told.items()}
        yield held, {"REGISTRY_AUTH": "token", **settings}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    held: Tokens

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        scope = query["scope"][0]
        self.held.asked.append(scope)
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        is_known = self.headers.get("Authorization") == f"Basic {pair}" and query["service"] == [SERVICE]
        # The public registries give strangers a token, too; it opens nothing that is private.
        actions = scope.rpartition(":")[2].split(",") if is_known else []
        body = json.dumps({"token": self.held.token(scope, actions)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
