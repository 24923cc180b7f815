"""Claims of ModelDeployments on Gateways: which of them meet, who came first, and that finding out is cheap."""

from collections.abc import Iterable
from typing import Any

import pytest

from modelway import kinds, names
from modelway.cluster import gateways
from modelway.cluster.cache import Cache
from modelway.cluster.claims import Claims
from modelway.cluster.snapshot import Key
from modelway.kinds import Kind, Manifest

PUBLIC = {"name": "public", "namespace": "infra"}


def model(
    name: str,
    *hostnames: str,
    namespace: str = "ns",
    created: str = "2026-11-20T12:00:00Z",
    called: str = "fraud",
    version: int = 1,
    **more: Any,
) -> Manifest:
    """A ModelDeployment whose model is called `fraud` unless said otherwise."""
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}", "resourceVersion": str(version)}
    traffic = {"parentRefs": [PUBLIC], "hostnames": list(hostnames)} | more
    spec = {"model": {"name": called, "uri": "s3://a/b", "format": "onnx"}, "traffic": traffic}
    return {"metadata": metadata | {"creationTimestamp": created}, "spec": spec}


def route(name: str, *hostnames: str, namespace: str = "ns", version: int = 1) -> Manifest:
    """The live HTTPRoute of that ModelDeployment."""
    reference = {
        "apiVersion": names.API_VERSION,
        "kind": "ModelDeployment",
        "name": name,
        "uid": "u",
        "controller": True,
    }
    metadata = {
        "namespace": namespace,
        "name": name,
        "uid": f"route-{namespace}-{name}",
        "resourceVersion": str(version),
        "ownerReferences": [reference],
    }
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": f"/v2/models/{called}"}} for called in ("fraud",)]}
    return {"metadata": metadata, "spec": {"parentRefs": [PUBLIC], "hostnames": list(hostnames), "rules": [rule]}}


def filled(*models: Manifest, routes: Iterable[Manifest] = ()) -> Cache:
    cache = Cache()
    for manifest in models:
        cache.observe(kinds.MODEL_DEPLOYMENT, None, manifest)
    for manifest in routes:
        cache.observe(kinds.HTTP_ROUTE, None, manifest)
    return cache


def rival(cache: Cache, name: str, namespace: str = "ns") -> Key | None:
    found = cache.snapshot((namespace, name)).rival
    return found.owner if found else None


PAIRS: list[Any] = [
    pytest.param(("a.example.com",), ("a.example.com",), True, id="equal"),
    pytest.param(("a.example.com",), ("b.example.com",), False, id="apart"),
    pytest.param(("*.example.com",), ("a.example.com",), True, id="wildcard"),
    pytest.param(("*.example.com",), ("a.b.example.com",), True, id="wildcard-over-two-labels"),
    pytest.param(("*.example.com",), ("example.com",), False, id="wildcard-is-not-its-domain"),
    pytest.param(("*.example.com",), ("*.b.example.com",), True, id="wildcard-over-wildcard"),
    pytest.param(("*.a.example.com",), ("*.b.example.com",), False, id="wildcards-apart"),
    pytest.param(("*.example.com",), ("a.notexample.com",), False, id="wildcard-of-another-domain"),
    pytest.param((), ("a.example.com",), True, id="every-name"),
    pytest.param((), ("*.example.com",), True, id="every-name-and-wildcard"),
    pytest.param((), (), True, id="every-name-twice"),
    pytest.param(("x.example.com", "a.example.com"), ("y.example.com", "a.example.com"), True, id="one-of-several"),
]


@pytest.mark.parametrize(("one", "other", "meet"), PAIRS)
@pytest.mark.parametrize("is_swapped", [False, True], ids=["", "swapped"])
def test_host_names_meet_where_one_request_could_mean_both(
    one: tuple[str, ...], other: tuple[str, ...], meet: bool, is_swapped: bool
) -> None:
    first, second = (other, one) if is_swapped else (one, other)
    cache = filled(model("a", *first), model("b", *second))
    assert rival(cache, "a") is None
    assert rival(cache, "b") == (("ns", "a") if meet else None)


