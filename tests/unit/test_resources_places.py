"""Rules keep their places in a route: none moves up while requests may still fall under another."""

from itertools import permutations
from typing import Any

import pytest

from modelway.kinds import Manifest
from modelway.resources import places
from modelway.resources.places import placed


def rule(kind: str) -> Manifest:
    """A rule of that kind."""
    header = {"type": "Exact", "name": "x-cohort", "value": "beta"}
    path = places.GRPC["path"] if kind.endswith("grpc") else {"type": "PathPrefix", "value": "/"}
    match = {"path": path} | ({"headers": [header]} if kind.startswith("candidate") else {})
    return {"name": kind, "matches": [match], "backendRefs": [{"name": kind}], "filters": []}


REST, GRPC, CANDIDATE, CALLS = map(rule, ("rest", "grpc", "candidate", "candidate-grpc"))
ASIDE, ASIDE_CALLS, NO_GRPC = (places.resting(kind, REST) for kind in ("candidate", "candidate-grpc", "grpc"))


@pytest.mark.parametrize("kind", ["rest", "grpc", "candidate", "candidate-grpc"])
def test_what_a_rule_is_for_is_seen_without_its_name(kind: str) -> None:
    nameless = {key: value for key, value in rule(kind).items() if key != "name"}
    assert places.kind(nameless) == kind
    resting = places.resting(kind, nameless)
    assert (places.kind(resting), places.is_resting(resting), "name" in resting) == (kind, True, False)
    assert not places.is_resting(nameless)


CASES: list[Any] = [
    pytest.param([], [REST, CANDIDATE], [REST, CANDIDATE], id="a-new-route"),
    pytest.param([REST], [REST, GRPC, CANDIDATE], [REST, NO_GRPC, ASIDE], id="new-rules-come-last-and-rest"),
    pytest.param([REST, CANDIDATE], [REST], [REST, ASIDE], id="one-that-is-not-wanted-rests"),
    pytest.param([REST, ASIDE], [REST, CANDIDATE], [REST, CANDIDATE], id="one-that-rests-leads-again"),
    pytest.param([REST, CANDIDATE], [REST, GRPC], [REST, ASIDE, NO_GRPC], id="none-takes-the-place-of-another"),
    pytest.param([REST, GRPC, CANDIDATE], [REST, CANDIDATE], [REST, NO_GRPC, CANDIDATE], id="none-moves-up"),
    pytest.param([CANDIDATE, REST], [REST], [ASIDE, REST], id="whatever-the-order-was"),
]


@pytest.mark.parametrize(("live", "wanted", "expected"), CASES)
def test_16_each_rule_keeps_its_place(live: list[Manifest], wanted: list[Manifest], expected: list[Manifest]) -> None:
    assert placed(wanted, live, is_confirmed=True, is_quiet=False) == expected
    assert placed(wanted, expected, is_confirmed=False, is_quiet=False) == expected


def test_16_a_new_rule_leads_nobody_before_its_place_is_confirmed() -> None:
    wanted = [REST, CANDIDATE]
    resting = placed(wanted, [REST], is_confirmed=True, is_quiet=True)
    assert resting == [REST, ASIDE]
    assert placed(wanted, resting, is_confirmed=False, is_quiet=False) == resting
    assert placed(wanted, resting, is_confirmed=True, is_quiet=False) == wanted
    assert placed(wanted, wanted, is_confirmed=False, is_quiet=False) == wanted


def test_16_a_rule_that_is_coming_takes_its_place_and_keeps_it() -> None:
    soon = ("candidate", "candidate-grpc")
    live = placed([REST], [REST], coming=soon, is_confirmed=True, is_quiet=False)
    assert live == placed([REST], [], coming=soon, is_confirmed=True, is_quiet=False) == [REST, ASIDE, ASIDE_CALLS]
    assert placed([REST], live, coming=soon, is_confirmed=True, is_quiet=True) == live
    assert placed([REST, CANDIDATE], live, coming=soon, is_confirmed=True, is_quiet=False)[1:] == [
        CANDIDATE,
        ASIDE_CALLS,
    ]


def test_the_rule_for_all_requests_never_rests() -> None:
    assert placed([REST], [GRPC], is_confirmed=False, is_quiet=False) == [NO_GRPC, REST]


def test_a_rule_rests_until_all_is_quiet() -> None:
    live = [REST, ASIDE, ASIDE_CALLS]
    assert placed([REST], live, is_confirmed=True, is_quiet=False) == live
    assert placed([REST], live, is_confirmed=True, is_quiet=True) == [REST]
    assert placed([REST], [REST, CANDIDATE], is_confirmed=True, is_quiet=True) == [REST, ASIDE]
    assert placed([REST, GRPC], [REST, ASIDE, GRPC], is_confirmed=True, is_quiet=True) == [REST, ASIDE, GRPC]


def test_16_in_no_order_does_a_rule_that_leads_get_the_place_of_another() -> None:
    every = [REST, GRPC, CANDIDATE, CALLS]
    for count in range(1, 5):
        for live in permutations(every, count):
            for size in range(4):
                for others in permutations(every[1:], size):
                    found = placed([REST, *others], list(live), is_confirmed=True, is_quiet=True)
                    pairs = list(zip(live, found, strict=False))
                    assert len(pairs) == len(live)
                    assert all(new == old or places.is_resting(new) for old, new in pairs)
                    assert [item for item in found if item in every and item not in (REST, *others)] == []
                    assert {*map(places.kind, found)} >= {*map(places.kind, (REST, *others))}
                    assert all(item in found for item in (REST, *others) if item is REST or item in live)


def test_what_somebody_else_adds_rests_where_it_is() -> None:
    foreign = REST | {"backendRefs": [{"name": "elsewhere"}]}
    found = placed([REST, CANDIDATE], [REST, foreign, CANDIDATE], is_confirmed=True, is_quiet=False)
    assert found == [REST, places.resting("rule-1", REST), CANDIDATE]
    assert found[1]["backendRefs"] == REST["backendRefs"]


def test_a_rule_that_rests_has_no_session_and_no_copies() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {}}
    kept = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"]}}
    found = places.resting("candidate", REST | {"filters": [kept, mirror], "sessionPersistence": {"type": "Cookie"}})
    assert found["filters"] == [kept]
    assert "sessionPersistence" not in found


LEFT: list[Any] = [
    pytest.param({"backendRefs": []}, id="nothing"),
    pytest.param({"backendRefs": [], "matches": []}, id="no-match"),
    pytest.param({"backendRefs": [], "matches": [{"method": "GET"}]}, id="no-path"),
]


@pytest.mark.parametrize("rest", LEFT)
def test_what_somebody_left_of_a_route_is_enough_to_rest_by(rest: Manifest) -> None:
    (match,) = places.resting("candidate", rest)["matches"]
    assert match["path"] == {"type": "PathPrefix", "value": "/"}
    assert places.is_resting({"matches": [match]})
