"""What makes a revision, field by field, and how its identity stays the same however a spec is written."""

import copy
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from modelway.api import ModelDeploymentSpec
from modelway.kinds import Manifest
from modelway.resources import revision

ROOT = Path(__file__).parents[2]
MODEL: Manifest = {"uri": "s3://models/fraud/1", "format": "onnx"}
DIGEST = "sha256:" + 64 * "a"
TENSOR = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}
GOLDEN = {"name": "one", "request": {"inputs": [TENSOR]}, "expect": {"outputs": [{"name": "y", "data": [1]}]}}
CANARY = {"rollout": {"strategy": "Canary", "steps": [{"weight": 10}]}}
BLUE_GREEN = {
    "traffic": {"parentRefs": [{"name": "public"}]},
    "rollout": {"strategy": "BlueGreen", "blueGreen": {}},
}
MATCHES = {
    "traffic": {"parentRefs": [{"name": "public"}]},
    "rollout": {"candidateMatches": [{"headers": [{"name": "x-cohort", "value": "beta"}]}]},
}
GATEWAY = {"traffic": {"parentRefs": [{"name": "public"}], "hostnames": ["a.example.com"]}}


def variable(**source: Any) -> Manifest:
    """A context with one environment variable."""
    return {"runtime": {"env": [{"name": "LEVEL", **source}]}}


def taken_from(kind: str, **reference: Any) -> Manifest:
    """A context with one variable that is taken from elsewhere."""
    return variable(valueFrom={kind: reference})


KEY = "-----BEGIN PUBLIC KEY-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
SIGNED = {"model": {"signature": {"certificateAuthority": CERTIFICATE}}}

MAKES_A_REVISION: dict[str, tuple[Manifest, Any, Any]] = {
    "model.name": ({}, "fraud", "scam"),
    "model.uri": ({}, "s3://models/fraud/1", "s3://models/fraud/2"),
    "model.format": ({}, "onnx", "sklearn"),
    "model.version": ({}, "1", "2"),
    "model.digest": ({}, DIGEST, "sha256:" + 64 * "b"),
    "model.trust": ({}, "Safe", "Any"),
    "model.signature.publicKey": ({}, KEY, f"{KEY}A"),
    "model.signature.certificateAuthority": ({}, CERTIFICATE, f"{CERTIFICATE}A"),
    "model.signature.identity": (SIGNED, "fraud@acme.example", "other@acme.example"),
    "model.signature.file": (SIGNED, "model.sig", "fraud.sig"),
    "model.credentials.secretRef.name": ({}, "reader", "other"),
    "model.credentials.serviceAccountName": ({}, "reader", "other"),
    "model.options": ({}, {"output": "Probabilities"}, {"output": "Labels"}),
    "runtime.ref.kind": ({"runtime": {"ref": {"name": "mine"}}}, "ClusterModelRuntime", "ModelRuntime"),
    "runtime.ref.name": ({}, "modelway", "mine"),
    "runtime.image": ({}, "", "example.com/runtime:2"),
    "runtime.env[].name": (variable(), "LEVEL", "DEPTH"),
    "runtime.env[].value": (variable(), "1", "2"),
    "runtime.env[].valueFrom.secretKeyRef.name": (taken_from("secretKeyRef", name="a", key="k"), "a", "b"),
    "runtime.env[].valueFrom.secretKeyRef.key": (taken_from("secretKeyRef", name="a", key="k"), "k", "l"),
    "runtime.env[].valueFrom.secretKeyRef.optional": (taken_from("secretKeyRef", name="a", key="k"), False, True),
    "runtime.env[].valueFrom.configMapKeyRef.name": (taken_from("configMapKeyRef", name="a", key="k"), "a", "b"),
    "runtime.env[].valueFrom.configMapKeyRef.key": (taken_from("configMapKeyRef", name="a", key="k"), "k", "l"),
    "runtime.env[].valueFrom.configMapKeyRef.optional": (taken_from("configMapKeyRef", name="a", key="k"), False, True),
    "runtime.env[].valueFrom.fieldRef.fieldPath": (variable(), "spec.nodeName", "metadata.name"),
    "runtime.env[].valueFrom.fieldRef.apiVersion": (taken_from("fieldRef", fieldPath="spec.nodeName"), "v1", "v2"),
    "runtime.env[].valueFrom.resourceFieldRef.resource": (variable(), "limits.cpu", "limits.memory"),
    "runtime.env[].valueFrom.resourceFieldRef.containerName": (
        taken_from("resourceFieldRef", resource="limits.cpu"),
        "model",
        "gate",
    ),
    "runtime.env[].valueFrom.resourceFieldRef.divisor": (
        taken_from("resourceFieldRef", resource="limits.cpu"),
        "1",
        "1m",
    ),
    "runtime.args": ({}, ["--one"], ["--two"]),
    "runtime.resources.requests": ({}, {"cpu": "1"}, {"cpu": "2"}),
    "runtime.resources.limits": ({}, {"memory": "1Gi"}, {"memory": "2Gi"}),
    "runtime.batching.maxBatchSize": ({}, 32, 64),
    "runtime.batching.maxDelay": ({}, "0s", "5ms"),
    "runtime.limits.maxBodyBytes": ({}, "64Mi", "32Mi"),
    "runtime.limits.maxQueue": ({}, 1000, 10),
    "runtime.limits.requestTimeout": ({}, "30s", "31s"),
    "runtime.refresh": ({}, "", "now"),
    "runtime.template": ({}, {"spec": {"nodeSelector": {"disk": "ssd"}}}, {"spec": {"nodeSelector": {"disk": "hdd"}}}),
}

