"""Signatures of models (OpenSSF Model Signing 1.0): who made it, and that the files are those that were signed.

A signature is a Sigstore bundle: a DSSE envelope around an in-toto statement that names every file with its sha256. It
is verified here, offline, with a public key or a certificate authority: the format's own library, model-signing, brings
90 MB for what is a page of code without its keyless mode. Only `fetch` imports this, and only when it is asked for.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelway_runtime.digest import File
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.settings import SignatureSettings

PAYLOAD = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"
_LARGEST = 32 << 20
HASHES: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


def verified(files: Sequence[File], root: Path, wanted: SignatureSettings) -> tuple[File, ...]:
    """The signed files; raises Failure unless these are exactly the files that the right signer signed.

    Files that the signer left out, as README.md may be, are nobody's word and left out here.
    """
    try:
        statement = json.loads(_payload(_bundle(files, root, wanted.file), wanted))
        signed, left_out = _named(statement)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _invalid(f"{wanted.file} is no signature of a model: {type(error).__name__} {error}") from error
    left_out |= {wanted.file}
    found = {file.path: file for file in files if not _is_left_out(file.path, left_out)}
    for path in sorted(found.keys() | signed.keys()):
        if path not in signed:
            raise _invalid(f"{path} is not among the files that were signed")
        if path not in found:
            raise _invalid(f"{path} was signed and is missing")
        if found[path].sha256 != signed[path]:
            raise _invalid(f"{path} has sha256 {found[path].sha256}, signed was {signed[path]}")
    return tuple(found.values())


def _invalid(what: str) -> Failure:
    return Failure(Reason.SIGNATURE_INVALID, " ".join(what.split())[:600])


def _is_left_out(path: str, left_out: set[str]) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in left_out)


def _bundle(files: Sequence[File], root: Path, name: str) -> dict[str, Any]:
    size = next((file.size for file in files if file.path == name), None)
    if size is None:
        raise _invalid(f"The model has no file {name}; sign its folder, and name the folder in the URI")
    if size > _LARGEST:
        raise _invalid(f"{name} has {size} bytes, which no signature has")
    bundle: dict[str, Any] = json.loads((root / name).read_bytes())
    return bundle


def _payload(bundle: Mapping[str, Any], wanted: SignatureSettings) -> bytes:
    """The signed statement, once the signature over it holds."""
    envelope = bundle["dsseEnvelope"]
    if envelope["payloadType"] != PAYLOAD or len(envelope["signatures"]) != 1:
        raise ValueError("not one signature over an in-toto statement")
    payload = base64.b64decode(envelope["payload"], validate=True)
    key = _key(bundle["verificationMaterial"], wanted)
    made = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    try:
        key.verify(made, encoded(payload), ec.ECDSA(_hash(key)))
    except InvalidSignature as error:
        raise _invalid("The signature was made with another key than the one given, or over something else") from error
    return payload


def encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's encoding, so that a payload of one type is never taken for one of another."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _hash(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    return HASHES[key.curve.key_size]


def _named(statement: Mapping[str, Any]) -> tuple[dict[str, str], set[str]]:
    """The sha256 of each signed file, and the paths that the signer left out."""
    if statement["predicateType"] != PREDICATE:
        raise ValueError(f"a predicate of type {str(statement['predicateType'])[:80]}")
    predicate = statement["predicate"]
    kind = predicate["serialization"]
    if (kind["method"], kind["hash_type"]) != ("files", "sha256"):
        raise ValueError(f"files are hashed by {kind['method']}, {kind['hash_type']}; only files, sha256 is known")
    resources = predicate["resources"]
    if any(resource["algorithm"] != "sha256" for resource in resources):
        raise ValueError("a file is hashed by something else than sha256")
    whole = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    if [subject["digest"]["sha256"] for subject in statement["subject"]] != [whole]:
        raise ValueError("the files do not sum up to the subject")
    signed = {resource["name"]: resource["digest"] for resource in resources}
    if len(signed) != len(resources):
        raise ValueError("a file is named twice")
    return signed, {str(path) for path in kind.get("ignore_paths", ())}


def _key(material: Mapping[str, Any], wanted: SignatureSettings) -> ec.EllipticCurvePublicKey:
    if wanted.public_key:
        return _curve(_given_key(wanted.public_key), "the public key")
    chain = material["x509CertificateChain"]["certificates"]
    certificates = [x509.load_der_x509_certificate(base64.b64decode(item["rawBytes"])) for item in chain]
    _check_chain(certificates[0], certificates[1:], wanted)
    return _curve(certificates[0].public_key(), "the certificate's key")


def _given_key(pem: str) -> object:
    try:
        return serialization.load_pem_public_key(pem.encode())
    except ValueError as error:
        raise _invalid(f"The public key given is none in PEM: {error}") from error


def _curve(key: object, what: str) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in HASHES:
        raise _invalid(f"{what} is not one of the curves P-256, P-384 and P-521")
    return key


def _check_chain(leaf: x509.Certificate, between: list[x509.Certificate], wanted: SignatureSettings) -> None:
    """A chain to the given authority at the time when the certificate became valid.

    A bundle carries no proof of the time of signing, and models outlive certificates; so, as in the format's own
    library, an expired certificate goes on to vouch for what it signed.
    """
    try:
        roots = x509.load_pem_x509_certificates(wanted.certificate_authority.encode())
    except ValueError as error:
        raise _invalid(f"The authority given holds no certificate in PEM: {error}") from error
    policy = verification.PolicyBuilder().store(verification.Store(roots))
    policy = policy.time(leaf.not_valid_before_utc.replace(tzinfo=None) + timedelta(seconds=1))
    policy = policy.extension_policies(ca_policy=_authorities(), ee_policy=verification.ExtensionPolicy.permit_all())
    try:
        policy.build_client_verifier().verify(leaf, between)
    except verification.VerificationError as error:
        raise _invalid(f"The signer's certificate is not one of the given authority: {error}") from error
    if not _may_sign(leaf):
        raise _invalid("The signer's certificate is not one for signatures")
    if wanted.identity and wanted.identity not in _identities(leaf):
        raise _invalid(f"Signed by {', '.join(sorted(_identities(leaf))) or 'nobody named'}, wanted {wanted.identity}")


def _authorities() -> verification.ExtensionPolicy:
    def is_authority(_: verification.Policy, __: x509.Certificate, found: x509.BasicConstraints) -> None:
        if not found.ca:
            raise ValueError("a certificate that is none of an authority signed another")

    return verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, is_authority
    )


def _may_sign(leaf: x509.Certificate) -> bool:
    try:
        if leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usages


def _identities(leaf: x509.Certificate) -> set[str]:
    """The names that the authority vouches for: mail addresses, URIs, hosts; without any, the common name."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {str(item.value) for item in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return {value for kind in kinds for value in names.get_values_for_type(kind)}
