"""The application of the internal port: metrics and state. Never routed to from outside."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from modelway_runtime.server import answers, metrics
from modelway_runtime.server.answers import Receive, Scope, Send
from modelway_runtime.server.state import State


class InternalApplication:
    """Answers /metrics and /internal/state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._registry = metrics.registry(state.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        del receive
        if scope["path"] == "/metrics":
            headers = ((b"content-type", CONTENT_TYPE_LATEST.encode()),)
            await answers.send(send, 200, headers, generate_latest(self._registry))
            return
        if scope["path"] == "/internal/state":
            state = self._state
            described = {"state": state.phase, "revision": state.settings.revision, "digest": state.digest}
            await answers.send(send, 200, answers.JSON, answers.encoded(described))
            return
        await answers.send(send, 404, answers.JSON, answers.encoded({"error": "see /metrics and /internal/state"}))