SHADOWED: Manifest = GATEWAY | {
    "rollout": {
        "strategy": "Canary",
        "shadow": {},
        "analysis": {"metrics": [{"name": "errors", "builtin": "ErrorRate", "max": 0.5}]},
    }
}
ANALYSIS: dict[str, tuple[Any, Any]] = {
    "confidencePercent": (95, 99),
    "interval": ("30s", "1m"),
    "minSamples": (500, 100),
    "decision": ("NoHarm", "Evidence"),
    "holdDeadline": ("1h", "2h"),
    "onUndecided": ("Hold", "Abort"),
}
SHADOW: dict[str, tuple[Any, Any]] = {
    "percent": (20, 50),
    "maxRequestsPerSecond": (20, 50),
    "baselinePercent": (10, 0),
    "tolerance": (0.001, 0.5),
    "redact": (False, True),
}


def judged(metric: Manifest) -> Manifest:
    """A context with one metric."""
    return GATEWAY | {"rollout": {"strategy": "Canary", "shadow": {}, "analysis": {"metrics": [metric]}}}


ERRORS = judged({"name": "errors", "builtin": "ErrorRate", "max": 0.5})
BY_LANGUAGE = judged({"name": "errors", "builtin": "ErrorRate", "max": 0.5, "by": {"input": "language"}})
RATE = judged({"name": "rate", "builtin": "Throughput", "min": 1})
OFF = judged({"name": "off", "builtin": "MeanAbsoluteError", "max": 5, "clip": 50})
DRIFTED = judged({"name": "drift", "builtin": "Drift", "features": ["age"], "method": "PSI"})
QUERY = judged({"name": "score", "prometheus": {"address": "http://p", "query": "up"}, "max": 1})
CALL = judged({"name": "judge", "web": {"url": "http://j"}})
ALERT = judged({"name": "alert", "alertmanager": {"address": "http://a", "matchers": ["a=b"]}})
METRIC: dict[str, tuple[Manifest, Any, Any]] = {
    "name": (ERRORS, "errors", "faults"),
    "builtin": (ERRORS, "ErrorRate", "Disagreement"),
    "max": (ERRORS, 0.5, 0.25),
    "min": (RATE, 1, 2),
    "maxIncreasePercent": (ERRORS, 10, 20),
    "maxDecreasePercent": (RATE, 10, 20),
    "clip": (OFF, 50, 100),
    "features": (DRIFTED, ["age"], ["income"]),
    "method": (DRIFTED, "PSI", "KS"),
    "failureLimit": (QUERY, 1, 2),
    "dryRun": (ERRORS, False, True),
    "by.input": (ERRORS, "language", "country"),
    "by.maxGroups": (BY_LANGUAGE, 10, 5),
    "prometheus.address": (QUERY, "http://p", "http://q"),
    "prometheus.query": (QUERY, "up", "down"),
    "web.url": (CALL, "http://j", "http://k"),
    "web.field": (CALL, "value", "score"),
    "alertmanager.address": (ALERT, "http://a", "http://b"),
    "alertmanager.matchers": (ALERT, ["a=b"], ["a=c"]),
}

