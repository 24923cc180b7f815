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
    trust: Literal["Safe", "Any"] = "Safe"
    """`Safe` loads only formats that cannot run code; `Any` also pickles and models that bring Python
    code."""
    credentials: Credentials | None = None
    """How to identify to the storage. Absent: anonymously."""
    options: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=256)]],
        Field(max_length=32),
        short_keys(MAX_OPTION_LENGTH),
    ] = Field(default_factory=dict)
    """Options for the runtime, which gets them as JSON in MODELWAY_OPTIONS; the bundled runtime has none yet. Values
    are strings: quote numbers and booleans."""
