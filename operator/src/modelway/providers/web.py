"""A number or a verdict from a service of the user."""

import math
from typing import Any

from modelway.analysis.figures import Answer
from modelway.api.analysis import Metric, WebCall
from modelway.providers.bindings import WINDOW, Bindings
from modelway.providers.calls import Call, Caller
from modelway.providers.failures import NoAnswer

MOST_BYTES = 256 * 1024
VERDICTS = ("Pass", "Fail", "Inconclusive")


async def ask(caller: Caller, metric: Metric, call: WebCall, body: dict[str, Any], seconds: float) -> Answer:
    """What the service says. Raises NoAnswer."""
    reply = await caller.ask(
        Call(method="POST", url=call.url, body={"metric": metric.name, **body}, seconds=seconds, most_bytes=MOST_BYTES)
    )
    said = reply.json()
    if not isinstance(said, dict):
        raise NoAnswer(f"{reply.peer} answered JSON that is no object")
    if "verdict" in said:
        if said["verdict"] not in VERDICTS:
            raise NoAnswer(f"{reply.peer} answered a verdict that is none of {', '.join(VERDICTS)}")
        return Answer(metric=metric.name, verdict=said["verdict"])
    if not metric.has_bound:
        raise NoAnswer(f"{reply.peer} answered no verdict, and the metric has no limit for a number: write min or max")
    return Answer(metric=metric.name, value=_number(said, call.field, reply.peer))


def question(bindings: Bindings, rest: dict[str, str]) -> dict[str, Any]:
    """The JSON that a service is asked with; `rest` goes into it as it is."""
    values = bindings.values
    return {
        **{name: values[name] for name in ("namespace", "name", "model")},
        "revisions": {role: values[role] for role in ("candidate", "stable")},
        WINDOW: values.get(WINDOW, ""),
        **rest,
    }


def _number(said: Any, field: str, peer: str) -> float | None:
    """The number at a dotted path; None for null and what is not finite."""
    for part in field.split("."):
        if not isinstance(said, dict) or part not in said:
            raise NoAnswer(f"{peer} answered JSON without a field {field}")
        said = said[part]
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise NoAnswer(f"{peer} answered something in {field} that is no number")
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
