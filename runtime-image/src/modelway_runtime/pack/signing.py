"""Signatures by key, as `fetch` verifies them (OpenSSF Model Signing 1.0)."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from modelway_runtime.digest import File
from modelway_runtime.fetch import signature
from modelway_runtime.reasons import UsageError

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT = "https://in-toto.io/Statement/v1"


def key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM file; raises UsageError."""
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is no private key in PEM without a password: {str(error)[:100]}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.curve.key_size not in signature.HASHES:
        way = "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"
        raise UsageError(f"{path} is not a key on P-256, P-384 or P-521; make one with `{way}`")
    return found


def public(signer: ec.EllipticCurvePrivateKey) -> str:
    """The public key in PEM, which a ModelDeployment names."""
    return signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(files: Sequence[File], signer: ec.EllipticCurvePrivateKey, title: str, name: str) -> bytes:
    """The content of the file `name`, which vouches for all the others; the same files give the same bytes."""
    statement = json.dumps(_statement(files, title, name)).encode()
    hashed = ec.ECDSA(signature.HASHES[signer.curve.key_size], deterministic_signing=True)
    made = signer.sign(signature.encoded(statement), hashed)
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(public(signer).encode()).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": signature.PAYLOAD,
            "signatures": [{"sig": base64.b64encode(made).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def _statement(files: Sequence[File], title: str, name: str) -> dict[str, object]:
    ordered = sorted(files, key=lambda file: file.path)
    whole = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in ordered)).hexdigest()
    return {
        "_type": _STATEMENT,
        "subject": [{"name": title, "digest": {"sha256": whole}}],
        "predicateType": signature.PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [name],
            },
            "resources": [{"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in ordered],
        },
    }