OTHERS: list[Any] = [
    pytest.param({"called": "churn"}, False, id="another-model"),
    pytest.param({"called": "churn", "paths": "All"}, True, id="all-paths"),
    pytest.param({"parentRefs": [PUBLIC | {"namespace": "other"}]}, False, id="gateway-of-another-namespace"),
    pytest.param({"parentRefs": [{"name": "public"}]}, False, id="gateway-of-its-own-namespace"),
    pytest.param({"parentRefs": [{"name": "other", "namespace": "infra"}, PUBLIC]}, True, id="one-of-two-gateways"),
    pytest.param({"parentRefs": [PUBLIC | {"kind": "Service", "group": ""}]}, False, id="no-gateway"),
    pytest.param({"namespace": "other"}, True, id="another-namespace"),
]


@pytest.mark.parametrize(("more", "meet"), OTHERS)
def test_paths_gateways_and_namespaces_count(more: dict[str, Any], meet: bool) -> None:
    cache = filled(model("a", "x.example.com"), model("b", "x.example.com", **more))
    assert rival(cache, "b", more.get("namespace", "ns")) == (("ns", "a") if meet else None)


def test_the_default_name_of_a_model_is_that_of_its_object() -> None:
    one, other = model("fraud", "x.example.com"), model("fraud", "x.example.com", namespace="other")
    del one["spec"]["model"]["name"], other["spec"]["model"]["name"]
    assert rival(filled(one, other), "fraud", "other") == ("ns", "fraud")


LISTENERS: list[Any] = [
    pytest.param({"sectionName": "http"}, {"sectionName": "https"}, False, id="sections-apart"),
    pytest.param({"sectionName": "http"}, {}, True, id="one-of-all-sections"),
    pytest.param({"port": 80}, {"port": 443}, False, id="ports-apart"),
    pytest.param({"sectionName": "http", "port": 80}, {"sectionName": "http"}, True, id="same-section"),
]


@pytest.mark.parametrize(("one", "other", "meet"), LISTENERS)
def test_listeners_of_one_gateway_are_apart(one: dict[str, Any], other: dict[str, Any], meet: bool) -> None:
    first, second = (
        model(name, "x.example.com", parentRefs=[PUBLIC | extra])
        for name, extra in zip("ab", (one, other), strict=True)
    )
    assert (rival(filled(first, second), "b") is not None) == meet


def test_preview_host_names_are_claims_too() -> None:
    shown = model("b", "b.example.com")
    shown["spec"]["rollout"] = {"strategy": "BlueGreen", "blueGreen": {"previewHostnames": ["a.example.com"]}}
    assert rival(filled(model("a", "a.example.com"), shown), "b") == ("ns", "a")


def test_the_older_one_is_first_then_the_namespace_and_the_name() -> None:
    late = model("a", "x.example.com", created="2026-11-20T12:00:01Z")
    assert rival(filled(late, model("b", "x.example.com")), "a") == ("ns", "b")
    same = model("b", "x.example.com", namespace="a-namespace"), model("a", "x.example.com")
    assert rival(filled(*same), "a") == ("a-namespace", "b")
    assert rival(filled(*same), "b", "a-namespace") is None


def test_whoever_has_the_requests_keeps_them_from_an_older_one() -> None:
    younger = model("b", "x.example.com", created="2026-11-20T13:00:00Z")
    cache = filled(model("a", "x.example.com"), younger, routes=[route("b", "x.example.com")])
    assert rival(cache, "a") == ("ns", "b")
    assert rival(cache, "b") is None
    both = filled(
        model("a", "x.example.com"), younger, routes=[route("a", "x.example.com"), route("b", "x.example.com")]
    )
    assert (rival(both, "a"), rival(both, "b")) == (None, ("ns", "a"))


def test_a_route_that_goes_is_held_no_longer() -> None:
    younger, held = model("b", "x.example.com", created="2026-11-20T13:00:00Z"), route("b", "x.example.com")
    cache = filled(model("a", "x.example.com"), younger, routes=[held])
    cache.observe(kinds.HTTP_ROUTE, "DELETED", held | {"metadata": held["metadata"] | {"resourceVersion": "2"}})
    assert (rival(cache, "a"), rival(cache, "b")) == (None, ("ns", "a"))


