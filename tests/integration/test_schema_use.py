"""The CRDs as a user meets them: examples, defaults, columns, kubectl scale, kubectl explain."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.api import ClusterModelRuntime, ModelDeployment, ModelRuntime, Status

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
KINDS = {kind.__name__: kind for kind in (ModelDeployment, ModelRuntime, ClusterModelRuntime)}
FRAUD = """
apiVersion: serving.modelway.io/v1alpha1
kind: ModelDeployment
metadata: {name: fraud}
spec:
  model: {uri: "s3://models/fraud", format: onnx}
"""


def read(kubectl: Any, namespace: str, *arguments: str) -> Any:
    """An object as JSON."""
    return json.loads(kubectl("get", "-n", namespace, *arguments, "-o", "json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_applies_and_applies_again_without_a_change(kubectl: Any, namespace: str, path: Path) -> None:
    assert "created" in kubectl("apply", "-n", namespace, "-f", str(path))
    again = kubectl("apply", "-n", namespace, "-f", str(path)).splitlines()
    assert all(line.endswith(" unchanged") for line in again)
    assert kubectl("diff", "-n", namespace, "-f", str(path)) == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_python_reads_what_the_server_stored_as_it_reads_the_example(kubectl: Any, namespace: str, path: Path) -> None:
    kubectl("apply", "-n", namespace, "-f", str(path))
    for written in yaml.safe_load_all(path.read_text()):
        kind = KINDS[written["kind"]]
        stored = read(kubectl, namespace, written["kind"], written["metadata"]["name"])
        assert kind.model_validate(stored).spec == kind.model_validate(written).spec


def test_what_is_left_out_has_the_defaults_of_the_design(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD)
    assert read(kubectl, namespace, "mdep", "fraud")["spec"] == {
        "model": {"uri": "s3://models/fraud", "format": "onnx", "trust": "Safe"},
        "runtime": {
            "batching": {"maxBatchSize": 32, "maxDelay": "0s"},
            "limits": {"maxBodyBytes": "64Mi", "maxQueue": 1000, "requestTimeout": "30s"},
        },
        "rollout": {
            "strategy": "Rolling",
            "capacityFallback": "Wait",
            "settle": "15s",
            "drain": "30s",
            "progressDeadline": "10m",
            "paused": False,
            "readyWhen": "Promoted",
            "coarseWeights": "Refuse",
        },
        "podDisruptionBudget": {"maxUnavailable": 1},
        "revisionHistoryLimit": 10,
    }


def test_a_version_that_looks_like_a_date_needs_no_quotes(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD.replace("onnx}", "onnx, version: 2026-11-20}"))
    assert read(kubectl, namespace, "mdep", "fraud")["spec"]["model"]["version"] == "2026-11-20"


def test_kubectl_scale_works_while_replicas_is_absent_and_afterwards(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD)
    for wanted in (3, 0):
        kubectl("scale", "-n", namespace, "mdep/fraud", f"--replicas={wanted}")
        assert read(kubectl, namespace, "mdep", "fraud")["spec"]["replicas"] == wanted


def test_kubectl_scale_is_refused_with_advice_when_autoscaling_is_on(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD + "  autoscaling: {maxReplicas: 4}\n")
    said = kubectl.refusal("scale", "-n", namespace, "mdep/fraud", "--replicas=3")
    assert "leave autoscaling out" in said


def test_an_object_that_nobody_has_seen_says_so(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD)
    assert read(kubectl, namespace, "mdep", "fraud")["status"] == {"observedGeneration": -1}
    kubectl("patch", "-n", namespace, "mdep", "fraud", "--subresource=status", "--type=merge", "-p", '{"status": null}')
    assert read(kubectl, namespace, "mdep", "fraud")["status"] == {"observedGeneration": -1}


STATUS = {
    "observedGeneration": 1,
    "epoch": 4,
    "phase": "Progressing",
    "message": "Step taste: 5 % for another 8 minutes",
    "weight": 5,
    "address": {"url": "http://fraud.example.com/v2/models/fraud"},
    "replicas": 2,
    "selector": "serving.modelway.io/model=fraud",
    "stableRevision": {"name": "fraud-0123456789", "hash": "0123456789"},
    "candidateRevision": {"name": "fraud-abcdef0123"},
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "RolloutInProgress",
            "message": "A rollout moves",
            "lastTransitionTime": "2026-11-20T12:00:00Z",
            "observedGeneration": 1,
        }
    ],
    "rollout": {
        "id": 2,
        "from": "fraud-0123456789",
        "startedAt": "2026-11-20T12:00:00.25Z",
        "later": {"field": 1},
    },
    "history": [{"id": 1, "to": "fraud-0123456789", "outcome": "Promoted"}],
}


@pytest.fixture
def reported(kubectl: Any, namespace: str) -> str:
    """A namespace with an object whose status the operator has written."""
    kubectl("apply", "-n", namespace, "-f-", stdin=FRAUD)
    patch = json.dumps({"status": STATUS})
    kubectl("patch", "-n", namespace, "mdep", "fraud", "--subresource=status", "--type=merge", "-p", patch)
    return namespace


def test_kubectl_get_shows_phase_revision_weight_and_url(kubectl: Any, reported: str) -> None:
    header, row = kubectl("get", "-n", reported, "mdep").splitlines()
    assert header.split() == ["NAME", "PHASE", "REVISION", "WEIGHT", "URL", "AGE"]
    assert row.split()[:-1] == [
        "fraud",
        "Progressing",
        "fraud-0123456789",
        "5",
        "http://fraud.example.com/v2/models/fraud",
    ]


def test_kubectl_get_wide_shows_the_message(kubectl: Any, reported: str) -> None:
    assert "Step taste: 5 % for another 8 minutes" in kubectl("get", "-n", reported, "mdep", "-o", "wide")


@pytest.mark.parametrize("name", ["modeldeployment", "modeldeployments", "mdep", "all"])
def test_kubectl_finds_it_by_every_name(kubectl: Any, reported: str, name: str) -> None:
    assert "fraud-0123456789" in kubectl("get", "-n", reported, name)


def test_the_scale_subresource_reports_pods_and_selector(kubectl: Any, reported: str) -> None:
    kubectl("scale", "-n", reported, "mdep/fraud", "--replicas=2")
    scale = json.loads(kubectl("get", "-n", reported, "mdep", "fraud", "--subresource=scale", "-o", "json"))
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 2, "selector": "serving.modelway.io/model=fraud"}


def test_kubectl_wait_reads_the_conditions(kubectl: Any, reported: str) -> None:
    kubectl("wait", "-n", reported, "mdep/fraud", "--for=condition=Ready=False", "--timeout=10s")


def test_the_status_is_stored_whole_even_what_a_later_version_adds_to_the_rollout(kubectl: Any, reported: str) -> None:
    assert read(kubectl, reported, "mdep", "fraud")["status"] == STATUS


def test_python_reads_and_writes_the_status_back_without_a_change(kubectl: Any, reported: str) -> None:
    stored = read(kubectl, reported, "mdep", "fraud")
    status = Status.model_validate(stored["status"])
    kubectl(
        "replace",
        "-n",
        reported,
        "--subresource=status",
        "-f-",
        stdin=json.dumps(stored | {"status": status.manifest()}),
    )
    assert Status.model_validate(read(kubectl, reported, "mdep", "fraud")["status"]) == status


def test_an_edit_of_the_spec_leaves_the_status_alone(kubectl: Any, reported: str) -> None:
    kubectl("apply", "-n", reported, "-f-", stdin=FRAUD + "  replicas: 3\nstatus: {phase: Healthy}\n")
    stored = read(kubectl, reported, "mdep", "fraud")
    assert stored["metadata"]["generation"] == 2
    assert stored["status"]["phase"] == "Progressing"


@pytest.mark.parametrize(
    ("field", "fragments"),
    [
        ("mdep.spec.rollout.steps", ["weight\t<integer> -required-", "such as `10m`", "enum: Required"]),
        ("mdep.spec.model", ["uri\t<string> -required-", "pvc://claim/folder"]),
        ("mdep.status", ["stableRevision", "conditions"]),
        ("cmrt.spec", ["formats", "capabilities"]),
    ],
)
def test_kubectl_explain_describes_the_fields(kubectl: Any, field: str, fragments: list[str]) -> None:
    explained = " ".join(kubectl("explain", field).split(" "))
    assert [fragment for fragment in fragments if fragment not in explained] == []


TWO_FORMATS = """
apiVersion: serving.modelway.io/v1alpha1
kind: ModelRuntime
metadata: {name: scoring}
spec:
  formats: [{name: onnx}, {name: sklearn, priority: 10}]
  protocols: [V2, V1]
  template: {spec: {containers: [{name: model, image: "example.com/runtime:1"}]}}
"""


def test_kubectl_get_shows_every_format_of_a_runtime(kubectl: Any, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f-", stdin=TWO_FORMATS)
    header, row = kubectl("get", "-n", namespace, "mrt").splitlines()
    assert header.split() == ["NAME", "FORMATS", "PROTOCOLS", "AGE"]
    name, formats, protocols, _ = row.split()
    assert name == "scoring"
    assert json.loads(formats) == [{"name": "onnx"}, {"name": "sklearn", "priority": 10}]
    assert json.loads(protocols) == ["V2", "V1"]
