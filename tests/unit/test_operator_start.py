"""What the operator finds out and brings about before it begins."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modelway import kinds, names
from modelway.__main__ import main
from modelway.cluster import defaults, gateway, managed, preflight, watched
from modelway.cluster.cache import Cache
from modelway.kinds import Manifest
from modelway.settings import Settings

KEY = ("ns", "iris")


def model(version: int = 1, **more: Any) -> Manifest:
    metadata = {"namespace": "ns", "name": "iris", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, **more}


def test_settings_come_from_the_environment() -> None:
    environment = {"MODELWAY_NAMESPACES": "a, b,", "MODELWAY_WORKERS": "3", "MODELWAY_GATEWAY": "false"}
    settings = Settings.from_environment(environment | {"MODELWAY_RUNTIME_IMAGE": "", "PATH": "/bin"})
    assert (settings.namespaces, settings.workers, settings.gateway) == (("a", "b"), 3, False)
    assert settings.runtime_image == ""


HOSTS = ["prometheus", "prometheus.monitoring.svc", "*.ml.svc", "10.0.0.7", "::1", "fd00::7", "2001:db8::"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_analyses_may_ask_is_a_name_an_address_or_a_suffix(host: str) -> None:
    assert Settings.from_environment({"MODELWAY_ANALYSIS_HOSTS": host}).analysis_hosts == (host,)


@pytest.mark.parametrize("host", ["http://a", "a/b", "*", "*.", "a.*", "A.svc", "a_b", "a@b"])
def test_anything_else_is_refused_where_hosts_are_listed(host: str) -> None:
    with pytest.raises(ValidationError, match="analysis_hosts"):
        Settings.from_environment({"MODELWAY_ANALYSIS_HOSTS": host})


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ValidationError, match="workers"):
        Settings.from_environment({"MODELWAY_WORKERS": "none"})


def test_missing_rights_are_one_message_with_every_verb_and_kind() -> None:
    rights = preflight.rights(Settings(lease_namespace="home"), gateway=True)
    lacking = [right for right in rights if right.resource in ("deployments", "leases", "httproutes")]
    message = preflight.explain_rights(lacking)
    assert "get, list, watch, create, patch, delete deployments.apps in all namespaces" in message
    assert "patch deployments.apps/scale in all namespaces" in message
    assert "create leases.coordination.k8s.io in namespace home" in message
    assert "get, update leases.coordination.k8s.io/modelway-operator in namespace home" in message
    assert "httproutes.gateway.networking.k8s.io" in message
    assert "rbac.create=true" in message
    assert preflight.explain_rights(()) == ""


def test_no_right_to_read_secrets_or_logs_or_to_change_pods_is_asked_for() -> None:
    rights = preflight.rights(Settings(default_runtimes=Path("/x")), gateway=True)
    assert not {right.resource for right in rights} & {"secrets", "pods/log", "nodes"}
    assert {right.verb for right in rights if right.resource == "pods"} == {"get", "list", "watch"}


def test_rights_are_asked_for_in_each_watched_namespace_only() -> None:
    rights = preflight.rights(Settings(namespaces=("a", "b"), lease_namespace="home"), gateway=False)
    cluster_wide = {right.resource for right in rights if not right.namespace}
    assert cluster_wide == {"clustermodelruntimes"}
    assert {right.namespace for right in rights} == {"", "a", "b", "home"}


RUNTIME = """
apiVersion: serving.modelway.io/v1alpha1
kind: ClusterModelRuntime
metadata: {name: modelway}
spec:
  formats: [{name: onnx, priority: 10}]
