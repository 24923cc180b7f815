"""What the kubelet and the operator ask the gate."""

from modelway_runtime.gate.passage import Passage
from modelway_runtime.server import answers
from modelway_runtime.server.answers import Receive, Scope, Send
from modelway_runtime.server.life import Phase

_PATHS = "/live, /ready, /internal/state"


class Application:
    """Answers whether requests may pass."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        del receive
        status, body = self._answer(scope["path"])
        await answers.send(send, status, answers.JSON, answers.encoded(body))

    def _answer(self, path: str) -> tuple[int, object]:
        passage = self._passage
        if path == "/live":
            return 200, {"live": True}
        if path == "/ready":
            is_ready = passage.phase is Phase.READY
            return 200 if is_ready else 503, {"ready": is_ready, "state": passage.phase, "server": passage.seen}
        if path == "/internal/state":
            state = {"state": passage.phase, "revision": passage.settings.revision, "digest": passage.digest}
            return 200, state
        return 404, {"error": f"see {_PATHS}"}
