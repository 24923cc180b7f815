"""One JSON request to the API server: time limits, retries within a short budget, the fence, counting."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from modelway.cluster.api import ApiError, Fenced, TooManyRequests, Unreachable, error
from modelway.cluster.jitter import spread
from modelway.metrics import Metrics

READ_SECONDS = 15.0
WRITE_SECONDS = 5.0
"""Shorter than the lease's duration less the age at which the fence closes: no write outlives the lease."""
RETRY_BUDGET_SECONDS = 8.0
FIRST_PAUSE_SECONDS = 0.1
LARGEST_PAUSE_SECONDS = 2.0

_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send. `verb` and `kind` name it in metrics."""

    method: str
    path: str
    verb: str
    kind: str
    params: Mapping[str, str]
    body: object = None
    content_type: str = "application/json"
    accept: str = "application/json"
    fenced: bool = True
    """Whether leadership is needed: every write but the lease's own."""


class Transport:
    """Sends requests over one session."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: str,
        *,
        metrics: Metrics,
        fence: Callable[[], bool] = lambda: True,
        budget: float = RETRY_BUDGET_SECONDS,
    ) -> None:
        """`budget`: seconds in which a request may be repeated."""
        self._session = session
        self._server = server
        self._metrics = metrics
        self._fence = fence
        self._budget = budget

    def guard(self, fence: Callable[[], bool]) -> None:
        """Ask this before each write from now on; False stops the write."""
        self._fence = fence

    async def send(self, request: Request) -> dict[str, Any]:
        """The answer's JSON. Raises ApiError, after retries where a retry can help, and Fenced."""
        started, pause = time.monotonic(), FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._attempt(request)
            except TooManyRequests as failure:
                trouble: ApiError = failure
                delay = max(failure.retry_after, spread(pause, 0.5))
            except Unreachable as failure:
                trouble, delay = failure, spread(pause, 0.5)
            if time.monotonic() - started + delay > self._budget:
                raise trouble
            await asyncio.sleep(delay)
            pause = min(pause * 2, LARGEST_PAUSE_SECONDS)

    async def _attempt(self, request: Request) -> dict[str, Any]:
        is_write = request.method != "GET"
        if is_write and request.fenced and not self._fence():
            raise Fenced(f"Not the leader: {request.verb} {request.path} was not sent")
        started, code = time.monotonic(), "none"
        try:
            async with self._session.request(
                request.method,
                self._server + request.path,
                params=request.params,
                data=None if request.body is None else encode(request.body),
                headers={"Content-Type": request.content_type, "Accept": request.accept},
                timeout=aiohttp.ClientTimeout(total=WRITE_SECONDS if is_write else READ_SECONDS, sock_connect=5),
            ) as response:
                code = str(response.status)
                return _decode(response.status, await response.read(), response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            message = f"No answer to {request.verb} {request.path}: {str(failure) or type(failure).__name__}"
            raise Unreachable(0, "Unreachable", message) from failure
        finally:
            self._metrics.api_requests.labels(request.verb, request.kind, code).inc()
            self._metrics.api_seconds.labels(request.verb).observe(time.monotonic() - started)


def encode(body: object) -> bytes:
    """JSON byte for byte as the API server itself writes it: sorted, short, `<>&` escaped.

    A ControllerRevision's `data` is stored as it came and must never change, so that an apply, for which the API
    server writes it anew, is refused when the bytes of the birth were others.
    """
    text = json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.translate(_ESCAPED).encode()


def _decode(status: int, content: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object of a good answer; a bad one raises the error that its `Status` stands for.

    Raises Unreachable at a good answer that is none: half a list taken for a whole one would look like deletions.
    """
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if isinstance(body, dict) and status < 300:
        return body
    if status < 300:
        raise Unreachable(status, "Unreadable", f"The API server answered {status} with what is no JSON object")
    if not isinstance(body, dict):
        body = {"message": content[:200].decode(errors="replace").strip()}
    raise error(status, body, retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks us to wait; 1 when it gives none or a date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 1.0
