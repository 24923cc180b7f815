"""`spec.rollout.analysis`: the evidence that a rollout asks for before it goes on. Pure."""

import math
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from modelway.api.rules import Rule, Struct
from modelway.api.scalars import Between, Label, matching

_ADDRESS = matching(
    "^https?://[^/?#@ ]+(/[^?# ]*)?$",
    "write an address such as http://prometheus.monitoring.svc:9090: http or https, without user, query or fragment",
)

Address = Annotated[str, StringConstraints(min_length=1, max_length=512), _ADDRESS]

_LARGEST: Final = 1_000_000_000_000_000


def _number(least: float) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", "minimum": least, "maximum": _LARGEST})


Bound = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST), _number(-_LARGEST)]

LATENCIES: Final = {"LatencyP50": 0.5, "LatencyP95": 0.95, "LatencyP99": 0.99}
"""The latency metrics, and the quantile that each is about."""

DEVIATION: Final = "MeanAbsoluteError"
DRIFT: Final = "Drift"

LEAST: Final = ("Throughput", "Accuracy")
"""Metrics that fail when they are too low."""

PLACEHOLDERS: Final = ("candidate", "stable", "namespace", "name", "model", "window")
"""What a question can bind."""

_BRACES = "[}]?([{][}])*[{]?"
"""Braces of a query: never two of a kind side by side."""
_BOUND = matching(
    rf"^{_BRACES}(([^{{}}]|[{{][{{]\s*({'|'.join(PLACEHOLDERS)})\s*[}}][}}]){_BRACES})*$",
    f"write placeholders as {{{{candidate}}}}; there are {', '.join(PLACEHOLDERS)}",
)

_SOURCES = ("builtin", "prometheus", "web", "alertmanager")
_BOUNDS = ("min", "max", "maxIncreasePercent", "maxDecreasePercent")


class PrometheusQuery(Struct):
    """A number that Prometheus knows."""

    address: Address
    """Where Prometheus answers, such as `http://prometheus.monitoring.svc:9090`."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4096), _BOUND]
    """PromQL that gives one number. `{{candidate}}` and `{{stable}}` stand for the hashes of the revisions,
    `{{namespace}}`, `{{name}}` and `{{model}}` for those names, `{{window}}` for the seconds since the step's traffic
    has settled, such as `300s`."""


class WebCall(Struct):
    """A number or a verdict that a service of yours answers with."""

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=1024),
        matching(
            "^https?://[^@ {}]+$",
            "write a URL such as http://judge.ml.svc/verdict: http or https, without a user, and without placeholders: "
            "the body of the call names both revisions",
        ),
    ]
    """Where to ask. It is asked with POST and JSON: namespace, name, model, revisions, rollout, step and window."""
    field: Annotated[str, StringConstraints(min_length=1, max_length=253)] = "value"
    """Where the number stands in the JSON answer, such as `value` or `result.auc`. An answer with the field `verdict`
    (`Pass`, `Fail` or `Inconclusive`) needs no bound."""


class AlertmanagerAlert(Struct):
    """Alerts that forbid a rollout while they fire."""

    address: Address
    """Where Alertmanager answers, such as `http://alertmanager.monitoring.svc:9093`."""
    matchers: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=512), _BOUND], ...],
        Field(min_length=1, max_length=16),
    ]
    """Which alerts, as Alertmanager writes matchers: `alertname="ModelErrors"`. The placeholders of a Prometheus
    query work here, too."""


class By(Struct):
    """Divides the requests by a value that each of them brings."""

    input: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128),
        matching(r"^[^\x00-\x1f\x7f]+$", "write the name of an input of the model, such as language"),
    ]
    """Name of an input of the model, such as `language`. The first value of it, a string, an integer or a boolean, is
    the group of a request. Requests without one are the group `(none)`. Values are shown in status, log, Events and the
    rollout's ConfigMap: name no input that holds personal data."""
    max_groups: Annotated[int, Field(ge=1, le=20)] = 10
    """How many groups are counted each for itself, of those that are seen first; all further ones are the group
    `(other)`. More groups need more requests until something is proven."""


