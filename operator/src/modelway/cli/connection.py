"""Which cluster and namespace the command line works on: what kubectl would take."""

import os
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client, config
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from yaml import YAMLError

from modelway.cli.exits import Exit, Failure

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the cluster: what kubectl's flags of the same names say."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


def connect(access: Access) -> tuple[client.ApiClient, str]:
    """A session and the namespace to work in: the flag's, else the context's or the pod's, else `default`."""
    settings = client.Configuration()
    settings.retries = False  # each try may take as long as a request, and who waits asks again anyway
    try:
        namespace = _in_pod(settings) if _is_in_pod(access) else _by_kubeconfig(settings, access)
    except (ConfigException, YAMLError, OSError, TypeError, ValueError) as error:
        raise Failure(
            f"no usable kubeconfig: {error}",
            advice="Name one with --kubeconfig or KUBECONFIG, and a context with --context.",
            code=Exit.UNREACHABLE,
        ) from error
    return client.ApiClient(settings), access.namespace or namespace or "default"


def _is_in_pod(access: Access) -> bool:
    """Whether nothing names a kubeconfig, and the pod that we run in has a service account."""
    names_one = access.kubeconfig or access.context or "KUBECONFIG" in os.environ
    is_there = Path("~/.kube/config").expanduser().exists()
    return not names_one and not is_there and "KUBERNETES_SERVICE_HOST" in os.environ


def _in_pod(settings: client.Configuration) -> str:
    config.load_incluster_config(client_configuration=settings)
    return _POD_NAMESPACE.read_text(encoding="utf-8").strip() if _POD_NAMESPACE.is_file() else ""


def _by_kubeconfig(settings: client.Configuration, access: Access) -> str:
    config.load_kube_config(config_file=access.kubeconfig, context=access.context, client_configuration=settings)
    files = kube_config.KubeConfigMerger(access.kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION)
    # `list_kube_config_contexts` wants a current context, also where another one is named.
    loader = kube_config.KubeConfigLoader(files.config, active_context=access.context)
    return str(loader.current_context["context"].get("namespace") or "")
