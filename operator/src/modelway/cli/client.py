"""What the command line asks of the API server; its errors come out as failures with a next step."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from modelway import kinds
from modelway.cli.exits import Exit, Failure
from modelway.kinds import Manifest

FIELD_MANAGER = "modelway-cli"
_LIMIT: dict[str, Any] = {"_request_timeout": 10}
"""Seconds that one request may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the cluster: what kubectl's flags of the same names say."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


class Client:
    """ModelDeployments of one namespace."""

    def __init__(self, access: Access) -> None:
        self._session, self.namespace = _connect(access)
        self._objects = client.CustomObjectsApi(self._session)

    def get(self, name: str) -> Manifest:
        """One object."""
        with _explained(self.namespace, name):
            found = self._objects.get_namespaced_custom_object(*self._place(), name, **_LIMIT)
        return cast(Manifest, found)

    def list(self, *, everywhere: bool) -> list[Manifest]:
        """All objects of the namespace, or of the cluster."""
        kind = kinds.MODEL_DEPLOYMENT
        with _explained(self.namespace, ""):
            if everywhere:
                found = self._objects.list_cluster_custom_object(kind.group, kind.version, kind.plural, **_LIMIT)
            else:
                found = self._objects.list_namespaced_custom_object(*self._place(), **_LIMIT)
        return list(cast(Manifest, found)["items"])

    def annotate(self, name: str, annotation: str, value: str, *, dry_run: bool) -> Manifest:
        """The object after the annotation was written, or would have been."""
        options = _LIMIT | ({"dry_run": "All"} if dry_run else {})
        body = {"metadata": {"annotations": {annotation: value}}}
        with _explained(self.namespace, name):
            found = self._objects.patch_namespaced_custom_object(
                *self._place(),
                name,
                body,
                field_manager=FIELD_MANAGER,
                _content_type="application/merge-patch+json",
                **options,
            )
        return cast(Manifest, found)

    def caller(self) -> str:
        """The name under which the API server knows us; else that of the login on this machine."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        reviews: Any = client.AuthenticationV1Api(self._session)
        try:
            review = reviews.create_self_subject_review(body, **_LIMIT)
        except (client.ApiException, HTTPError):
            return getpass.getuser()
        return str(review.status.user_info.username)

    def _place(self) -> tuple[str, str, str, str]:
        kind = kinds.MODEL_DEPLOYMENT
        return kind.group, kind.version, self.namespace, kind.plural


def _connect(access: Access) -> tuple[client.ApiClient, str]:
    """A session and the namespace to work in: the flag's, else the context's, else `default`."""
    configuration: Any = config
    try:
        contexts, active = configuration.list_kube_config_contexts(config_file=access.kubeconfig)
        session = configuration.new_client_from_config(config_file=access.kubeconfig, context=access.context)
    except (ConfigException, OSError) as error:
        raise Failure(
            f"no usable kubeconfig: {error}",
            advice="Name one with --kubeconfig or KUBECONFIG, and a context with --context.",
            code=Exit.UNREACHABLE,
        ) from error
    chosen = next((item for item in contexts if item["name"] == access.context), active)
    return session, access.namespace or chosen["context"].get("namespace") or "default"


@contextmanager
def _explained(namespace: str, name: str) -> Iterator[None]:
    """Translate what the API server and the network say."""
    try:
        yield
    except client.ApiException as error:
        raise _explain(error, namespace, name) from error
    except HTTPError as error:
        raise Failure(
            f"the API server does not answer: {error}",
            advice="Check the context with `kubectl cluster-info`.",
            code=Exit.UNREACHABLE,
        ) from error


def _explain(error: client.ApiException, namespace: str, name: str) -> Failure:
    body = str(error.body or error.reason or "")
    if error.status == HTTPStatus.NOT_FOUND and '"details"' not in body:
        return Failure(
            "this cluster does not know ModelDeployments",
            advice="Install the chart: `helm install modelway charts/modelway`. Or choose another --context.",
        )
    if error.status == HTTPStatus.NOT_FOUND:
        return Failure(
            f"there is no ModelDeployment {name} in namespace {namespace}",
            advice="See all of them with `kubectl get modeldeployments -A`.",
        )
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Failure(
            f"not allowed: {body}",
            advice="Commands need the verbs get and patch on modeldeployments.serving.modelway.io.",
        )
    return Failure(f"the API server answered {error.status}: {body}")