@pytest.mark.parametrize("way", ["deleted", "moved", "swept", "forgotten"])
def test_the_second_is_free_and_woken_when_the_first_goes(way: str) -> None:
    first = model("a", "x.example.com")
    cache = filled(first, model("b", "x.example.com"))
    assert rival(cache, "b") == ("ns", "a")
    if way == "deleted":
        woken: Iterable[Key] = cache.observe(
            kinds.MODEL_DEPLOYMENT, "DELETED", first | {"metadata": first["metadata"] | {"resourceVersion": "2"}}
        )
    elif way == "moved":
        woken = cache.observe(kinds.MODEL_DEPLOYMENT, "MODIFIED", model("a", "y.example.com", version=2))
    elif way == "swept":
        gone = cache.sweep(kinds.MODEL_DEPLOYMENT, None, [model("b", "x.example.com")], "9")
        woken = [key for manifest in gone for key in cache.affected(kinds.MODEL_DEPLOYMENT, manifest)]
    else:
        cache.forget(kinds.MODEL_DEPLOYMENT, "ns", "a", first["metadata"]["uid"])
        woken = [("ns", "b")]
    assert ("ns", "b") in woken
    assert rival(cache, "b") is None


def test_a_model_that_meets_nobody_wakes_nobody_else() -> None:
    cache = filled(*(model(f"m{number}", f"m{number}.example.com") for number in range(50)))
    assert cache.observe(kinds.MODEL_DEPLOYMENT, "MODIFIED", model("m7", "m7.example.com", version=2)) == (
        ("ns", "m7"),
    )


def test_what_changes_no_claim_wakes_nobody_else() -> None:
    cache = filled(model("a", "x.example.com"), model("b", "x.example.com"), routes=[route("a", "x.example.com")])
    assert cache.observe(kinds.MODEL_DEPLOYMENT, "MODIFIED", model("a", "x.example.com", version=2)) == (("ns", "a"),)
    assert cache.observe(kinds.HTTP_ROUTE, "MODIFIED", route("a", "x.example.com", version=2)) == (("ns", "a"),)


def test_an_older_one_is_woken_when_the_route_that_it_waits_for_goes() -> None:
    younger, held = model("b", "x.example.com", created="2026-11-20T13:00:00Z"), route("b", "x.example.com")
    cache = filled(model("a", "x.example.com"), younger, routes=[held])
    cache.forget(kinds.HTTP_ROUTE, "ns", "b", held["metadata"]["uid"])
    gone = held | {"metadata": held["metadata"] | {"resourceVersion": "2"}}
    assert cache.observe(kinds.HTTP_ROUTE, "DELETED", gone) == (("ns", "b"), ("ns", "a"))
    assert rival(cache, "a") is None


def test_nothing_is_left_in_the_index_of_models_that_went() -> None:
    claims = Claims()
    models = [model(f"m{number}", f"m{number}.example.com", "*.example.org") for number in range(5)]
    for manifest in models:
        claims.want(("ns", manifest["metadata"]["name"]), manifest)
        claims.hold(("ns", manifest["metadata"]["name"]), route(manifest["metadata"]["name"], "x.example.com"))
    for manifest in models:
        claims.release(("ns", manifest["metadata"]["name"]), route(manifest["metadata"]["name"]))
        claims.drop(("ns", manifest["metadata"]["name"]))
    assert not claims._wanted
    assert not claims._held
    assert not any(claims._index.values())
    assert not any(claims._below.values())


@pytest.mark.parametrize("shape", ["hosts", "paths", "every-host", "all-paths"])
def test_with_a_thousand_models_on_one_gateway_each_is_compared_with_few(shape: str) -> None:
    def one(number: int) -> Manifest:
        host = () if shape == "every-host" else ("x.example.com",) if shape == "paths" else (f"m{number}.example.com",)
        return model(f"m{number}", *host, called=f"m{number}", paths="All" if shape == "all-paths" else "Model")

    claims, looked_at = Claims(), 0
    for number in range(1000):
        claims.want(("ns", f"m{number}"), one(number))
    for number in range(1000):
        for claim in claims._wanted["ns", f"m{number}"]:
            looked_at += len(claims._covering(claim)) + sum(1 for _ in claims._meeting(claim))
    assert looked_at <= 1000 * 5


GATEWAY: Manifest = {
    "metadata": {"namespace": "infra", "name": "public", "uid": "g1", "resourceVersion": "1"},
    "spec": {"gatewayClassName": "envoy"},
}


def gateway_class(*features: Any, version: int = 1) -> Manifest:
    status = {"supportedFeatures": list(features)}
    return {"metadata": {"name": "envoy", "uid": "c1", "resourceVersion": str(version)}, "status": status}


def observed(*pairs: tuple[Kind, Manifest]) -> Cache:
    cache = Cache()
    for kind, manifest in pairs:
        cache.observe(kind, None, manifest)
    return cache


