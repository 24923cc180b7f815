"""The figures of every server under Triton's names and units, so that what was built for those goes on working.

Their values are those of the protocol's statistics, which have Triton's meaning. They come as untyped: Triton's
counters lack the ending that the format of today demands.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from modelway_runtime.server.metrics import Metrics

_BACKEND, _OTHER, _REJECTED = "BACKEND", "OTHER", "REJECTED"
REASONS = (_REJECTED, "CANCELED", _BACKEND, _OTHER)
"""Triton's. A caller who left is counted nowhere here, so nothing is `CANCELED`."""
_REASON_OF = {"429": _REJECTED, "503": _REJECTED, "500": _BACKEND}


class TritonNames:
    """Reads the figures of a server for a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def families(self) -> Iterator[Metric]:
        """All of them."""
        told = self._metrics.statistics()
        model = {"model": told.name, "version": told.version}
        values: Mapping[str, tuple[str, float]] = {
            "request_success": ("Requests that were answered", told.success.count),
            "count": ("Rows inferred", told.rows),
            "exec_count": ("Calls of the model", told.executions),
            "request_duration_us": ("Time from a request to its answer", _micros(told.success.seconds)),
            "queue_duration_us": ("Time that requests waited for the model", _micros(told.queue.seconds)),
            "compute_input_duration_us": ("Time of decoding", _micros(told.compute_input.seconds)),
            "compute_infer_duration_us": ("Time of inference", _micros(told.compute_infer.seconds)),
            "compute_output_duration_us": ("Time of encoding", _micros(told.compute_output.seconds)),
            "pending_request_count": ("Requests that wait for the model", self._metrics.queue_depth()),
        }
        for name, (text, value) in values.items():
            metric = Metric(f"nv_inference_{name}", text, "unknown")
            metric.add_sample(metric.name, model, value)
            yield metric
        failures = Metric("nv_inference_request_failure", "Requests that were not answered", "unknown")
        for reason, count in self._failures().items():
            failures.add_sample(failures.name, {**model, "reason": reason}, count)
        yield failures

    def _failures(self) -> dict[str, int]:
        found = dict.fromkeys(REASONS, 0)
        for code, count in self._metrics.failures().items():
            found[_REASON_OF.get(code, _OTHER)] += count
        return found


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
