"""A veto by alerts: Fail while one fires, Pass while none does."""

from typing import Any

from modelway.analysis.figures import Answer
from modelway.api.analysis import AlertmanagerAlert
from modelway.providers.bindings import Bindings
from modelway.providers.calls import Call, Caller
from modelway.providers.failures import NoAnswer, short

PATH = "/api/v2/alerts"
MOST_BYTES = 256 * 1024
MOST_NAMES = 3

_FIRING = (("active", "true"), ("silenced", "false"), ("inhibited", "false"))


async def ask(caller: Caller, metric: str, alert: AlertmanagerAlert, bindings: Bindings, seconds: float) -> Answer:
    """Whether an alert fires that all matchers match and that is neither silenced nor inhibited. Raises NoAnswer."""
    if any(bindings.is_too_early_for(matcher) for matcher in alert.matchers):
        return Answer(metric=metric)
    filters = tuple(("filter", bindings.fill(matcher)) for matcher in alert.matchers)
    url = alert.address.rstrip("/") + PATH
    reply = await caller.ask(Call(url=url, params=(*_FIRING, *filters), seconds=seconds, most_bytes=MOST_BYTES))
    if reply.status == 400 and isinstance(said := reply.parsed(), str):
        raise NoAnswer(f"{reply.peer} answered 400: {short(said)}")
    alerts = reply.json()
    if not isinstance(alerts, list) or not all(isinstance(item, dict) for item in alerts):
        raise NoAnswer(f"{reply.peer} answered something that is no list of alerts")
    if not alerts:
        return Answer(metric=metric, verdict="Pass")
    return Answer(metric=metric, verdict="Fail", note=_note(alerts))


def _note(alerts: list[dict[str, Any]]) -> str:
    """Their names, as far as they fit."""
    labels = (item.get("labels") for item in alerts)
    names = sorted({str(item.get("alertname", "")) for item in labels if isinstance(item, dict)} - {""})
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return short(f"{', '.join(names[:MOST_NAMES]) or 'an alert without a name'}{more}")
