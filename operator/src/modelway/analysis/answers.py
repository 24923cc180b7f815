"""What the answers of Prometheus, Alertmanager or a service of the user amount to. Pure."""

from modelway.analysis import phrases
from modelway.analysis.verdicts import Judgement, Verdict
from modelway.analysis.window import Tally
from modelway.api.analysis import Metric


def judge(metric: Metric, tally: Tally | None) -> Judgement:
    """The verdict on a metric that a provider is asked for.

    A row of failures that was long enough fails the metric also when the questions after it had no answer.
    """
    known = tally or Tally()
    limit = metric.min if known.value is not None and _is_low(metric, known.value) else metric.max
    verdict, message = _verdict(metric, known)
    return Judgement(
        metric=metric.name,
        verdict=verdict,
        message=f"{metric.name}: {message}",
        estimate=known.value,
        limit=metric.min if limit is None else limit,
        samples=known.answers,
        needed=max(0, metric.failures - known.answers),
    )


def _verdict(metric: Metric, known: Tally) -> tuple[Verdict, str]:
    if known.failures >= metric.failures:
        row = f", {known.failures} times in a row" if known.failures > 1 else ""
        return Verdict.FAIL, f"{_answer(metric, known)}{row}"
    if known.problem:
        return Verdict.PROVIDER_ERROR, f"no answer: {known.problem}"
    if known.value is None and not known.verdict:
        return Verdict.NO_DATA, "the answer had no number" if known.at else "not answered yet"
    if known.failures:
        return Verdict.INCONCLUSIVE, f"{_answer(metric, known)}, {known.failures} of {metric.failures} times in a row"
    if known.verdict == "Inconclusive":
        return Verdict.INCONCLUSIVE, _answer(metric, known)
    if known.answers < metric.failures:
        more = phrases.count(metric.failures - known.answers, "answers")
        return Verdict.INSUFFICIENT_SAMPLES, f"{_answer(metric, known)}; {more} more needed"
    return Verdict.PASS, _answer(metric, known)


def _answer(metric: Metric, known: Tally) -> str:
    """The last answer, with the limit that it is or is not within."""
    if known.verdict and metric.alertmanager:
        return f"firing: {known.note or 'an alert'}" if known.verdict == "Fail" else "no alert is firing"
    if known.verdict:
        return f"the verdict of the service is {known.verdict}"
    if known.value is None:
        return "the last answer had no number"
    if not metric.has_bound:
        return f"{phrases.count(known.value, 'alerts')} firing" if known.value else "no alert is firing"
    said = phrases.number(known.value)
    if metric.min is not None and known.value < metric.min:
        return f"{said}, below the limit of {phrases.number(metric.min)}"
    if metric.max is not None and known.value > metric.max:
        return f"{said}, above the limit of {phrases.number(metric.max)}"
    limits = (phrases.number(limit) for limit in (metric.min, metric.max) if limit is not None)
    return f"{said}, within the limit of {' and '.join(limits)}"


def _is_low(metric: Metric, value: float) -> bool:
    return metric.min is not None and value < metric.min