class Metric(Struct):
    """One figure and its limit."""

    name: Label
    """Name of the metric, for status, Events and evidence."""
    builtin: (
        Literal[
            "ErrorRate",
            "LatencyP50",
            "LatencyP95",
            "LatencyP99",
            "Throughput",
            "Accuracy",
            "MeanAbsoluteError",
            "Drift",
            "Disagreement",
            "CandidateFailures",
        ]
        | None
    ) = None
    """A figure that the operator reads from the pods of both revisions, without Prometheus: `ErrorRate` is a share from
    0 to 1, latencies are seconds, `Throughput` is answered requests per second, `Accuracy` is the share of the
    predictions that came true among those whose outcome callers told (`POST /v2/models/NAME/feedback`),
    `MeanAbsoluteError` how far predictions that are numbers were off, `Drift` how far the candidate's inputs and
    predictions are from those in the file `reference.json` of its model, `Disagreement` and `CandidateFailures` are
    shares of the mirrored requests and need `shadow`."""
    prometheus: PrometheusQuery | None = None
    """A number from Prometheus."""
    web: WebCall | None = None
    """A number or a verdict from a service of yours."""
    alertmanager: AlertmanagerAlert | None = None
    """Alerts that fail the metric while they fire."""
    min: Bound | None = None
    """Least value that is well."""
    max: Bound | None = None
    """Largest value that is well."""
    max_increase_percent: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How far the candidate may lie above stable in the same time, such as `20`. For `builtin` only."""
    max_decrease_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """How far the candidate may lie below stable in the same time. For `Throughput` and `Accuracy` only."""
    clip: Annotated[float, Field(ge=0, le=_LARGEST), _number(0)] | None = None
    """The largest error that counts, in the unit of the predictions: what is further off counts as this much, in both
    revisions. It is rounded up to 1, 2 or 5 times a power of ten. For `MeanAbsoluteError` only."""
    features: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(max_length=32)
    ] = ()
    """Which features and predictions of the reference are judged. Absent: all. For `Drift` only."""
    method: Literal["PSI", "KS"] | None = None
    """How drift is measured: `PSI`, the population stability index (the default), or `KS`, the largest difference of
    the shares up to a bin, from 0 to 1. For `Drift` only, whose `max` is 0.2 where it is absent."""
    failure_limit: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many answers in a row must be beyond the limit before the metric fails. For `prometheus`, `web` and
    `alertmanager`. Absent: 3 for a number, 1 for a verdict or an alert."""
    by: By | None = None
    """Judges each group of requests, too, such as those in one language: one that is beyond the limit fails the metric,
    whatever the others are like. For `ErrorRate` and latencies."""
    dry_run: bool = False
    """Judged and shown, but without consequence."""

    rules = (
        Rule(
            cel=f"[{', '.join(f'has(self.{name})' for name in _SOURCES)}].filter(given, given).size() == 1",
            message="a metric has exactly one of builtin, prometheus, web and alertmanager",
            holds=lambda metric: (
                [metric.builtin, metric.prometheus, metric.web, metric.alertmanager].count(None) == len(_SOURCES) - 1
            ),
        ),
        Rule(
            cel="has(self.web) || has(self.alertmanager) || has(self.builtin) && self.builtin == 'Drift' || "
            f"[{', '.join(f'has(self.{name})' for name in _BOUNDS)}].exists(given, given)",
            message="a metric needs a limit: write max, min or maxIncreasePercent",
            holds=lambda metric: bool(metric.web or metric.alertmanager or metric.builtin == DRIFT or metric.has_bound),
        ),
        Rule(
            cel="has(self.builtin) || !(has(self.maxIncreasePercent) || has(self.maxDecreasePercent))",
            message="maxIncreasePercent and maxDecreasePercent compare both revisions: builtin metrics only. Compare "
            "in the query itself, and write max or min",
            holds=lambda metric: bool(metric.builtin) or not metric.is_relative,
        ),
        Rule(
            cel="!has(self.builtin) || !has(self.min) && !has(self.maxDecreasePercent) || "
            "self.builtin in ['Throughput', 'Accuracy']",
            message="min and maxDecreasePercent are limits of Throughput and Accuracy: for other builtin metrics write "
            "max or maxIncreasePercent",
            holds=lambda metric: (
                metric.builtin in (None, *LEAST) or (metric.min is None and metric.max_decrease_percent is None)
            ),
        ),
        Rule(
            cel="!has(self.builtin) || !(self.builtin in ['Throughput', 'Accuracy']) || "
            "!has(self.max) && !has(self.maxIncreasePercent)",
            message="Throughput and Accuracy fail when they are too low: write min or maxDecreasePercent",
            holds=lambda metric: (
                metric.builtin not in LEAST or (metric.max is None and metric.max_increase_percent is None)
            ),
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'Accuracy' || !has(self.min) || self.min >= 0.0 && "
            "self.min <= 1.0",
            message="min of Accuracy is a share and lies between 0 and 1, such as 0.9",
            holds=lambda metric: metric.builtin != "Accuracy" or metric.min is None or 0 <= metric.min <= 1,
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'Accuracy' || !has(self.maxDecreasePercent) || "
            "self.maxDecreasePercent < 100",
            message="an accuracy that may fall by 100 percent is never too low: write less",
            holds=lambda metric: metric.builtin != "Accuracy" or (metric.max_decrease_percent or 0) < 100,
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'CandidateFailures' || !has(self.maxIncreasePercent)",
            message="CandidateFailures are of requests that stable answers: it has no such share to compare with, so "
            "write max",
            holds=lambda metric: metric.builtin != "CandidateFailures" or metric.max_increase_percent is None,
        ),
        Rule(
            cel="!has(self.builtin) || !has(self.max) || self.max >= 0.0 && (self.builtin.startsWith('Latency') || "
            "self.builtin in ['MeanAbsoluteError', 'Drift'] || self.max <= 1.0)",
            message="max of a share lies between 0 and 1, such as 0.01 for one percent; max of a latency is in "
            "seconds, such as 0.2",
            holds=lambda metric: (
                metric.builtin is None
                or metric.max is None
                or (metric.max >= 0 and (metric.builtin in (*LATENCIES, DEVIATION, DRIFT) or metric.max <= 1))
            ),
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'MeanAbsoluteError' || !has(self.max) || self.max > 0.0 && "
            "(!has(self.clip) || self.max < self.clip)",
            message="max of MeanAbsoluteError is in the unit of the predictions, above 0 and below clip",
            holds=lambda metric: (
                metric.builtin != DEVIATION or metric.max is None or 0 < metric.max < (metric.clip or math.inf)
            ),
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'MeanAbsoluteError' || !has(self.maxIncreasePercent) || "
            "has(self.clip)",
            message="of errors without a bound nothing is proven against stable, whose largest may be still to come: "
            "write clip, the largest error that counts, a few times a usual one",
            holds=lambda metric: (
                metric.builtin != DEVIATION or metric.max_increase_percent is None or metric.clip is not None
            ),
        ),
        Rule(
            cel="!has(self.builtin) || self.builtin != 'Drift' || !has(self.maxIncreasePercent) && (!has(self.max) || "
            "self.max > 0.0 && (!has(self.method) || self.method != 'KS' || self.max < 1.0))",
            message="max of Drift is a distance above 0, such as 0.2, of KS below 1; its reference is that of the "
            "model, not stable, so there is no maxIncreasePercent",
            holds=lambda metric: (
                metric.builtin != DRIFT
                or (
                    metric.max_increase_percent is None
                    and (metric.max is None or 0 < metric.max < (1 if metric.method == "KS" else math.inf))
                )
            ),
        ),
        Rule(
            cel="!has(self.features) && !has(self.method) || has(self.builtin) && self.builtin == 'Drift'",
            message="features and method say what drift is measured of and how, and are for Drift only",
            holds=lambda metric: not (metric.features or metric.method) or metric.builtin == DRIFT,
        ),
        Rule(
            cel="!has(self.clip) || has(self.builtin) && self.builtin == 'MeanAbsoluteError' && self.clip > 0.0",
            message="clip bounds the errors of predictions that are numbers: it is above 0, and for MeanAbsoluteError "
            "only",
            holds=lambda metric: metric.clip is None or (metric.builtin == DEVIATION and metric.clip > 0),
        ),
        Rule(
            cel="!has(self.failureLimit) || !has(self.builtin)",
            message="failureLimit counts answers of prometheus, web and alertmanager; builtin metrics are judged by "
            "confidencePercent",
            holds=lambda metric: metric.failure_limit is None or metric.builtin is None,
        ),
        Rule(
            cel="!has(self.by) || has(self.builtin) && (self.builtin == 'ErrorRate' || "
            "self.builtin.startsWith('Latency'))",
            message="by divides the requests that pods answer, and is for ErrorRate and latencies only: the throughput "
            "of a group is what it sends, mirrored requests are counted as a whole, and a query divides by itself",
            holds=lambda metric: metric.by is None or metric.builtin == "ErrorRate" or metric.builtin in LATENCIES,
        ),
    )

    @property
    def is_relative(self) -> bool:
        """Whether it compares the candidate with stable."""
        return self.max_increase_percent is not None or self.max_decrease_percent is not None

    @property
    def has_bound(self) -> bool:
        """Whether it has any limit."""
        return self.min is not None or self.max is not None or self.is_relative

    @property
    def needs_shadow(self) -> bool:
        """Whether it is about mirrored requests."""
        return self.builtin in ("Disagreement", "CandidateFailures")

    @property
    def failures(self) -> int:
        """`failure_limit`, or what the source takes without it."""
        if self.failure_limit is not None:
            return self.failure_limit
        return 3 if self.has_bound else 1


