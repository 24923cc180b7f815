"""What the chart renders: CRDs, operator, rights, default runtimes; and what its schema refuses."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import tools, versions
from modelway.api import ClusterModelRuntime, ModelDeployment
from modelway.cluster import preflight
from modelway.settings import Settings

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "modelway"
Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> Path:
    tools.ensure([versions.HELM])
    return tools.binary("helm")


def _helm(helm: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(helm), *words], capture_output=True, text=True, check=False)


def _render(helm: Path, *values: str) -> list[Manifest]:
    flags = [word for value in values for word in ("--set-json", value)]
    answer = _helm(helm, "template", "modelway", str(CHART), "--namespace", "modelway-system", *flags)
    assert answer.returncode == 0, answer.stderr
    return [item for item in yaml.safe_load_all(answer.stdout) if item]


def _of(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [item for item in manifests if item["kind"] == kind]


def _rules(manifests: list[Manifest], *, aggregated: bool = False) -> Iterator[Manifest]:
    """Rules of the operator's own roles, or of those for people."""
    for role in _of(manifests, "ClusterRole") + _of(manifests, "Role"):
        is_aggregated = any(label.startswith("rbac.") for label in role["metadata"]["labels"])
        if is_aggregated == aggregated:
            yield from role["rules"]


def _verbs(manifests: list[Manifest], resource: str) -> set[str]:
    return {verb for rule in _rules(manifests) if resource in rule["resources"] for verb in rule["verbs"]}


def _operator(manifests: list[Manifest]) -> Manifest:
    (deployment,) = _of(manifests, "Deployment")
    pod: Manifest = deployment["spec"]["template"]["spec"]
    return pod


def _environment(manifests: list[Manifest]) -> dict[str, str]:
    (container,) = _operator(manifests)["containers"]
    return {item["name"]: item.get("value", "") for item in container["env"]}


def test_lint_finds_nothing_to_complain_about(helm: Path) -> None:
    answer = _helm(helm, "lint", "--strict", str(CHART))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_charts_copies_of_the_crds_are_the_generated_ones() -> None:
    generated = {path.name: path.read_text() for path in (REPOSITORY / "crds").glob("*.yaml")}
    copies = {path.name: path.read_text() for path in (CHART / "files" / "crds").glob("*.yaml")}
    assert generated
    assert copies == generated


