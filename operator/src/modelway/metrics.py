"""What the operator counts while it works; what can be read at scrape time is in `cluster/scrape.py`."""

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from modelway import __version__

_API_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROLLBACK_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 900)
_ROLLOUT_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400)
_ANALYSIS_SECONDS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RECONCILE_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60)


class Metrics:
    """One set for one process; never a module-level global, so that tests can have many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.api_requests = counter("api_requests", "Requests to the API server", "verb", "kind", "code")
        self.api_seconds = histogram("api_request_seconds", "Their duration", _API_SECONDS, "verb")
        self.reconciles = counter("reconciles", "Finished reconciliations", "result")
        self.reconcile_seconds = histogram("reconcile_seconds", "Their duration", _RECONCILE_SECONDS)
        self.workers_busy = gauge("workers_busy", "Workers that reconcile now")
        self.watch_events = counter("watch_events", "Events taken from watches", "kind", "type")
        self.relists = counter("relists", "Lists by which a watch began anew", "kind")
        self.sweeps = counter("sweeps", "Comparisons of the cache with the API server", "kind")
        self.sweep_differences = counter("sweep_differences", "Objects that a comparison corrected", "kind")
        self.leader = gauge("leader", "1 while this process holds the lease")
        self.loop_lag_seconds = gauge("event_loop_lag_seconds", "How late the event loop woke last")
        self.events_dropped = counter("events_dropped", "Kubernetes Events not written", "reason")
        self.applied = counter("actions_applied", "Writes that reconciliations made", "action")
        self.rollouts = counter("rollouts", "Rollouts that ended", "outcome", "reason")
        self.rollout_seconds = histogram("rollout_duration_seconds", "From begin to end", _ROLLOUT_SECONDS, "outcome")
        self.rollback_seconds = histogram(
            "rollback_seconds", "From the decision to go back until no request reaches what was left", _ROLLBACK_SECONDS
        )
        self.commands = counter("commands", "Commands that were answered", "verb", "result")
        self.drift_repaired = counter("drift_repaired", "Objects put right that somebody else had changed", "kind")
        self.analysis_reads = counter("analysis_reads", "Figures asked for by analyses", "provider", "result")
        self.analysis_seconds = histogram("analysis_read_seconds", "Their duration", _ANALYSIS_SECONDS, "provider")
        self.analysis_provider_errors = counter(
            "analysis_provider_errors", "Metrics that a provider gave no answer for", "provider"
        )
        build = gauge("build_info", "Always 1", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"modelway_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"modelway_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"modelway_{name}", text, labels, buckets=buckets, registry=self.registry)