MAKES_NONE: dict[str, tuple[Manifest, Any, Any]] = {
    "replicas": ({}, 1, 0),
    "autoscaling.minReplicas": ({"autoscaling": {"maxReplicas": 9}}, 1, 2),
    "autoscaling.maxReplicas": ({}, 4, 5),
    "autoscaling.metrics": ({"autoscaling": {"maxReplicas": 9}}, [], [{"type": "Pods", "pods": {}}]),
    "autoscaling.behavior": ({"autoscaling": {"maxReplicas": 9}}, {}, {"scaleDown": {"selectPolicy": "Min"}}),
    "podDisruptionBudget.maxUnavailable": ({}, 1, "50%"),
    "validation.requests[].name": ({"validation": {"requests": [GOLDEN]}}, "one", "two"),
    "validation.requests[].request": ({"validation": {"requests": [GOLDEN]}}, GOLDEN["request"], {"inputs": [1]}),
    "validation.requests[].expect": ({"validation": {"requests": [GOLDEN]}}, GOLDEN["expect"], {"outputs": [1]}),
    "validation.requests[].tolerance.absolute": ({"validation": {"requests": [GOLDEN]}}, 1e-5, 0.5),
    "validation.requests[].tolerance.relative": ({"validation": {"requests": [GOLDEN]}}, 1e-3, 0.5),
    "validation.file": ({}, "golden.jsonl", "other.jsonl"),
    "rollout.strategy": ({}, "Rolling", "Canary"),
    "rollout.steps[].name": (CANARY, "taste", "bite"),
    "rollout.steps[].weight": (CANARY, 10, 20),
    "rollout.steps[].hold": (CANARY, "0s", "1h"),
    "rollout.steps[].approval": (CANARY, None, "Required"),
    "rollout.blueGreen.previewHostnames": (BLUE_GREEN, [], ["preview.example.com"]),
    "rollout.blueGreen.hold": (BLUE_GREEN, "0s", "1h"),
    "rollout.blueGreen.approval": (BLUE_GREEN, None, "Required"),
    "rollout.candidateMatches[].headers[].name": (MATCHES, "x-cohort", "x-team"),
    "rollout.candidateMatches[].headers[].value": (MATCHES, "beta", "gamma"),
    "rollout.maxSurge": ({}, "25%", 1),
    "rollout.capacityFallback": ({}, "Wait", "Replace"),
    "rollout.settle": ({}, "15s", "1s"),
    "rollout.drain": ({}, "30s", "1s"),
    "rollout.progressDeadline": ({}, "10m", "1m"),
    "rollout.bake": ({}, "0s", "1m"),
    "rollout.paused": ({}, False, True),
    "rollout.readyWhen": ({}, "Promoted", "Serving"),
    "rollout.coarseWeights": ({}, "Refuse", "Allow"),
    **{f"rollout.analysis.{name}": (CANARY, *values) for name, values in ANALYSIS.items()},
    **{f"rollout.analysis.metrics[].{name}": found for name, found in METRIC.items()},
    **{f"rollout.shadow.{name}": (SHADOWED, *values) for name, values in SHADOW.items()},
    "traffic.parentRefs[].group": (GATEWAY, "gateway.networking.k8s.io", "example.com"),
    "traffic.parentRefs[].kind": (GATEWAY, "Gateway", "Mesh"),
    "traffic.parentRefs[].namespace": (GATEWAY, "a", "b"),
    "traffic.parentRefs[].name": (GATEWAY, "public", "private"),
    "traffic.parentRefs[].sectionName": (GATEWAY, "http", "https"),
    "traffic.parentRefs[].port": (GATEWAY, 80, 443),
    "traffic.hostnames": (GATEWAY, ["a.example.com"], ["b.example.com"]),
    "traffic.paths": (GATEWAY, "Model", "All"),
    "traffic.timeouts": (GATEWAY, {}, {"request": "1s"}),
    "traffic.filters": (GATEWAY, [], [{"type": "RequestHeaderModifier"}]),
    "traffic.sessionPersistence": (GATEWAY, None, {"type": "Cookie"}),
    "revisionHistoryLimit": ({}, 10, 1),
}