class Analysis(Struct):
    """The evidence that every step asks for, from when its traffic has settled, at the same time as its hold."""

    confidence_percent: Annotated[int, Field(ge=80, le=99)] = 95
    """How sure a verdict must be. What is left is the chance that a rollout without any fault is taken back; it is
    shared by all metrics and steps of the rollout."""
    interval: Annotated[timedelta, Between("5s", "1h")] = timedelta(seconds=30)
    """How often figures are read, such as `30s`."""
    min_samples: Annotated[int, Field(ge=1, le=10_000_000)] = 500
    """Fewest requests of each revision for a Pass. `LatencyP99` asks for at least 2000."""
    decision: Literal["NoHarm", "Evidence"] = "NoHarm"
    """`NoHarm` passes a metric with enough samples and no proof of harm; `Evidence` only once it is proven to lie
    within its limit."""
    hold_deadline: Annotated[timedelta, Between("1s", "720h")] = timedelta(hours=1)
    """How long a step waits for a verdict, such as `1h`, before `onUndecided` counts."""
    on_undecided: Literal["Hold", "Proceed", "Abort"] = "Hold"
    """What becomes of a step without a verdict: `Hold` waits for a person, `Proceed` goes on, `Abort` goes back."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=16)] = ()
    """What is judged. Absent: nothing, each step ends with its hold."""

    rules = (
        Rule(
            cel="!has(self.metrics) || self.metrics.all(metric, self.metrics.exists_one(other, other.name == "
            "metric.name))",
            message="give each metric a name of its own",
            holds=lambda analysis: len({metric.name for metric in analysis.metrics}) == len(analysis.metrics),
        ),
        Rule(
            cel="!has(self.metrics) || self.metrics.all(metric, !has(metric.by) || self.metrics.all(other, "
            "!has(other.by) || other.by.input == metric.by.input && (has(other.by.maxGroups) ? other.by.maxGroups : "
            "10) == (has(metric.by.maxGroups) ? metric.by.maxGroups : 10)))",
            message="requests are divided in one way: write the same by in every metric that has one",
            holds=lambda analysis: len({metric.by for metric in analysis.metrics if metric.by}) <= 1,
        ),
        Rule(
            cel="!has(self.decision) || self.decision != 'Evidence' || !has(self.metrics) || self.metrics.all(metric, "
            "!has(metric.builtin) || metric.builtin != 'MeanAbsoluteError' || has(metric.clip))",
            message="no number of outcomes proves that errors without a bound are small: with decision Evidence, "
            "MeanAbsoluteError needs clip, the largest error that counts",
            holds=lambda analysis: (
                analysis.decision != "Evidence"
                or all(metric.builtin != DEVIATION or metric.clip is not None for metric in analysis.metrics)
            ),
        ),
        Rule(
            cel="!has(self.decision) || self.decision != 'Evidence' || !has(self.metrics) || self.metrics.all(metric, "
            "!has(metric.builtin) || metric.builtin != 'Drift')",
            message="no number of rows proves that there is no drift, since what is rare may be still to come: Drift "
            "goes with decision NoHarm",
            holds=lambda analysis: (
                analysis.decision != "Evidence" or all(metric.builtin != DRIFT for metric in analysis.metrics)
            ),
        ),
    )


class Shadow(Struct):
    """Mirrored requests that both revisions answer, so that answers can be compared. Callers never wait for it."""

    percent: Annotated[int, Field(ge=1, le=100)] = 20
    """Percent of the requests that are mirrored."""
    max_requests_per_second: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most mirrored requests per second; more are dropped and counted."""
    baseline_percent: Annotated[int, Field(ge=0, le=100)] = 10
    """Percent of them that stable answers twice, so that a model that is not deterministic is not blamed."""
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.001
    """How far numbers may differ, relative to the larger one."""
    redact: bool = False
    """Leaves answers out of the examples of disagreement."""
