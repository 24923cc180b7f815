"""The application of the internal port: metrics, state and figures. Never routed to from outside."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modelway_runtime.server import answers
from modelway_runtime.server.answers import Receive, Scope, Send

Described = Callable[[bytes], dict[str, object]]
"""The answer to a query."""


class InternalApplication:
    """Answers /metrics, and what state and figures are now."""

    def __init__(self, collector: Collector, *, state: Described, figures: Described) -> None:
        self._registry = _registry(collector)
        self._described = {"/internal/state": state, "/internal/figures": figures}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        del receive
        path = scope["path"]
        if path == "/metrics":
            headers = ((b"content-type", CONTENT_TYPE_LATEST.encode()),)
            await answers.send(send, 200, headers, generate_latest(self._registry))
        elif path in self._described:
            await answers.send(send, 200, answers.JSON, answers.encoded(self._described[path](scope["query_string"])))
        else:
            error = {"error": f"see /metrics, {', '.join(self._described)}"}
            await answers.send(send, 404, answers.JSON, answers.encoded(error))


def _registry(collector: Collector) -> CollectorRegistry:
    """Our figures and those of the process."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