def test_crds_are_rendered_whole_and_kept_on_uninstall(helm: Path) -> None:
    rendered = {item["metadata"]["name"]: item for item in _of(_render(helm), "CustomResourceDefinition")}
    for path in (REPOSITORY / "crds").glob("*.yaml"):
        wanted = yaml.safe_load(path.read_text())
        found = rendered.pop(wanted["metadata"]["name"])
        assert found["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
        assert found["spec"] == wanted["spec"]
    assert not rendered


def test_crds_can_be_left_to_others(helm: Path) -> None:
    assert not _of(_render(helm, 'crds={"install": false}'), "CustomResourceDefinition")


def test_the_operators_pod_has_no_privileges(helm: Path) -> None:
    pod = _operator(_render(helm))
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_selectors_hold_nothing_that_an_upgrade_changes(helm: Path) -> None:
    (deployment,) = _of(_render(helm), "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "modelway",
        "app.kubernetes.io/instance": "modelway",
    }


def test_a_digest_wins_over_the_tag(helm: Path) -> None:
    digest = f"sha256:{'0' * 64}"
    pod = _operator(_render(helm, f'image={{"tag": "edge", "digest": "{digest}"}}'))
    assert pod["containers"][0]["image"] == f"localhost/modelway-operator@{digest}"


def test_the_operator_may_read_no_secret_and_no_log_and_has_no_wildcard(helm: Path) -> None:
    for rule in _rules(_render(helm)):
        assert not {"secrets", "pods/log", "pods/exec", "*"} & set(rule["resources"])
        assert "*" not in rule["verbs"]
        assert "*" not in rule["apiGroups"]


def _granted(manifests: list[Manifest]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in _rules(manifests)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    ("value", "settings"),
    [
        pytest.param("{}", Settings(default_runtimes=Path("/etc")), id="as installed"),
        pytest.param('{"enabled": false}', Settings(), id="without default runtimes"),
    ],
)
def test_the_rights_are_those_that_the_operator_asks_for_at_start(helm: Path, value: str, settings: Settings) -> None:
    wanted = {
        (right.group, "/".join(filter(None, (right.resource, right.subresource))), right.verb)
        for right in preflight.rights(settings, gateway=True)
    }
    review = ("authorization.k8s.io", "selfsubjectaccessreviews", "create")
    assert _granted(_render(helm, f"defaultRuntimes={value}")) == wanted | {review}


def test_only_the_operators_own_lease_may_be_changed(helm: Path) -> None:
    manifests = _render(helm)
    (rule,) = (rule for rule in _rules(manifests) if "update" in rule["verbs"] and "leases" in rule["resources"])
    assert rule["resourceNames"] == [_environment(manifests)["MODELWAY_LEASE_NAME"]]


def test_rights_can_be_left_to_others(helm: Path) -> None:
    assert not list(_rules(_render(helm, 'rbac={"create": false}')))


def test_named_namespaces_get_a_role_each_and_the_cluster_role_shrinks(helm: Path) -> None:
    manifests = _render(helm, 'namespaces=["payments", "search"]')
    roles = {item["metadata"]["namespace"] for item in _of(manifests, "Role")}
    assert roles == {"payments", "search", "modelway-system"}
    cluster_wide = {
        resource
        for role in _of(manifests, "ClusterRole")
        if role["metadata"]["name"] == "modelway"
        for rule in role["rules"]
        for resource in rule["resources"]
    }
    assert cluster_wide == {"clustermodelruntimes", "gateways", "gatewayclasses", "selfsubjectaccessreviews"}
    assert _environment(manifests)["MODELWAY_NAMESPACES"] == "payments,search"


def test_whom_analyses_may_ask_reaches_the_operator(helm: Path) -> None:
    analysis = {"hosts": ["*.ml.svc", "prometheus.monitoring.svc"], "localNetworks": ["127.0.0.0/8", "::1/128"]}
    settings = Settings.from_environment(_environment(_render(helm, f"analysis={json.dumps(analysis)}")))
    assert settings.analysis_hosts == ("*.ml.svc", "prometheus.monitoring.svc")
    assert [str(network) for network in settings.analysis_local_networks] == analysis["localNetworks"]
    assert Settings.from_environment(_environment(_render(helm))).analysis_hosts == ()


def test_without_the_gateway_there_is_no_right_on_routes(helm: Path) -> None:
    manifests = _render(helm, 'gateway={"enabled": false}')
    assert not _verbs(manifests, "httproutes")
    assert _environment(manifests)["MODELWAY_GATEWAY"] == "false"


def test_people_get_rights_through_the_aggregated_roles(helm: Path) -> None:
    manifests = _render(helm)
    kinds = {resource for rule in _rules(manifests, aggregated=True) for resource in rule["resources"]}
    assert {"modeldeployments", "modelruntimes", "clustermodelruntimes"} <= kinds
    assert not any(
        "modeldeployments/status" in rule["resources"] and "update" in rule["verbs"]
        for rule in _rules(manifests, aggregated=True)
    )


def test_the_default_runtime_is_valid_and_runs_the_image_of_the_values(helm: Path) -> None:
    values = 'runtime={"image": {"repository": "example.org/runtime", "tag": "2", "pullPolicy": "Never"}}'
    manifests = _render(helm, values)
    (config_map,) = (item for item in _of(manifests, "ConfigMap") if item["metadata"]["name"].endswith("runtimes"))
    (text,) = config_map["data"].values()
    runtime = ClusterModelRuntime.model_validate(yaml.safe_load(text))
    (container,) = runtime.spec.template["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("example.org/runtime:2", "Never")
    assert {item.name for item in runtime.spec.formats} == {
        "lightgbm",
        "mlflow",
        "onnx",
        "python",
        "sklearn",
        "xgboost",
    }
    assert _environment(manifests)["MODELWAY_RUNTIME_IMAGE"] == "example.org/runtime:2"


@pytest.mark.parametrize(("variant", "model_format"), [("torch", "torch"), ("tf", "tensorflow")])
def test_a_variant_of_the_runtime_serves_its_format_first_and_all_others_last(
    helm: Path, variant: str, model_format: str
) -> None:
    on = {"enabled": True, "image": {"repository": "example.org/large", "digest": f"sha256:{'0' * 64}"}}
    manifests = _render(helm, f"runtime={json.dumps({variant: on})}")
    (config_map,) = (item for item in _of(manifests, "ConfigMap") if item["metadata"]["name"].endswith("runtimes"))
    default, large = (
        ClusterModelRuntime.model_validate(yaml.safe_load(config_map["data"][f"{name}.yaml"]))
        for name in ("modelway", f"modelway-{variant}")
    )
    assert len(config_map["data"]) == 2
    assert large.metadata["name"] == f"modelway-{variant}"
    (container,) = large.spec.template["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (
        f"example.org/large@sha256:{'0' * 64}",
        "IfNotPresent",
    )
    smaller = {item.name: item.priority for item in default.spec.formats}
    priorities = {item.name: item.priority for item in large.spec.formats}
    assert priorities.pop(model_format) == 10
    assert priorities.keys() == smaller.keys()
    assert all(priority < smaller[name] for name, priority in priorities.items())
    same = {"protocols", "ports", "model", "capabilities"}
    assert large.spec.model_dump(include=same) == default.spec.model_dump(include=same)


def test_without_default_runtimes_nothing_is_mounted(helm: Path) -> None:
    manifests = _render(helm, 'defaultRuntimes={"enabled": false}')
    assert not _of(manifests, "ConfigMap")
    assert "volumes" not in _operator(manifests)
    assert "create" not in _verbs(manifests, "clustermodelruntimes")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        pytest.param('imagee={"tag": "1"}', "imagee", id="a typo"),
        pytest.param('image={"tags": "1"}', "tags", id="a typo further in"),
        pytest.param("replicas=3", "replicas", id="more replicas than can help"),
        pytest.param('image={"digest": "latest"}', "digest", id="a digest that is none"),
        pytest.param('analysis={"hosts": ["http://prometheus"]}', "analysis", id="a URL in place of a host"),
        pytest.param('analysis={"localNetworks": ["localhost"]}', "analysis", id="a name in place of a network"),
        pytest.param('logLevel="LOUD"', "logLevel", id="an unknown level"),
        pytest.param('namespaces=["Payments"]', "namespaces", id="a namespace that cannot exist"),
        pytest.param('podLabels={"app.kubernetes.io/name": "x"}', "app.kubernetes.io/name", id="a label that selects"),
        pytest.param('podAnnotations={"checksum/runtimes": "x"}', "checksum/runtimes", id="an annotation of the chart"),
        pytest.param('serviceAccount={"create": false}', "serviceAccount", id="no service account at all"),
    ],
)
def test_the_schema_refuses(helm: Path, value: str, complaint: str) -> None:
    answer = _helm(helm, "template", "modelway", str(CHART), "--set-json", value)
    assert answer.returncode != 0
    assert complaint in answer.stderr


