"""A number from Prometheus, or from whatever speaks its query API."""

import math
from typing import Any

from modelway.analysis.figures import Answer
from modelway.api.analysis import PrometheusQuery
from modelway.providers.bindings import Bindings
from modelway.providers.calls import Call, Caller, Reply
from modelway.providers.failures import NoAnswer, short

PATH = "/api/v1/query"
MOST_BYTES = 256 * 1024


async def ask(caller: Caller, metric: str, query: PrometheusQuery, bindings: Bindings, seconds: float) -> Answer:
    """The value of an instant query; no value where there is no sample. Raises NoAnswer."""
    if bindings.is_too_early_for(query.query):
        return Answer(metric=metric)
    reply = await caller.ask(
        Call(
            method="POST",
            url=query.address.rstrip("/") + PATH,
            form={"query": bindings.fill(query.query), "timeout": f"{seconds:g}s"},
            seconds=seconds,
            most_bytes=MOST_BYTES,
        )
    )
    return Answer(metric=metric, value=_value(_result(reply), reply.peer))


def _result(reply: Reply) -> tuple[str, Any]:
    """Type and content of the result."""
    body = reply.parsed()
    if isinstance(body, dict) and body.get("status") == "error":
        said = short(f"{body.get('errorType')}: {body.get('error')}")
        raise NoAnswer(f"{reply.peer} answered {reply.status}: {said}")
    match reply.json():
        case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
            return kind, result
    raise NoAnswer(f"{reply.peer} answered something that is no result of a query")


def _value(result: tuple[str, Any], peer: str) -> float | None:
    match result:
        case "scalar", [_, str(text)]:
            return _number(text, peer)
        case "vector", []:
            return None
        case "vector", [{"value": [_, str(text)]}]:
            return _number(text, peer)
        case "vector", [{"histogram": _}]:
            raise NoAnswer("The query gives a histogram: take a number of it, such as with histogram_quantile()")
        case "vector", list(samples) if len(samples) > 1:
            raise NoAnswer(f"The query gives {len(samples)} series: make one number of them, such as with sum()")
        case "matrix" | "string" as kind, _:
            raise NoAnswer(f"The query gives a {kind}: write one that gives a number")
    raise NoAnswer(f"{peer} answered something that is no result of a query")


def _number(text: str, peer: str) -> float | None:
    """The sample; None for NaN and the infinities, which say that there was nothing to divide."""
    try:
        number = float(text)
    except ValueError as failure:
        raise NoAnswer(f"{peer} answered a sample that is no number") from failure
    return number if math.isfinite(number) else None
