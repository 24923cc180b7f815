"""The places of the rules of an HTTPRoute. Pure.

Envoy Gateway (1.9, measured) names what a rule leads to by the rule's place, and tells Envoy first of that, then of the
rules. A rule that moves up when one before it is taken away so gets the other one's backends for a moment, and what
the last place led to is gone while requests still fall under it: they get 503. So each rule keeps its place in the
live route. One that leads nobody any more rests there, with backends that can answer, until its requests have
surely gone elsewhere. A new one rests as well until the gateway has confirmed its place: Envoy can be told of the rule
some milliseconds before it knows what the place leads to, and answers 503 (`cluster_not_found`) until then.
"""

from collections.abc import Collection, Sequence

from modelway import names
from modelway.kinds import Manifest

GRPC: Manifest = {"path": {"type": "PathPrefix", "value": "/inference.GRPCInferenceService"}}
"""The path of every gRPC call of the open inference protocol."""

REST, CALLS, CANDIDATE, CANDIDATE_CALLS = "rest", "grpc", "candidate", "candidate-grpc"
"""Kinds of rules, and their names: for all requests which no more special one takes, for gRPC, for requests that
match."""
_EVERY: Manifest = {"type": "PathPrefix", "value": "/"}
_NAMES = frozenset({REST, CALLS, CANDIDATE, CANDIDATE_CALLS})


def placed(
    wanted: Sequence[Manifest],
    live: Sequence[Manifest],
    *,
    coming: Collection[str] = (),
    is_confirmed: bool,
    is_quiet: bool,
) -> list[Manifest]:
    """The rules that are wanted, each named by its kind, where the live route has them; new ones come last, and rest.

    `coming`: kinds that will soon be wanted, whose places are taken beforehand. `is_confirmed`: the gateway has the
    live route, so that what rests in it may lead. `is_quiet`: what it says has been in force for long, so that resting
    rules at its end may go.
    """
    rest = next(rule for rule in wanted if rule["name"] == REST)
    left = {rule["name"]: rule for rule in wanted}
    needed = tuple(dict.fromkeys((*left, *coming)))
    kept = _kinds(live)
    while is_quiet and kept and kept[-1] not in needed and is_resting(live[len(kept) - 1]):
        kept.pop()
    leading = {name for name, rule in zip(kept, live, strict=False) if is_confirmed or not is_resting(rule)}
    leading.update((REST,) if live else left)
    places = dict.fromkeys((*kept, *needed))
    return [left[name] if name in left and name in leading else resting(name, rest) for name in places]


def _kinds(live: Sequence[Manifest]) -> list[str]:
    """The kind of each rule, each kind once; what somebody else has added is of none."""
    found: list[str] = []
    for number, rule in enumerate(live):
        seen = kind(rule)
        found.append(f"rule-{number}" if seen in found else seen)
    return found


def kind(rule: Manifest) -> str:
    """What the rule is for, or was; by its name, which not every Gateway API keeps, or by what falls under it."""
    headers = _headers(rule)
    was = next((item["value"] for item in headers if item["name"] == names.RESTING_HEADER), None)
    if was is not None:
        return str(was)
    if rule.get("name") in _NAMES:
        return str(rule["name"])
    matches: list[Manifest] = rule.get("matches") or [{}]
    is_grpc = all(match.get("path") == GRPC["path"] for match in matches)
    if headers:
        return CANDIDATE_CALLS if is_grpc else CANDIDATE
    return CALLS if is_grpc else REST


def is_resting(rule: Manifest) -> bool:
    """Whether nobody falls under it but who sends a header that nobody knows, and who is answered all the same."""
    return any(item["name"] == names.RESTING_HEADER for item in _headers(rule))


def resting(was: str, rest: Manifest) -> Manifest:
    """A rule that keeps the place of one that is not wanted any more; it leads where all others are led.

    `rest` may be what somebody else has left of that rule.
    """
    first: Manifest = next(iter(rest.get("matches") or ()), {})
    header = {"type": "Exact", "name": names.RESTING_HEADER, "value": was}
    kept = {key: value for key, value in rest.items() if key not in ("name", "sessionPersistence")}
    return kept | {
        **({"name": f"resting-{was}"} if "name" in rest else {}),
        "matches": [{"path": first.get("path", _EVERY), "headers": [header]}],
        "filters": [item for item in rest.get("filters") or () if item["type"] != "RequestMirror"],
    }


def _headers(rule: Manifest) -> list[Manifest]:
    return [header for match in rule.get("matches") or () for header in match.get("headers") or ()]
