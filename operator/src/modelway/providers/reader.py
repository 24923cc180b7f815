"""Reads everything that one inquiry asks for, once: pods and providers at the same time, each within its bounds."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

from modelway.analysis.figures import Answer, Readings
from modelway.analysis.inquiry import Inquiry
from modelway.api.analysis import Metric
from modelway.metrics import Metrics
from modelway.providers import alertmanager, bindings, prometheus, web
from modelway.providers.bindings import Bindings
from modelway.providers.calls import Caller
from modelway.providers.failures import NoAnswer
from modelway.providers.pods import Heard, Pods

MOST_SECONDS = 5.0
SHARE_OF_INTERVAL = 0.8
AT_ONCE = 4
"""Providers that one inquiry asks at a time."""
AT_ONCE_IN_ALL = 128

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reader:
    """Never fails for a provider or a pod: what cannot be had is in the readings as a problem, or as silent."""

    def __init__(self, pods: Pods, caller: Caller, metrics: Metrics, *, seconds: float = MOST_SECONDS) -> None:
        """`seconds`: the most that a provider gets; less where the interval is short."""
        self._seconds = seconds
        self._pods = pods
        self._caller = caller
        self._metrics = metrics
        self._all = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self._logged: set[tuple[str, type[BaseException]]] = set()

    async def read(self, inquiry: Inquiry, now: datetime) -> Readings:
        """What is so now; `now` is when reading begins, so that nothing in it is older."""
        turns, bound = asyncio.Semaphore(AT_ONCE), bindings.bound(inquiry, now)
        heard, answers = await asyncio.gather(
            self._heard(inquiry),
            asyncio.gather(*(self._asked(metric, inquiry, bound, turns) for metric in inquiry.metrics)),
        )
        return Readings(inquiry=inquiry.id, at=now, pods=heard.readings, silent=heard.silent, answers=tuple(answers))

    async def _heard(self, inquiry: Inquiry) -> Heard:
        began = time.monotonic()
        outcome = await _outcome(self._pods.read(inquiry.targets, inquiry.bindings, inquiry.division))
        if isinstance(outcome, BaseException):
            self._unforeseen("pods", outcome)
            outcome = Heard(readings=(), silent=tuple(target.pod for target in inquiry.targets))
        self._metrics.analysis_seconds.labels("pods").observe(time.monotonic() - began)
        self._metrics.analysis_reads.labels("pods", "answered").inc(len(outcome.readings))
        self._metrics.analysis_reads.labels("pods", "silent").inc(len(outcome.silent))
        return outcome

    async def _asked(self, metric: Metric, inquiry: Inquiry, bound: Bindings, turns: asyncio.Semaphore) -> Answer:
        provider = _provider(metric)
        async with turns, self._all:
            began = time.monotonic()
            outcome = await _outcome(self._ask(metric, inquiry, bound))
        self._metrics.analysis_seconds.labels(provider).observe(time.monotonic() - began)
        answer = outcome if isinstance(outcome, Answer) else self._problem(metric, provider, outcome)
        self._metrics.analysis_reads.labels(provider, _result(answer)).inc()
        return answer

    async def _ask(self, metric: Metric, inquiry: Inquiry, bound: Bindings) -> Answer:
        seconds = min(self._seconds, inquiry.interval / timedelta(seconds=1) * SHARE_OF_INTERVAL)
        if metric.prometheus:
            return await prometheus.ask(self._caller, metric.name, metric.prometheus, bound, seconds)
        if metric.alertmanager:
            return await alertmanager.ask(self._caller, metric.name, metric.alertmanager, bound, seconds)
        if not metric.web:
            raise NoAnswer("The metric names no provider")
        if bound.is_early:
            return Answer(metric=metric.name)
        rest = {name: inquiry.bindings.get(name, "") for name in ("rollout", "step", "since")}
        return await web.ask(self._caller, metric, metric.web, web.question(bound, rest), seconds)

    def _problem(self, metric: Metric, provider: str, failure: BaseException) -> Answer:
        if isinstance(failure, NoAnswer):
            self._metrics.analysis_provider_errors.labels(provider).inc()
            return Answer(metric=metric.name, problem=str(failure))
        self._unforeseen(provider, failure)
        return Answer(metric=metric.name, problem=f"The operator failed to ask: {type(failure).__name__}")

    def _unforeseen(self, provider: str, failure: BaseException) -> None:
        """A fault of ours: shown whole once, counted ever after."""
        self._metrics.analysis_provider_errors.labels(provider).inc()
        if (provider, type(failure)) not in self._logged:
            self._logged.add((provider, type(failure)))
            log.error("Failed to read figures", exc_info=failure, extra={"provider": provider})


async def _outcome(work: Awaitable[T]) -> T | BaseException:
    """What it gives or raises."""
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return outcome


def _provider(metric: Metric) -> str:
    names = ("prometheus", "web", "alertmanager")
    return next((name for name in names if getattr(metric, name) is not None), "none")


def _result(answer: Answer) -> str:
    if answer.problem:
        return "error"
    return "answered" if answer.verdict or answer.value is not None else "empty"
