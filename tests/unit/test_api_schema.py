"""The CRDs: structural, bounded, described, and the same as the files checked in."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelway.api import generated, schema
from modelway.plan import ledger, record

ROOT = Path(__file__).parents[2]
OPEN = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"

Node = dict[str, Any]


def root(kind: str) -> Node:
    """The schema of a kind."""
    (found,) = [crd for crd in schema.definitions() if crd["spec"]["names"]["kind"] == kind]
    node: Node = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return node


def walk(path: str, node: Node) -> Iterator[tuple[str, Node]]:
    """Every node of a schema with its path; `[]` marks list items and `{}` map values."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from walk(f"{path}.{name}", field)
    if "items" in node:
        yield from walk(f"{path}[]", node["items"])
    if "additionalProperties" in node:
        yield from walk(f"{path}{{}}", node["additionalProperties"])


KINDS = ("ModelDeployment", "ModelRuntime", "ClusterModelRuntime")
NODES = [
    (path, node)
    for kind in KINDS
    for part in ("spec", "status")
    if part in root(kind)["properties"]
    for path, node in walk(f"{kind}.{part}", root(kind)["properties"][part])
]
SPEC = dict(walk("spec", root("ModelDeployment")["properties"]["spec"]))

DEFAULTS = {
    "spec.model.signature.file": "model.sig",
    "spec.model.trust": "Safe",
    "spec.runtime": {},
    "spec.runtime.ref.kind": "ClusterModelRuntime",
    "spec.runtime.batching": {},
    "spec.runtime.batching.maxBatchSize": 32,
    "spec.runtime.batching.maxDelay": "0s",
    "spec.runtime.limits": {},
    "spec.runtime.limits.maxBodyBytes": "64Mi",
    "spec.runtime.limits.maxQueue": 1000,
    "spec.runtime.limits.requestTimeout": "30s",
    "spec.autoscaling.minReplicas": 1,
    "spec.podDisruptionBudget": {},
    "spec.podDisruptionBudget.maxUnavailable": 1,
    "spec.rollout": {},
    "spec.rollout.strategy": "Rolling",
    "spec.rollout.blueGreen.hold": "0s",
    "spec.rollout.capacityFallback": "Wait",
    "spec.rollout.settle": "15s",
    "spec.rollout.drain": "30s",
    "spec.rollout.progressDeadline": "10m",
    "spec.rollout.paused": False,
    "spec.rollout.readyWhen": "Promoted",
    "spec.rollout.coarseWeights": "Refuse",
    "spec.rollout.analysis.confidencePercent": 95,
    "spec.rollout.analysis.interval": "30s",
    "spec.rollout.analysis.minSamples": 500,
    "spec.rollout.analysis.decision": "NoHarm",
    "spec.rollout.analysis.holdDeadline": "1h",
    "spec.rollout.analysis.onUndecided": "Hold",
    "spec.rollout.shadow.percent": 20,
    "spec.rollout.shadow.maxRequestsPerSecond": 20,
    "spec.rollout.shadow.baselinePercent": 10,
    "spec.rollout.shadow.tolerance": 0.001,
    "spec.rollout.shadow.redact": False,
    "spec.traffic.paths": "Model",
    "spec.revisionHistoryLimit": 10,
}
"""They never change: identities of revisions leave them out."""

OPEN_FIELDS = {
    "spec.runtime.template",
    "spec.autoscaling.metrics[]",
    "spec.autoscaling.behavior",
    "spec.validation.requests[].request",
    "spec.validation.requests[].request.inputs[]",
    "spec.validation.requests[].expect",
    "spec.validation.requests[].expect.outputs[]",
    "spec.traffic.timeouts",
    "spec.traffic.sessionPersistence",
    "spec.traffic.filters[]",
}


def is_bounded(path: str, node: Node) -> bool:
    """Whether a value of this node has a largest size."""
    if "enum" in node:
        return True
    bounds = {"array": {"maxItems"}, "string": {"maxLength"}}.get(node.get("type", "string"), set())
    if "additionalProperties" in node:
        bounds = {"maxProperties"}
    if node.get("type") in ("integer", "number") and ".spec" in path:
        bounds = {"minimum", "maximum"}
    return bounds <= node.keys()


def test_every_string_list_map_and_number_has_a_bound() -> None:
    assert [path for path, node in NODES if not is_bounded(path, node)] == []


def test_every_node_is_structural() -> None:
    foreign = {"$ref", "anyOf", "oneOf", "allOf", "nullable", "title", "$defs", "const"}
    assert [path for path, node in NODES if "type" not in node and INT_OR_STRING not in node] == []
    assert [path for path, node in NODES if foreign & node.keys()] == []


def test_no_list_item_has_a_default() -> None:
    assert [path for path, node in NODES if "[]" in path and "default" in node] == []


def test_every_field_is_described_in_sentences() -> None:
    fields = [(path, node) for path, node in NODES if not path.endswith(("[]", "{}")) and ".template." not in path]
    assert [path for path, node in fields if not node.get("description", "").endswith(".")] == []


def test_every_rule_says_in_one_line_what_to_write() -> None:
    messages = [rule["message"] for _, node in NODES for rule in node.get("x-kubernetes-validations", ())]
    assert messages
    assert [message for message in messages if len(message) < 20 or "\n" in message] == []


def test_the_defaults_are_those_of_the_design() -> None:
    assert {path: node["default"] for path, node in SPEC.items() if "default" in node} == DEFAULTS


def test_replicas_has_no_default_so_that_kubectl_scale_and_autoscaling_both_work() -> None:
    assert "default" not in SPEC["spec.replicas"]


def test_only_the_open_objects_of_the_design_are_open_and_no_rule_looks_into_them() -> None:
    found = {path: node for path, node in SPEC.items() if OPEN in node}
    assert found.keys() == OPEN_FIELDS
    assert all("x-kubernetes-validations" not in node for node in found.values())


def test_kubectl_get_shows_phase_revision_weight_url_and_age() -> None:
    (crd, *_) = schema.definitions()
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns if not column.get("priority")] == [
        "Phase",
        "Revision",
        "Weight",
        "URL",
        "Age",
    ]


@pytest.mark.parametrize("path", generated.files())
def test_the_file_checked_in_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated.files()[path], "run `make generate`"


@pytest.mark.parametrize(
    ("remembered", "path"),
    [
        (record.Rollout, "status.rollout"),
        (record.LastCommand, "status.rollout.lastCommand"),
        (record.Finished, "status.history[]"),
    ],
)
def test_whatever_the_operator_remembers_has_its_place_in_the_status(remembered: type[Any], path: str) -> None:
    known = dict(walk("status", root("ModelDeployment")["properties"]["status"]))[path]["properties"]
    written = {ledger._key(remembered, field.name) for field in dataclasses.fields(remembered)}
    assert written - known.keys() == set()