"""


def stored(manifest: Manifest) -> Manifest:
    """As the API server has it: with defaults and a uid."""
    spec = {**manifest["spec"], "formats": [{**item, "extra": 1} for item in manifest["spec"]["formats"]]}
    return {**manifest, "metadata": {**manifest["metadata"], "uid": "u"}, "spec": {**spec, "protocols": ["V2"]}}


def test_default_runtimes_are_read_from_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RUNTIME + "---\n" + RUNTIME.replace("modelway}", "other}"))
    (tmp_path / "notes.txt").write_text("no YAML: {")
    found = defaults.read(tmp_path)
    assert [item["metadata"]["name"] for item in found] == ["modelway", "other"]
    assert found[0]["metadata"]["labels"] == {names.MANAGED_BY_LABEL: names.MANAGED_BY}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("kind: Secret\nmetadata: {name: x}\n", "Secret is not a ClusterModelRuntime", id="another kind"),
        pytest.param("[]", "list is not a ClusterModelRuntime", id="a list"),
        pytest.param("kind: ClusterModelRuntime\n", "has no name", id="without a name"),
        pytest.param("kind: {", "a.yaml: while parsing", id="no YAML"),
    ],
)
def test_anything_else_in_the_folder_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        defaults.read(tmp_path)


def test_a_folder_of_default_runtimes_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        defaults.read(tmp_path / "runtimes")


def test_the_operators_help_starts_nothing_and_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [name for name in Settings.model_fields if f"MODELWAY_{name.upper()}\n" not in shown] == []
    assert "None" not in shown


def test_a_runtime_is_equal_until_it_or_the_file_changes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RUNTIME)
    (wanted,) = defaults.read(tmp_path)
    present = stored(wanted)
    assert defaults.is_equal(wanted, present)
    edited = {**present, "spec": {**present["spec"], "formats": []}}
    assert not defaults.is_equal(wanted, edited)
    (tmp_path / "a.yaml").write_text(RUNTIME.replace(", priority: 10", ""))
    (shorter,) = defaults.read(tmp_path)
    assert not defaults.is_equal(shorter, present), "a field that went away is a change"


def entry(operation: str, fields: dict[str, Any], *, manager: str = "modelway", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_the_fields_of_the_birth_become_applied_fields() -> None:
    kubectl = entry("Update", {"f:x": {}}, manager="kubectl")
    scaled = entry("Update", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    born = entry("Update", {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}})
    applied = entry("Apply", {"f:spec": {"f:a": {}, "f:b": {"f:d": {}}}})
    (merged, *others) = managed.adopt([kubectl, scaled, born, applied]) or ()
    assert merged["fieldsV1"] == {"f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}}}
    assert others == [kubectl, scaled]


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_an_object_with_one_entry_of_ours_is_left_alone(operation: str) -> None:
    assert managed.adopt([entry(operation, {})]) is None


def test_children_are_watched_by_label_and_routes_only_where_they_exist() -> None:
    assert kinds.HTTP_ROUTE not in watched.watched(gateway=False).kinds
    assert kinds.HTTP_ROUTE in watched.watched(gateway=True).kinds
    assert watched.selector(kinds.POD) == names.CHILD_SELECTOR
    assert watched.selector(kinds.MODEL_DEPLOYMENT) == ""


def test_gateways_are_listed_in_all_namespaces_whichever_are_watched() -> None:
    scope = watched.watched(gateway=True, namespaces=("a", "b"))
    assert set(scope.polled) == {kinds.GATEWAY, kinds.GATEWAY_CLASS}
    assert not set(scope.polled) & set(scope.kinds)
    assert [(scope.scopes(kind), watched.selector(kind)) for kind in scope.polled] == [((None,), "")] * 2
    assert watched.watched(gateway=False).polled == ()


def test_cluster_wide_kinds_are_read_once_whatever_the_namespaces() -> None:
    scope = watched.watched(gateway=False, namespaces=("a", "b"))
    assert scope.scopes(kinds.POD) == ("a", "b")
    assert scope.scopes(kinds.CLUSTER_MODEL_RUNTIME) == (None,)


@pytest.mark.parametrize(
    ("spec", "is_wanted"),
    [({}, False), ({"traffic": {"parentRefs": []}}, False), ({"traffic": {"parentRefs": [{"name": "g"}]}}, True)],
    ids=str,
)
def test_the_gateway_api_is_wanted_by_an_object_with_a_parent(spec: Manifest, is_wanted: bool) -> None:
    cache = Cache()
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model() | {"spec": spec})
    assert gateway.is_wanted(cache) is is_wanted