def test_every_value_is_commented() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    uncommented = [
        line
        for before, line in itertools.pairwise(lines)
        if line and not line.lstrip().startswith("#") and not before.lstrip().startswith("#")
    ]
    figures = ("cpu:", "memory:", "requests:", "limits:", "image:", "service:")
    assert [line for line in uncommented if not line.lstrip().startswith(figures)] == []


def _notes(helm: Path, folder: Path, value: str) -> str:
    """The notes after an installation, which `helm template` leaves out."""
    chart = shutil.copytree(CHART, folder / "modelway")
    notes = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "notes.yaml").write_text(notes)
    words = ("--show-only", "templates/notes.yaml", "--set-json", value, "--debug")
    return _helm(helm, "template", "modelway", str(chart), "-n", "modelway-system", *words).stdout


def test_the_notes_say_what_was_installed(helm: Path, tmp_path: Path) -> None:
    notes = _notes(helm, tmp_path, 'namespaces=["payments"]')
    assert "as modelway in namespace modelway-system" in notes
    assert "It works in: payments." in notes


def test_the_notes_manifest_can_be_pasted_into_a_shell(helm: Path, tmp_path: Path) -> None:
    (command,) = re.findall(
        r"^kubectl apply .*?^EOF$", _notes(helm, tmp_path, "namespaces=[]"), re.MULTILINE | re.DOTALL
    )
    shell = f"kubectl() {{ cat; }}\n{command}\n"
    pasted = subprocess.run(["bash", "-euc", shell], capture_output=True, text=True, check=True)
    assert not pasted.stderr
    assert ModelDeployment.model_validate(yaml.safe_load(pasted.stdout)).spec.model.format == "onnx"


@pytest.mark.parametrize(
    ("value", "fate"),
    [
        pytest.param("namespaces=[]", "leaves the CustomResourceDefinitions", id="as installed"),
        pytest.param('crds={"keep": false}', "deletes the CustomResourceDefinitions", id="not kept"),
        pytest.param('crds={"install": false, "keep": false}', "leaves the Custom", id="left to others"),
    ],
)
def test_the_notes_say_what_an_uninstall_takes_away(helm: Path, tmp_path: Path, value: str, fate: str) -> None:
    assert f"`helm uninstall` {fate}" in _notes(helm, tmp_path, value)
