"""The verdict on a metric that holds for each group of requests, too, such as those in one language. Pure.

All requests and every group that there could be share the error level evenly, so that however the requests are divided
they find harm where there is none no more often than a metric that is not divided. A group that proves harm fails the
metric; one with too few samples for a verdict is counted and holds nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from modelway.analysis import judgement as judgements
from modelway.analysis.groups import NONE, OTHER
from modelway.analysis.verdicts import Judgement, Segments, Verdict
from modelway.analysis.window import Window
from modelway.api.analysis import Analysis, By, Metric

_SMALL = (Verdict.NO_DATA, Verdict.INSUFFICIENT_SAMPLES)


def judge(metric: Metric, window: Window, groups: Mapping[str, Window], analysis: Analysis, level: float) -> Judgement:
    """The verdict on a metric at a level; `groups` have the parts of the window by name."""
    if metric.by is None:
        return judgements.judge(metric, window, analysis, level)
    level /= most(metric.by) + 1
    whole = judgements.judge(metric, window, analysis, level)
    judged = {name: judgements.judge(metric, part, analysis, level) for name, part in groups.items()}
    large = {name: item for name, item in judged.items() if item.verdict not in _SMALL}
    small = len(judged) - len(large)
    if not large:
        return replace(whole, segments=Segments(input=metric.by.input, judged=0, small=small))
    worst = min(sorted(large), key=lambda name: _harm(large[name]))
    message = f"{metric.name} of {metric.by.input}={worst}{large[worst].message.removeprefix(metric.name)}"
    segments = Segments(input=metric.by.input, judged=len(large), small=small, worst=worst, message=message)
    found = min(whole, replace(large[worst], message=message), key=lambda item: item.verdict.rank)
    return replace(found, segments=segments)


def most(by: By) -> int:
    """As many groups as there can be."""
    return by.max_groups + len((OTHER, NONE))


def _harm(item: Judgement) -> tuple[float, ...]:
    """Sorts the worst first: by verdict, then by the harm that is certain, then by that which is likely."""
    return item.verdict.rank, *(math.inf if value is None else -value for value in (item.low, item.estimate))
