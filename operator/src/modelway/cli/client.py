"""What the command line asks of the API server; its errors come out as failures with a next step."""

import getpass
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

from kubernetes import client
from urllib3.exceptions import HTTPError

from modelway import kinds, names
from modelway.cli.connection import Access, connect
from modelway.cli.exits import Exit, Failure
from modelway.kinds import Manifest

__all__ = ["Access", "Client"]

FIELD_MANAGER = "modelway-cli"
_LIMIT: dict[str, Any] = {"_request_timeout": 10}
"""Seconds that one request may take."""


class Client:
    """ModelDeployments and what belongs to them, in one namespace unless another one is named."""

    def __init__(self, access: Access) -> None:
        self._session, self.namespace = connect(access)
        self._objects = client.CustomObjectsApi(self._session)

    def get(self, name: str, namespace: str = "") -> Manifest:
        """One object."""
        with _explained(namespace or self.namespace, name):
            found = self._objects.get_namespaced_custom_object(*self._place(namespace), name, **_LIMIT)
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

    def revisions(self, name: str) -> Sequence[Manifest]:
        """The ControllerRevisions of an object, oldest first."""
        kind = kinds.CONTROLLER_REVISION
        options = _LIMIT | {"label_selector": f"{names.MODEL_LABEL}={name}"}
        place = (kind.group, kind.version, self.namespace, kind.plural)
        with _explained(self.namespace, name):
            found = self._objects.list_namespaced_custom_object(*place, **options)
        return sorted(cast(Manifest, found)["items"], key=lambda item: item.get("revision", 0))

    def records(self, name: str, rollout: int) -> Mapping[str, str]:
        """What is kept of one rollout, by key: its plan and its evidence; empty where nothing is."""
        core: Any = client.CoreV1Api(self._session)
        try:
            found = core.read_namespaced_config_map(names.rollout(name, rollout), self.namespace, **_LIMIT)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise _explain(error, self.namespace, name) from error
        except HTTPError as error:
            raise _unreachable(str(error)) from error
        return dict(found.data or {})

    def annotate(
        self, name: str, annotation: str, value: str, *, dry_run: bool = False, namespace: str = ""
    ) -> Manifest:
        """The object after the annotation was written, or would have been."""
        options = _LIMIT | ({"dry_run": "All"} if dry_run else {})
        body = {"metadata": {"annotations": {annotation: value}}}
        with _explained(namespace or self.namespace, name):
            found = self._objects.patch_namespaced_custom_object(
                *self._place(namespace),
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
            return _login()
        return str(review.status.user_info.username)

    def _place(self, namespace: str = "") -> tuple[str, str, str, str]:
        kind = kinds.MODEL_DEPLOYMENT
        return kind.group, kind.version, namespace or self.namespace, kind.plural


def _login() -> str:
    """The name on this machine; a container may run as a user that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


@contextmanager
def _explained(namespace: str, name: str) -> Iterator[None]:
    """Translate what the API server and the network say."""
    try:
        yield
    except client.ApiException as error:
        raise _explain(error, namespace, name) from error
    except HTTPError as error:
        raise _unreachable(str(error)) from error


def _unreachable(why: str) -> Failure:
    return Failure(
        f"the API server does not answer: {' '.join(why.split())}",
        advice="Check the context with `kubectl cluster-info`.",
        code=Exit.UNREACHABLE,
    )


def _explain(error: client.ApiException, namespace: str, name: str) -> Failure:
    status = _status(error)
    message = str(status.get("message") or error.body or error.reason or "no reason given").strip()
    if error.status == HTTPStatus.NOT_FOUND and not status.get("details"):
        return Failure(
            "this cluster does not know ModelDeployments",
            advice="Install the chart: `helm install modelway charts/modelway`. Or choose another --context.",
        )
    if error.status == HTTPStatus.NOT_FOUND:
        return Failure(
            f"there is no ModelDeployment {name} in namespace {namespace}",
            advice="See all of them with `kubectl get modeldeployments -A`.",
        )
    if error.status == HTTPStatus.UNAUTHORIZED:
        return Failure(
            f"the API server does not know who you are: {message}",
            advice="Log in to the cluster again, or choose another --context.",
        )
    if error.status == HTTPStatus.FORBIDDEN:
        return Failure(
            f"not allowed: {message}",
            advice="`status` needs the verbs get and list on modeldeployments.serving.modelway.io, "
            "the commands get and patch; `history` also list on controllerrevisions.apps and get on configmaps.",
        )
    if not error.status:
        return _unreachable(message)
    is_passing = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.TOO_MANY_REQUESTS
    code = Exit.UNREACHABLE if is_passing else Exit.REFUSED
    return Failure(f"the API server answered {error.status}: {message}", code=code)


def _status(error: client.ApiException) -> Manifest:
    """The Status object of an answer; an empty one where it is something else."""
    try:
        found = json.loads(error.body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
