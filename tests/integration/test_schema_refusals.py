"""What kubectl apply refuses, and whether its message says what to write instead."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

TABLES = Path(__file__).parent
MODEL = {"uri": "s3://models/fraud", "format": "onnx"}
RUNTIME: dict[str, Any] = {
    "formats": [{"name": "onnx"}],
    "template": {"spec": {"containers": [{"name": "model", "image": "example.com/runtime:1"}]}},
}


def manifest(kind: str, spec: dict[str, Any], name: str = "fraud") -> str:
    """A manifest as kubectl reads it."""
    head = {"apiVersion": "serving.modelway.io/v1alpha1", "kind": kind, "metadata": {"name": name}}
    return yaml.safe_dump(head | {"spec": spec})


def rows(table: str) -> list[Any]:
    """Rows of a table of refused specs."""
    return [pytest.param(row, id=row["id"]) for row in yaml.safe_load((TABLES / table).read_text())]


@pytest.mark.parametrize("row", rows("refused_deployments.yaml"))
def test_a_wrong_model_deployment_is_refused_with_advice(kubectl: Any, row: dict[str, Any]) -> None:
    said = kubectl.refusal(
        "create", "--dry-run=server", "-f-", stdin=manifest("ModelDeployment", {"model": MODEL} | row["spec"])
    )
    assert row["says"] in said


@pytest.mark.parametrize("row", rows("refused_runtimes.yaml"))
@pytest.mark.parametrize("kind", ["ModelRuntime", "ClusterModelRuntime"])
def test_a_wrong_runtime_is_refused_with_advice(kubectl: Any, kind: str, row: dict[str, Any]) -> None:
    said = kubectl.refusal("create", "--dry-run=server", "-f-", stdin=manifest(kind, RUNTIME | row["spec"]))
    assert row["says"] in said


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("f" * 46, "shorten metadata.name to at most 45 characters"),
        ("1-fraud", "beginning with a letter"),
        ("fraud.v2", "no dots"),
    ],
)
def test_a_name_that_no_service_could_have_is_refused(kubectl: Any, name: str, advice: str) -> None:
    spec = {"model": MODEL}
    said = kubectl.refusal("create", "--dry-run=server", "-f-", stdin=manifest("ModelDeployment", spec, name))
    assert advice in said


def test_the_longest_name_is_taken(kubectl: Any) -> None:
    stdin = manifest("ModelDeployment", {"model": MODEL}, "f" * 45)
    assert "created" in kubectl("create", "--dry-run=server", "-f-", stdin=stdin)


def test_an_edit_that_breaks_a_rule_is_refused_and_changes_nothing(kubectl: Any, namespace: str) -> None:
    kubectl("create", "-n", namespace, "-f-", stdin=manifest("ModelDeployment", {"model": MODEL, "replicas": 2}))
    patch = '{"spec": {"autoscaling": {"maxReplicas": 4}}}'
    said = kubectl.refusal("patch", "-n", namespace, "mdep", "fraud", "--type=merge", "-p", patch)
    assert "leave replicas out" in said
    assert kubectl("get", "-n", namespace, "mdep", "fraud", "-o", "jsonpath={.spec.autoscaling}") == ""


def test_a_name_that_callers_use_is_kept_once_a_revision_serves(kubectl: Any, namespace: str) -> None:
    def patch(name: str | None) -> tuple[str, ...]:
        body = json.dumps({"spec": {"model": {"name": name}}})
        return ("patch", "-n", namespace, "mdep", "fraud", "--type=merge", "-p", body)

    kubectl("create", "-n", namespace, "-f-", stdin=manifest("ModelDeployment", {"model": MODEL}))
    assert "patched" in kubectl(*patch("frod"))
    assert "patched" in kubectl(*patch("fraud"))
    serving = json.dumps({"status": {"stableRevision": {"name": "fraud-1", "hash": "1", "number": 1}}})
    kubectl("patch", "-n", namespace, "mdep", "fraud", "--subresource=status", "--type=merge", "-p", serving)
    assert "create a ModelDeployment with the new name" in kubectl.refusal(*patch("scam"))
    assert "patched" in kubectl(*patch(None))
    assert "create a ModelDeployment with the new name" in kubectl.refusal(*patch("scam"))
    kubectl("patch", "-n", namespace, "mdep", "fraud", "--type=merge", "-p", '{"spec": {"replicas": 2}}')
