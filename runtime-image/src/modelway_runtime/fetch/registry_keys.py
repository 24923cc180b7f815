"""Who a fetch is to an OCI registry: a Docker configuration from a Secret, or a user and a password. Pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from modelway_runtime.reasons import Failure, Reason

NAMES = (".dockerconfigjson", "DOCKER_CONFIG_JSON")
"""The environment variables that hold such a file. The first is the key that Kubernetes itself asks for."""
USER, PASSWORD = "OCI_USERNAME", "OCI_PASSWORD"


def basic(host: str, environ: Mapping[str, str]) -> str:
    """The value of the header Authorization, empty for a stranger."""
    if environ.get(USER):
        return _encoded(f"{environ[USER].strip()}:{environ.get(PASSWORD, '').strip()}")
    for name in NAMES:
        if environ.get(name, "").strip():
            return _of_file(host, name, environ[name])
    return ""


def _of_file(host: str, name: str, text: str) -> str:
    try:
        auths: Mapping[str, Any] = json.loads(text)["auths"]
        for server, entry in auths.items():
            if _host(server) == host or (host == "docker.io" and _host(server) == "index.docker.io"):
                return _of_entry(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # What stands there is a secret, so it is not shown.
        raise Failure(Reason.CREDENTIALS_DENIED, f"{name} is not the JSON of a Docker configuration") from error
    return ""


def _host(server: str) -> str:
    """`https://index.docker.io/v1/` is how the oldest clients name it."""
    return server.partition("://")[2].partition("/")[0] if "://" in server else server.partition("/")[0]


def _of_entry(entry: Mapping[str, str]) -> str:
    if entry.get("auth"):
        return f"Basic {entry['auth'].strip()}"
    # A helper of Docker's keeps the secret elsewhere.
    return _encoded(f"{entry['username']}:{entry['password']}") if entry else ""


def _encoded(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
