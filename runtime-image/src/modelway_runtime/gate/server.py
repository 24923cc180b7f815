"""The server beside the gate: whether it is ready, what its model takes, and its answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelway_runtime.exchange import Answer, AskFailed, Message, exchange
from modelway_runtime.gate import dialects
from modelway_runtime.gate.dialects import DIALECTS
from modelway_runtime.gate.settings import GateSettings

_CHECK_SECONDS = 5.0
_LARGEST_ANSWER = 64 * 1024 * 1024
_JSON = ((b"content-type", b"application/json"),)
_ABSENT = (404, 503)
"""Of a model that is not there yet, or of a server that takes no requests now."""


class Sight(StrEnum):
    """What was seen of the server."""

    READY = "ready"
    NOT_READY = "not ready"
    GONE = "gone"
    UNSEEN = "no answer in time"


class Lost(Exception):
    """The server or its model went away while it was asked: that is no verdict, and all begins anew."""


class NotAnswered(Exception):
    """The server did answer, but not with a prediction; the message says what came."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Server:
    """A server of one model."""

    settings: GateSettings

    async def look(self) -> tuple[Sight, str]:
        """Whether it is ready for the model, and what it answered."""
        dialect = DIALECTS[self.settings.protocol]
        seen = Sight.NOT_READY, ""
        for template in dialect.ready:
            target = dialects.path(template, self.settings.name)
            try:
                answer = await self._call(b"GET", target, patience=_CHECK_SECONDS)
            except AskFailed as error:
                where = f"{self.settings.server.host}:{self.settings.server.port}"
                says = f"GET {target.decode()} of {where} has no answer: {error.reason}"
                return (Sight.GONE if error.reason == "connection" else Sight.UNSEEN), says
            is_ready = answer.status == 200 and dialect.is_ready(dialects.parsed(bytes(answer.body)))
            says = f"GET {target.decode()} answers {answer.status}"
            seen = (Sight.READY if is_ready else Sight.NOT_READY), says
            if answer.status != 404:
                break
        return seen

    async def inputs(self) -> tuple[Mapping[str, Any], ...]:
        """What the model takes, as V2 metadata tell; empty where the server does not say."""
        if self.settings.protocol != "V2":
            return ()
        target = dialects.path("/v2/models/{}", self.settings.name)
        try:
            answer = await self._call(b"GET", target, patience=self.settings.request_timeout)
        except AskFailed as error:
            raise Lost(f"GET {target.decode()}: {error.reason}") from error
        found = dialects.parsed(bytes(answer.body)).get("inputs") if answer.status == 200 else ()
        return tuple(item for item in found or () if isinstance(item, dict))

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """The body of an answer to a V2 request.

        Raises Lost, NotAnswered, and LookupError, TypeError or ValueError for a request that its protocol cannot say.
        """
        dialect = DIALECTS[self.settings.protocol]
        target = dialects.path(dialect.infer, self.settings.name)
        body = json.dumps(dialect.body(request)).encode()
        try:
            answer = await self._call(b"POST", target, body, patience=self.settings.request_timeout)
        except AskFailed as error:
            if error.reason == "connection":
                raise Lost(f"POST {target.decode()}: the connection ended") from error
            raise NotAnswered(0, f"no answer: {error.reason}") from error
        if answer.status in _ABSENT:
            raise Lost(f"POST {target.decode()} answers {answer.status}")
        if answer.status != 200:
            raise NotAnswered(answer.status, f"status {answer.status}: {_shown(answer)}")
        return dialects.parsed(bytes(answer.body))

    async def _call(self, method: bytes, target: bytes, body: bytes = b"", *, patience: float) -> Answer:
        message = Message(method=method, target=target, headers=_JSON, body=body)
        return await exchange(self.settings.server, message, patience=patience, limit=_LARGEST_ANSWER)


def _shown(answer: Answer) -> str:
    """What an error says, shortened."""
    found = dialects.parsed(bytes(answer.body[:65536])).get("error")
    return " ".join(str(found or bytes(answer.body[:200]).decode("utf-8", "replace")).split())[:200]
