"""The operator's settings, read from MODELWAY_* environment variables."""

import os
import socket
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

PREFIX = "MODELWAY_"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE = "modelway-system"

AnalysisHost = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.:-]*[a-z0-9])?$|^[0-9a-f:]+$")]


def _split(value: Any) -> Any:
    """`a, b` → `("a", "b")`; an empty string is no item."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _own_namespace() -> str:
    """The namespace of this pod; a fixed one outside a cluster."""
    if not SERVICE_ACCOUNT_NAMESPACE.is_file():
        return DEFAULT_NAMESPACE
    return SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()


class Settings(BaseModel):
    """What a chart decides; everything else is in the objects."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runtime_image: str = ""
    """Replaces an empty `image` of the container `model` in a runtime's template."""
    namespaces: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Watched namespaces; none means all."""
    gateway: bool = True
    """Whether HTTPRoutes may be used; once running: may, and the cluster serves them."""
    lease_namespace: str = Field(default_factory=_own_namespace, min_length=1)
    """Namespace of the Lease by which one process leads; this pod's own when absent."""
    lease_name: str = "modelway-operator"
    """Name of that Lease."""
    identity: str = Field(default_factory=socket.gethostname, min_length=1)
    """Who holds the lease, for people; a random suffix makes it unique."""
    workers: int = Field(default=8, ge=1, le=64)
    """ModelDeployments that are worked on at the same time."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """Port of /healthz, /readyz and /metrics."""
    analysis_hosts: Annotated[tuple[AnalysisHost, ...], BeforeValidator(_split)] = ()
    """Hosts that analyses may ask: names, addresses, or `*.ml.svc` for all below it; none means all."""
    analysis_local_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_split)] = ()
    """Networks such as 127.0.0.0/8 that analyses may ask although they are loopback, link-local or cloud metadata."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    default_runtimes: Path | None = None
    """Folder with ClusterModelRuntimes as YAML, applied by the leader."""
    kubeconfig: Path | None = None
    """Instead of the pod's service account."""
    context: str | None = None
    """Context of the kubeconfig; its current one when absent."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read what is set and not empty. Raises pydantic.ValidationError naming each bad field."""
        named = {field: environment.get(PREFIX + field.upper()) for field in cls.model_fields}
        return cls.model_validate({field: value for field, value in named.items() if value})
