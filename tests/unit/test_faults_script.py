"""The faults of the tests: which request they meet, how often, how long, and always the same ones for a seed."""

import pytest

from faults import calls
from faults.calls import Call
from faults.script import STREAMS, Effect, Fault, Script, mixed

WATCH = calls.read("GET", "/apis/apps/v1/namespaces/a/deployments", {"watch": "true"})
LIST = calls.read("GET", "/api/v1/pods", {"limit": "500"})
BIRTH = calls.read("POST", "/api/v1/namespaces/a/services", {})
SCALE = calls.read("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/scale", {})
DISCOVERY = calls.read("GET", "/apis/apps/v1", {})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (WATCH, ("watch", "deployments", "a", "", "")),
        (LIST, ("list", "pods", "", "", "")),
        (BIRTH, ("create", "services", "a", "", "")),
        (SCALE, ("patch", "deployments", "a", "b", "scale")),
        (DISCOVERY, ("get", "", "", "", "")),
        (calls.read("POST", "/api/v1/pods", {"dryRun": "All"}), ("verify", "pods", "", "", "")),
        (calls.read("GET", "/api/v1/namespaces/a", {}), ("get", "namespaces", "", "a", "")),
    ],
    ids=["watch", "list", "create", "subresource", "discovery", "dry run", "namespace"],
)
def test_a_request_is_read_in_the_words_of_kubernetes(call: Call, said: tuple[str, ...]) -> None:
    assert (call.verb, call.resource, call.namespace, call.name, call.subresource) == said


def test_the_target_of_a_subresource_is_the_object() -> None:
    assert SCALE.target == "/apis/apps/v1/namespaces/a/deployments/b"


@pytest.mark.parametrize("effect", Effect)
def test_a_fault_meets_only_what_it_can_happen_to(effect: Effect) -> None:
    met = {call.verb for call in (WATCH, LIST, BIRTH, SCALE, DISCOVERY) if Fault(effect=effect).concerns(call)}
    anything = {"watch", "list", "create", "patch", "get"}
    special = {
        Effect.EXPIRED: {"watch", "list"},
        Effect.LOST: anything - {"watch"},
        Effect.HALVED: anything - {"watch"},
        Effect.MOVED: {"patch"},
        Effect.STALE: {"list"},
    }
    assert met == special.get(effect, {"watch"} if effect in STREAMS else anything)


def test_a_fault_ends_with_its_number() -> None:
    script = Script(0)
    script.begin(Fault(effect=Effect.BROKEN, count=2, verbs=frozenset({"list"})))
    assert script.draw(BIRTH) is None
    assert [script.draw(LIST) is not None for _ in range(3)] == [True, True, False]
    assert script.happened == {Effect.BROKEN: 2}


def test_a_fault_ends_with_its_time() -> None:
    now = [0.0]
    script = Script(0, clock=lambda: now[0])
    script.begin(Fault(effect=Effect.BROKEN, seconds=5))
    now[0] = 4.9
    assert script.draw(LIST) is not None
    now[0] = 5.0
    assert script.draw(LIST) is None


def test_what_is_held_goes_on_when_the_faults_are_over() -> None:
    now = [0.0]
    script, fault = Script(0, clock=lambda: now[0]), Fault(effect=Effect.HELD, count=1, seconds=5)
    script.begin(fault)
    assert script.draw(SCALE) is fault
    assert not script.is_over(fault)
    script.end()
    assert script.is_over(fault)
    script.begin(fault)
    now[0] = 5.0
    assert script.is_over(fault)


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[Effect | None]:
        script = Script(seed)
        script.begin(*mixed(0.1, seconds=60))
        return [fault.effect if (fault := script.draw(SCALE)) else None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert None in drawn(1)
    assert len(set(drawn(1))) > 5


def test_what_is_spared_does_not_happen() -> None:
    script = Script(0)
    script.begin(*mixed(1.0, seconds=60, spare=set(Effect) - {Effect.LOST}))
    assert {fault.effect for _ in range(9) if (fault := script.draw(LIST))} == {Effect.LOST}
