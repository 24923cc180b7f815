"""What the operator asks of a Kubernetes API server, and the errors it can answer. No I/O here."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from modelway.kinds import Kind, Manifest


class Api(Protocol):
    """The seam between decisions and the cluster; the simulated cluster of the tests has the same."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        """The object as stored. Raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """Every object of a kind, in one namespace or (None) in all."""
        ...

    async def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """POST, refusing unknown fields. Raises AlreadyExists."""
        ...

    async def apply(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Server-side apply; a `metadata.resourceVersion` in it is a precondition. Raises Conflict."""
        ...

    async def scale(self, kind: Kind, namespace: str, name: str, replicas: int, resource_version: str) -> Manifest:
        """Set the count through the scale subresource. Answers the Scale, not the object. Raises Conflict."""
        ...

    async def delete(
        self, kind: Kind, namespace: str, name: str, uid: str, resource_version: str | None = None
    ) -> None:
        """Delete this very object, its dependants in the background. An absent object is no error."""
        ...

    async def put_status(self, manifest: Manifest) -> Manifest:
        """Replace the status of a ModelDeployment read at this resourceVersion. Raises Conflict."""
        ...

    async def create_event(self, manifest: Manifest) -> None:
        """Write one events.k8s.io/v1 Event."""
        ...


class ApiError(Exception):
    """The API server refused a request, or gave no answer (`status` 0)."""

    def __init__(self, status: int, reason: str, message: str, causes: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        """Pairs of field path and message, as the API server gave them."""


class NotFound(ApiError):
    """404: the object, or the whole kind, does not exist."""


class Conflict(ApiError):
    """409: the object changed since it was read, or a precondition failed."""


class AlreadyExists(ApiError):
    """409: an object of this name exists."""


class Invalid(ApiError):
    """400 or 422: the request can never succeed as it is."""


class Forbidden(ApiError):
    """403: rights, quota or an admission policy. The message says which."""


class Gone(ApiError):
    """410: the list or watch position is too old."""


class TooManyRequests(ApiError):
    """429, also after retries."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", message)
        self.retry_after = retry_after


class Unreachable(ApiError):
    """No answer or a 5xx, also after retries. A write may have been done nevertheless."""


class Fenced(Exception):
    """This process may not write: it is not, or may no longer be, the leader."""


class Superseded(Exception):
    """Another process leads, or led, with a higher epoch: this one must end."""


_HOPELESS = (
    "failed to create typed patch object",
    "failed to convert new object",
    "etcdserver: request is too large",
)
"""An applied field that the schema lacks or of a wrong type, an amount that is none, an object too large: answered
with 500, and yet wrong for ever."""
_UNTYPED_FIELD = re.compile(r"\s\.(\S+): (.+)")

_BY_STATUS: Mapping[int, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
}


def error(status: int, body: Mapping[str, Any], retry_after: float = 1.0) -> ApiError:
    """The error that a `Status` answer (or any other body) stands for."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or f"The API server answered {status}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests(message, retry_after)
    causes = tuple(
        (str(cause.get("field") or ""), str(cause.get("message") or ""))
        for cause in (body.get("details") or {}).get("causes") or ()
    )
    if any(phrase in message for phrase in _HOPELESS):
        return Invalid(status, reason, message, causes or tuple(_UNTYPED_FIELD.findall(message)))
    if any(field == "metadata.uid" for field, _ in causes):
        # Answered with 422: another object has the name by now.
        return Conflict(status, reason, message, causes)
    if reason == "AlreadyExists":
        return AlreadyExists(status, reason, message, causes)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(status, reason, message, causes)
    return _BY_STATUS.get(status, ApiError)(status, reason, message, causes)