def silent(controller: str) -> list[tuple[Kind, Manifest]]:
    """A Gateway whose class reports no features at all."""
    metadata = {"name": "envoy", "uid": "c1", "resourceVersion": "1"}
    return [
        (kinds.GATEWAY, GATEWAY),
        (kinds.GATEWAY_CLASS, {"metadata": metadata, "spec": {"controllerName": controller}}),
    ]


MIRRORS = {"HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"}
MIRROR = {"name": "HTTPRouteRequestMirror"}
KNOWN = [(kinds.GATEWAY, GATEWAY), (kinds.GATEWAY_CLASS, gateway_class(MIRROR, {"name": "HTTPRouteRequestTimeout"}))]
SEEN: list[Any] = [
    pytest.param(KNOWN, {"HTTPRouteRequestMirror", "HTTPRouteRequestTimeout"}, id="all-known"),
    pytest.param(KNOWN[:1], set(), id="class-unknown"),
    pytest.param(KNOWN[1:], set(), id="gateway-unknown"),
    pytest.param(
        [(kinds.GATEWAY, GATEWAY), (kinds.GATEWAY_CLASS, gateway_class("HTTPRouteRequestMirror"))],
        {"HTTPRouteRequestMirror"},
        id="plain-names-of-old-versions",
    ),
    pytest.param(silent("gateway.envoyproxy.io/gatewayclass-controller"), MIRRORS, id="a-known-one-that-says-nothing"),
    pytest.param(silent("example.com/controller"), set(), id="an-unknown-one-that-says-nothing"),
]


@pytest.mark.parametrize(("pairs", "features"), SEEN)
def test_what_a_gateway_can_do_is_what_its_class_reports(pairs: list[Any], features: set[str]) -> None:
    cache = observed(*pairs, (kinds.MODEL_DEPLOYMENT, model("a", "x.example.com")))
    assert cache.snapshot(("ns", "a")).gateway_features == features


def test_of_two_gateways_only_what_both_can_do_counts() -> None:
    other = {"metadata": GATEWAY["metadata"] | {"name": "b", "uid": "g2"}, "spec": {"gatewayClassName": "x"}}
    second = {"metadata": {"name": "x", "uid": "c2", "resourceVersion": "1"}, "status": {"supportedFeatures": [MIRROR]}}
    named = model("a", parentRefs=[PUBLIC, PUBLIC | {"name": "b"}])
    pairs = [*KNOWN, (kinds.GATEWAY, other), (kinds.GATEWAY_CLASS, second), (kinds.MODEL_DEPLOYMENT, named)]
    assert observed(*pairs).snapshot(("ns", "a")).gateway_features == {"HTTPRouteRequestMirror"}


def test_a_gateway_wakes_those_that_name_it_and_only_when_it_says_something_new() -> None:
    cache = observed(
        (kinds.MODEL_DEPLOYMENT, model("a", "x.example.com")),
        (kinds.MODEL_DEPLOYMENT, model("b", "y.example.com", parentRefs=[{"name": "other"}])),
        *KNOWN,
    )
    busy = GATEWAY | {
        "metadata": GATEWAY["metadata"] | {"resourceVersion": "2"},
        "status": {"listeners": [{"attachedRoutes": 7}]},
    }
    assert cache.observe(kinds.GATEWAY, "MODIFIED", busy) == ()
    other = busy | {
        "metadata": GATEWAY["metadata"] | {"resourceVersion": "3"},
        "spec": {"gatewayClassName": "istio"},
    }
    assert cache.observe(kinds.GATEWAY, "MODIFIED", other) == (("ns", "a"),)
    same = cache.observe(
        kinds.GATEWAY_CLASS,
        "MODIFIED",
        KNOWN[1][1] | {"metadata": {"name": "envoy", "uid": "c1", "resourceVersion": "2"}},
    )
    assert same == ()
    assert set(cache.observe(kinds.GATEWAY_CLASS, "MODIFIED", gateway_class(MIRROR, version=3))) == {
        ("ns", "a"),
        ("ns", "b"),
    }


def test_the_gateways_that_a_model_names_are_those_of_its_namespace_by_default() -> None:
    assert list(gateways.named(model("a", parentRefs=[{"name": "mine"}, PUBLIC]))) == [
        ("ns", "mine"),
        ("infra", "public"),
    ]