FIELDS = MAKES_A_REVISION | MAKES_NONE


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The path of each field below a model that has no fields of its own."""
    for field in model.model_fields.values():
        name = f"{path}{field.alias}"
        inner, is_list = struct_in(field.annotation)
        if inner is None:
            yield name
        else:
            yield from leaves(inner, f"{name}[]." if is_list else f"{name}.")


def struct_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether there is a list of it."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return (annotation, False) if issubclass(annotation, BaseModel) else (None, False)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return struct_in(arguments[0])
    found = [struct_in(argument)[0] for argument in arguments if argument not in (Ellipsis, type(None))]
    return next((item for item in found if item), None), origin is tuple


def put(document: Manifest, path: str, value: Any) -> Manifest:
    """The document with one more value; `[]` is the first item."""
    found = copy.deepcopy(document)
    node: Any = found
    *parents, last = path.split(".")
    for part in parents:
        node = node.setdefault(part.removesuffix("[]"), [{}] if part.endswith("[]") else {})
        node = node[0] if part.endswith("[]") else node
    if value is None:
        node.pop(last, None)
    else:
        node[last] = value
    return found


def identity(document: Manifest) -> str:
    """The identity of a spec as it is on the wire."""
    model = MODEL | document.get("model", {})
    return revision.identity(revision.source(ModelDeploymentSpec.model_validate(document | {"model": model})))


def test_31_every_field_of_the_spec_is_placed_in_the_table() -> None:
    assert set(leaves(ModelDeploymentSpec)) == set(FIELDS)


@pytest.mark.parametrize("path", FIELDS)
def test_31_a_change_of_a_field_makes_a_revision_or_does_not(path: str) -> None:
    context, one, other = FIELDS[path]
    changed = identity(put(context, path, one)) != identity(put(context, path, other))
    assert changed == (path in MAKES_A_REVISION)


def test_31_only_model_and_runtime_make_revisions() -> None:
    assert {path.split(".")[0] for path in MAKES_A_REVISION} == {"model", "runtime"}
    assert not {path.split(".")[0] for path in MAKES_NONE} & {"model", "runtime"}


EVERYTHING: Manifest = {
    "model": {
        "name": "scam",
        "uri": "pvc://models/fraud/2",
        "format": "sklearn",
        "version": "2026-11-20",
        "digest": DIGEST,
        "trust": "Any",
        "credentials": {"serviceAccountName": "reader"},
        "options": {"output": "Labels"},
    },
    "runtime": {
        "ref": {"kind": "ModelRuntime", "name": "mine"},
        "image": "example.com/runtime:2",
        "env": [{"name": "LEVEL", "value": "1"}],
        "args": ["--verbose"],
        "batching": {"maxBatchSize": 64, "maxDelay": "5ms"},
        "limits": {"maxBodyBytes": "32Mi", "maxQueue": 10, "requestTimeout": "1m30s"},
        "refresh": "now",
        "template": {"metadata": {"annotations": {"a": "b"}}, "spec": {"nodeSelector": {"disk": "ssd"}}},
    },
}

SAME: list[Any] = [
    pytest.param({"runtime": {}}, {}, id="an-empty-runtime"),
    pytest.param({"model": {"trust": "Safe", "options": {}}}, {}, id="defaults-of-the-model-written-out"),
    pytest.param(
        {
            "runtime": {
                "image": "",
                "env": [],
                "args": [],
                "refresh": "",
                "resources": {"requests": {}, "limits": {}},
                "batching": {"maxBatchSize": 32, "maxDelay": "0s"},
                "limits": {"maxBodyBytes": "64Mi", "maxQueue": 1000, "requestTimeout": "30s"},
            }
        },
        {},
        id="defaults-of-the-runtime-written-out",
    ),
    pytest.param({"runtime": {"template": {}}}, {}, id="an-empty-template"),
    pytest.param({"model": {"credentials": {}}}, {}, id="empty-credentials"),
    pytest.param(
        {"runtime": {"ref": {"name": "a", "kind": "ClusterModelRuntime"}}},
        {"runtime": {"ref": {"name": "a"}}},
        id="the-default-kind-of-a-runtime",
    ),
    pytest.param(
        {"runtime": {"resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}}}},
        {"runtime": {"resources": {"requests": {"memory": "1Gi", "cpu": "500m"}}}},
        id="quantities-spelled-otherwise",
    ),
    pytest.param(
        {"runtime": {"resources": {"limits": {"cpu": 2}}}},
        {"runtime": {"resources": {"limits": {"cpu": "2"}}}},
        id="a-quantity-as-a-number",
    ),
    pytest.param(
        {"runtime": {"limits": {"maxBodyBytes": "33554432", "requestTimeout": "90s"}}},
        {"runtime": {"limits": {"maxBodyBytes": "32Mi", "requestTimeout": "1m30s"}}},
        id="sizes-and-durations-spelled-otherwise",
    ),
    pytest.param(
        {"runtime": {"batching": {"maxDelay": "0.005s"}}},
        {"runtime": {"batching": {"maxDelay": "5ms"}}},
        id="a-fraction-of-a-second",
    ),
    pytest.param(
        {"model": {"options": {"a": "1", "b": "2"}}}, {"model": {"options": {"b": "2", "a": "1"}}}, id="order-of-keys"
    ),
]

OTHER: list[Any] = [
    pytest.param({"runtime": {"args": ["a", "b"]}}, {"runtime": {"args": ["b", "a"]}}, id="order-of-arguments"),
    pytest.param({"model": {"options": {"a": ""}}}, {}, id="an-option-with-an-empty-value"),
    pytest.param(
        {"runtime": {"template": {"spec": {"affinity": {"podAntiAffinity": {"labelSelector": {}}}}}}},
        {"runtime": {"template": {"spec": {"affinity": {"podAntiAffinity": {}}}}}},
        id="an-empty-selector-selects-everything",
    ),
    pytest.param({"runtime": {"env": [{"name": "A"}]}}, {}, id="a-variable-without-a-value"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_32_the_spelling_makes_no_revision(one: Manifest, other: Manifest) -> None:
    assert identity(one) == identity(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_32_what_means_something_else_makes_a_revision(one: Manifest, other: Manifest) -> None:
    assert identity(one) != identity(other)


PINNED = [
    pytest.param({}, "d749732d6f", id="bare"),
    pytest.param(EVERYTHING, "dc6b4a863e", id="everything"),
    pytest.param({"model": {"credentials": {"secretRef": {"name": "reader"}}}}, "175a744af3", id="credentials"),
    pytest.param(variable(valueFrom={"secretKeyRef": {"name": "a", "key": "k"}}), "b6003852d5", id="environment"),
    pytest.param({"runtime": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}}, "c006cae3d3", id="resources"),
    pytest.param(
        {"runtime": {"template": {"spec": {"tolerations": [{"operator": "Exists"}]}}}}, "0ff182e9a4", id="template"
    ),
    pytest.param({"model": {"options": {"label": "größe"}}}, "31644ff07d", id="letters"),
]
"""Identities that the first release gave; a running model keeps its pods only while they stay the same."""


@pytest.mark.parametrize(("document", "expected"), PINNED)
def test_32_identities_are_those_of_the_first_release(document: Manifest, expected: str) -> None:
    assert identity(document) == expected


def defaulted(schema: Manifest, value: Any) -> Any:
    """The value as the API server stores it: every default of the schema written out, inside what is there."""
    if schema.get("type") == "array":
        return [defaulted(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    filled = {name: field["default"] for name, field in fields.items() if "default" in field} | value
    return {name: defaulted(fields.get(name, {}), item) for name, item in filled.items()}


def reordered(value: Any) -> Any:
    """The same with the fields of every map the other way round."""
    if isinstance(value, dict):
        return {name: reordered(item) for name, item in reversed(value.items())}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("document", "expected"), PINNED)
def test_32_the_defaults_of_the_api_server_make_no_revision(document: Manifest, expected: str) -> None:
    crd = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    written = document | {"model": MODEL | document.get("model", {})}
    stored = defaulted(schema, written)
    assert stored != written
    assert identity(stored) == identity(reordered(stored)) == expected


def test_32_a_refresh_and_a_collision_have_identities_of_their_own() -> None:
    source = revision.source(ModelDeploymentSpec.model_validate({"model": MODEL}))
    found = [revision.identity(source, *also) for also in (("",), ("c0ffee00",), ("", 1), ("c0ffee00", 1))]
    assert found == ["d749732d6f", "169c8e13cb", "67ba3f98bc", "b83843f3c7"]


# A signer has a key or a certificate, so one of the two is left out.
@given(st.permutations([path for path in MAKES_A_REVISION if "env[]" not in path and "publicKey" not in path]))
def test_32_the_order_of_fields_makes_no_revision(paths: list[str]) -> None:
    def written(order: list[str]) -> Manifest:
        document: Manifest = {"model": dict(MODEL), "runtime": {"ref": {"name": "mine"}}}
        for path in order:
            document = put(document, path, MAKES_A_REVISION[path][2])
        return document

    assert identity(written(paths)) == identity(written(sorted(paths)))


def test_32_the_name_of_the_object_written_out_as_the_models_name_is_its_default() -> None:
    plain = ModelDeploymentSpec.model_validate({"model": MODEL})
    written = ModelDeploymentSpec.model_validate({"model": MODEL | {"name": "fraud"}})
    assert revision.source(written, "fraud") == revision.source(plain, "fraud")
    assert revision.source(written, "payments") != revision.source(plain, "payments")
