"""`spec.model`: which bytes are served, and who may read them. Pure."""

import re
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from modelway.api.rules import Rule, Struct
from modelway.api.scalars import SUBDOMAIN, ObjectName, matching, short_keys

SCHEMES: Final = ("s3", "gs", "az", "hf", "oci", "http", "https", "pvc")
"""Where the fetch step can read from."""

MAX_OPTION_LENGTH: Final = 63
"""Of the name of an option."""

_URI = matching(
    f"^({'|'.join(SCHEMES)})://[^/ \\t\\r\\n][^ \\t\\r\\n]*$",
    f"write where the model lies as a URI with one of the schemes {', '.join(SCHEMES)} and without blanks, such as "
    "s3://bucket/folder or pvc://claim/folder",
)
_CLAIM_URI: Final = f"^pvc://{SUBDOMAIN}(/.*)?$"
_UPWARDS: Final = "/[.][.](/|$)"
_CLAIM = Rule(
    cel=f"!self.startsWith('pvc://') || self.matches('{_CLAIM_URI}') && !self.matches('{_UPWARDS}')",
    message="write the name of the PersistentVolumeClaim after pvc:// and a path in it without .., such as "
    "pvc://models/fraud",
    holds=lambda uri: not uri.startswith("pvc://") or bool(re.match(_CLAIM_URI, uri) and not re.search(_UPWARDS, uri)),
)
_DIGEST = matching(
    "^sha256:[0-9a-f]{64}$",
    "write sha256: and 64 hexadecimal digits in lower case, as `modelway-runtime digest PATH` prints them",
)
_FORMAT = matching(
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    "write the format in lower-case letters and digits, such as onnx or sklearn",
)
_NAME = matching(
    "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$",
    "write letters, digits, dots, dashes and underscores: clients use the name in URLs",
)
_PUBLIC_KEY = matching(
    "^[ \\t\\r\\n]*-----BEGIN PUBLIC KEY-----[-A-Za-z0-9+/= \\t\\r\\n]*$",
    "write the public key in PEM; it begins with -----BEGIN PUBLIC KEY-----",
)
_CERTIFICATE = matching(
    "^[ \\t\\r\\n]*-----BEGIN CERTIFICATE-----[-A-Za-z0-9+/= \\t\\r\\n]*$",
    "write certificates in PEM; they begin with -----BEGIN CERTIFICATE-----",
)
_VERSION = matching(
    "^[A-Za-z0-9]([-A-Za-z0-9._+]*[A-Za-z0-9])?$",
    'write letters, digits, dots, dashes, underscores and plus signs, such as "2026-11-20"',
)


RENAMED = (
    "callers have model.name in their paths, and pods of another name answer none of their requests: keep it, and "
    "create a ModelDeployment with the new name beside this one until the callers have moved"
)


class SecretReference(Struct):
    """A Secret in the namespace of the ModelDeployment."""

    name: ObjectName
    """Name of the Secret. Its keys become environment variables of the step that fetches the model, and of
    nothing else."""


class Credentials(Struct):
    """How the step that fetches the model identifies itself to the storage."""

    secret_ref: SecretReference | None = None
    """The Secret that holds the credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    service_account_name: ObjectName | None = None
    """The ServiceAccount that the pods run as, for storage that trusts workload identities. No token is
    mounted by Modelway."""


class Signature(Struct):
    """Who must have signed the model, in the format of OpenSSF Model Signing (`model_signing sign`)."""

    public_key: Annotated[str, StringConstraints(max_length=1024), _PUBLIC_KEY] | None = None
    """The signer's public key in PEM, on the curve P-256, P-384 or P-521."""
    certificate_authority: Annotated[str, StringConstraints(max_length=16384), _CERTIFICATE] | None = None
    """Certificates in PEM, of which one vouches for the signer's own."""
    identity: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """The name that the signer's certificate must have: a mail address, URI or host name, or else the common name.
    Absent: whoever has a certificate of the authority."""
    file: Annotated[str, StringConstraints(min_length=1, max_length=253)] = "model.sig"
    """The signature, in the model's folder."""

    rules = (
        Rule(
            cel="has(self.publicKey) != has(self.certificateAuthority)",
            message="write publicKey or certificateAuthority, one of them",
            holds=lambda signature: (signature.public_key is None) != (signature.certificate_authority is None),
        ),
        Rule(
            cel="!has(self.identity) || has(self.certificateAuthority)",
            message="identity is the name in a certificate: write certificateAuthority beside it, or leave it out",
            holds=lambda signature: signature.identity is None or signature.certificate_authority is not None,
        ),
    )


class ModelSource(Struct):
    """The model: its place, format and identity. Every change here makes a new revision."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100), _NAME] | None = None
    """The name that clients use in `/v2/models/NAME`. Absent: the name of the ModelDeployment. It cannot be
    changed once a revision serves."""
    uri: Annotated[str, StringConstraints(min_length=1, max_length=1024), _URI, _CLAIM]
    """Where the model lies, such as `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`,
    `hf://org/name@revision`, `oci://registry/repository:tag`, `https://host/model.onnx` or `pvc://claim/folder`."""
    format: Annotated[str, StringConstraints(min_length=1, max_length=63), _FORMAT]
    """The format, such as `onnx` or `sklearn`. It selects the runtime that lists it: the highest priority
    wins, and the namespace's own runtimes win over those of the cluster."""
    version: Annotated[str, StringConstraints(min_length=1, max_length=63), _VERSION] | None = None
    """The version, for people, metrics and the protocols' metadata. Quote it in YAML when it looks like a
    number or a date."""
    digest: Annotated[str, StringConstraints(max_length=71), _DIGEST] | None = None
    """Pin on the bytes: `sha256:` and 64 hexadecimal digits. Absent: the bytes that the revision's first pod
    fetched are the pin for all later pods."""
    trust: Literal["Safe", "Signed", "Any"] = "Safe"
    """`Safe` loads only formats that cannot run code; `Any` also pickles and models that bring Python
    code; `Signed` the same, but only what the signer of `signature` has signed."""
    signature: Signature | None = None
    """Who must have signed the model. It is verified whatever `trust` says."""
    credentials: Credentials | None = None
    """How to identify to the storage. Absent: anonymously."""
    options: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=256)]],
        Field(max_length=32),
        short_keys(MAX_OPTION_LENGTH),
    ] = Field(default_factory=dict)
    """Options for the runtime, which gets them as JSON in MODELWAY_OPTIONS. The bundled runtime has these:
    `versions: Ignore` loads a model that other versions of its libraries saved; `optimize: Onnx` serves an estimator
    or a booster through ONNX, and `optimize: Int8` with weights of eight bits, where that answers the same, within
    `optimizeTolerance`. Values are strings: quote numbers and booleans."""

    rules = (
        Rule(
            cel="self.trust != 'Signed' || has(self.signature)",
            message="trust: Signed needs signature: write the signer's publicKey or certificateAuthority there",
            holds=lambda model: model.trust != "Signed" or model.signature is not None,
        ),
    )
