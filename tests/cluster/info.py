"""What a test or the demo has to know of a cluster, whichever it is."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The Gateway that routes attach to, and where this machine reaches it."""

    name: str
    namespace: str
    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The S3 server that holds models. `folder` has the buckets, and is empty when it is elsewhere."""

    endpoint_in_cluster: str
    endpoint_on_host: str
    access_key: str
    secret_key: str
    region: str
    bucket: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """A cluster that runs. `gateway` and `s3` are None when it has none; an empty text is not known."""

    kind: str
    kubeconfig: str
    context: str
    host_ip: str
    gateway: Gateway | None
    s3: Storage | None
    bin: dict[str, str]
    audit_log: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_dict(raw: dict[str, Any]) -> Info:
    gateway, storage = raw["gateway"], raw["s3"]
    return Info(
        **{
            **raw,
            "gateway": Gateway(**gateway) if gateway else None,
            "s3": Storage(**storage) if storage else None,
        }
    )
