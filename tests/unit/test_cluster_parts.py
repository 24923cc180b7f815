"""The pure parts of the test cluster: pins, command lines, tables read and written."""

import json
import re
from pathlib import Path

import pytest

from cluster import (
    buildah,
    command_line,
    components,
    control_plane,
    gateway,
    mounts,
    node_services,
    pki,
    processes,
    progress,
    shell,
    system_images,
    tools,
    versions,
    waiting,
)
from cluster.components import Node
from cluster.control_plane import Plane
from cluster.info import Info, Storage, from_dict

FOLDER = Path("/state")
MOUNTS = """\
21 1 0:1 / /state rw - ext4 a rw
22 1 0:2 / /state/kubelet rw - tmpfs b rw
23 1 0:3 / /state/kubelet/with\\040space rw - tmpfs c rw
24 1 0:4 / /state-of-others/x rw - tmpfs d rw
"""
PLANE = Plane(folder=FOLDER, address="10.0.0.1", port=6443, etcd_port=2379, peer_port=2380, services="10.1.0.0/24")


@pytest.mark.parametrize("tool", versions.NODE_TOOLS, ids=lambda tool: tool.name)
def test_every_tool_is_pinned_to_one_full_version(tool: versions.GoTool) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", tool.version)
    assert bool(tool.package) != bool(tool.folder)


def test_the_checked_in_module_is_the_pinned_kubernetes() -> None:
    module = (Path(control_plane.__file__).parent / "node" / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{versions.KUBERNETES}\n" in module
    staging = set(re.findall(r"^replace k8s\.io/\S+ => k8s\.io/\S+ v(\S+)$", module, re.MULTILINE))
    assert staging == {versions.KUBERNETES.replace("1.", "0.", 1)}


def test_a_published_tool_is_installed_at_its_version_and_reports_it() -> None:
    command = tools.build_command(versions.HELM)
    assert command[:2] == ("go", "install")
    assert command[-1] == f"helm.sh/helm/v4/cmd/helm@v{versions.HELM.version}"
    assert f"version.version=v{versions.HELM.version}" in command[3]


def test_the_node_is_built_with_its_dependencies_locked() -> None:
    assert tools.build_command(versions.KUBE_NODE)[:3] == ("go", "build", "-mod=readonly")


def test_a_control_plane_listens_where_it_was_told_and_nowhere_else() -> None:
    apiserver, etcd = control_plane.apiserver_command(PLANE), control_plane.etcd_command(PLANE)
    assert "--bind-address=10.0.0.1" in apiserver
    assert "--etcd-servers=http://127.0.0.1:2379" in apiserver
    assert "--listen-client-urls=http://127.0.0.1:2379" in etcd


def test_every_file_of_the_api_server_is_below_its_folder() -> None:
    paths = re.findall(r"=(/\S+)", " ".join(control_plane.apiserver_command(PLANE)))
    assert paths
    assert all(path.startswith("/state/") for path in paths)


@pytest.mark.parametrize("name", components.workers(Node(folder=FOLDER)))
def test_every_worker_has_an_account_and_its_files_below_the_state_folder(name: str) -> None:
    command = " ".join(components.workers(Node(folder=FOLDER))[name][1:])
    accounts = {account.name for account in components.ACCOUNTS}
    assert set(re.findall(r"/state/pki/(\w+)\.kubeconfig", command)) <= accounts
    assert all(path.startswith("/state/") for path in re.findall(r"[= ](/\S+)", command))


def test_json_configuration_files_can_be_read() -> None:
    files = components.files(Node(folder=FOLDER), "group")
    assert json.loads(files["kubelet.json"])["cgroupRoot"] == "/group"
    assert json.loads(files["cni/10-bridge.conflist"])["plugins"][0]["type"] == "bridge"


def test_a_token_line_quotes_its_groups() -> None:
    account = pki.Account(name="node", user="system:node:a", groups=("system:nodes", "extra"))
    assert pki.token_line("secret", account) == 'secret,system:node:a,system:node:a,"system:nodes,extra"\n'


def test_a_kubeconfig_trusts_the_cluster_and_carries_the_token() -> None:
    config = json.loads(pki.kubeconfig(server="https://h:1", authority=b"PEM", token="secret"))
    assert config["clusters"][0]["cluster"] == {"server": "https://h:1", "certificate-authority-data": "UEVN"}
    assert config["users"][0]["user"] == {"token": "secret"}


def test_mounts_are_undone_from_the_last_one_and_only_below_the_folder() -> None:
    assert mounts.below(FOLDER, MOUNTS) == ("/state/kubelet/with space", "/state/kubelet")


@pytest.mark.parametrize(
    ("dockerfile", "paths"),
    [
        pytest.param("FROM scratch\nCOPY a b /to/\n", ("a", "b"), id="several"),
        pytest.param("COPY --chown=1:1 src ./src", ("src",), id="options"),
        pytest.param("COPY --from=build /opt /opt", (), id="another stage"),
        pytest.param("COPY one \\\n  two \\\n  /to/", ("one", "two"), id="continued line"),
        pytest.param("# COPY no /\nadd files.tar /", ("files.tar",), id="comment and lower case"),
        pytest.param("RUN true", (), id="none"),
    ],
)
def test_what_a_dockerfile_copies_is_found(dockerfile: str, paths: tuple[str, ...]) -> None:
    assert buildah.copied_paths(dockerfile) == paths


def test_the_digest_follows_copied_files_and_no_others(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY src /src\n")
    source = tmp_path / "src" / "a.py"
    source.parent.mkdir()
    source.write_text("1")
    before = buildah.digest(dockerfile, tmp_path)
    (tmp_path / "README").write_text("not copied")
    (tmp_path / "src" / "__pycache__").mkdir()
    (tmp_path / "src" / "__pycache__" / "a.pyc").write_text("not source")
    assert buildah.digest(dockerfile, tmp_path) == before
    assert buildah.digest(dockerfile, tmp_path, "another base") != before
    source.write_text("2")
    assert buildah.digest(dockerfile, tmp_path) != before


def test_a_copied_path_that_is_missing_is_left_to_buildah(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("COPY missing /\n")
    assert buildah.digest(tmp_path / "Dockerfile", tmp_path)


def test_an_archive_is_named_by_image_and_inputs() -> None:
    recipe = buildah.Recipe(
        reference="localhost/modelway-runtime:0.1.0", dockerfile=FOLDER, context=FOLDER, digest="d" * 64
    )
    assert recipe.archive.name == f"modelway-runtime-0.1.0-{'d' * 16}.tar"


def test_libraries_are_read_from_the_listing_of_the_linker() -> None:
    listing = "\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/libm.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n"
    assert system_images.linked_libraries(listing) == (Path("/lib/libm.so.6"), Path("/lib64/ld.so.2"))


def test_a_service_of_a_node_program_leads_to_the_node() -> None:
    service, endpoints = node_services.node_service("s3", "storage", port=80, target=7070)
    assert "selector" not in service["spec"]
    assert endpoints["metadata"]["labels"] == {"kubernetes.io/service-name": "s3"}
    assert endpoints["ports"][0]["port"] == 7070


def test_the_gateway_takes_routes_from_every_namespace() -> None:
    (public,) = (each for each in gateway.manifests(gateway.NODE) if each["kind"] == "Gateway")
    assert public["spec"]["listeners"][0]["allowedRoutes"] == {"namespaces": {"from": "All"}}


def test_information_survives_being_written_down() -> None:
    storage = Storage(
        endpoint_in_cluster="http://a",
        endpoint_on_host="http://b",
        access_key="k",
        secret_key="s",
        region="r",
        bucket="models",
        folder="",
    )
    known = Info(
        kind="node",
        kubeconfig="/k",
        context="",
        host_ip="",
        gateway=None,
        s3=storage,
        bin={"kubectl": "/bin/kubectl"},
        audit_log="",
    )
    assert from_dict(json.loads(json.dumps(known.as_dict()))) == known


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.04, "0.0 s", id="at once"),
        pytest.param(59.94, "59.9 s", id="under a minute"),
        pytest.param(259.9, "4 min 19 s", id="minutes"),
    ],
)
def test_elapsed_time_reads_well(seconds: float, text: str) -> None:
    assert progress.elapsed(seconds) == text


def test_the_context_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXT", "mine")
    assert command_line.parser().parse_args(["up"]).context == "mine"
    assert command_line.parser().parse_args(["up", "--context", "other"]).context == "other"


def test_descriptions_are_dropped_and_a_field_of_that_name_is_kept() -> None:
    text = """\
schema:
  description: |-
    Several lines.

    - with: a list
  properties:
    description:
      description: What it is,
        in two lines.
      type: string
  type: object
"""
    assert gateway.without_descriptions(text) == (
        "schema:\n  properties:\n    description:\n      type: string\n  type: object\n"
    )


def test_certificates_are_signed_by_their_authority_and_name_their_addresses(tmp_path: Path) -> None:
    pki.issue_control_plane(tmp_path, addresses=("IP:10.0.0.1", "DNS:localhost"))
    for issuer, name in (("cluster-ca", "apiserver"), ("front-proxy-ca", "front-proxy")):
        shell.run(["openssl", "verify", "-CAfile", tmp_path / f"{issuer}.crt", tmp_path / f"{name}.crt"])
    text = shell.run(["openssl", "x509", "-in", tmp_path / "apiserver.crt", "-noout", "-text"])
    assert "IP Address:10.0.0.1" in text
    assert "DNS:localhost" in text
    assert "CA:FALSE" in text


def test_accounts_get_a_kubeconfig_that_nobody_else_reads(tmp_path: Path) -> None:
    pki.authority(tmp_path, "cluster-ca")
    tokens = pki.write_accounts(tmp_path, server="https://h:1", accounts=(pki.ADMIN,))
    config = tmp_path / "admin.kubeconfig"
    assert tokens["admin"] in config.read_text()
    assert config.stat().st_mode & 0o077 == 0


def test_a_command_that_fails_is_reported_with_what_it_said() -> None:
    with pytest.raises(shell.ClusterError, match=r"(?s)ended with 3:.*no such thing"):
        shell.run(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_a_condition_is_not_waited_for_once_its_process_ended(tmp_path: Path) -> None:
    broken = processes.start("broken", ("false",), tmp_path)
    with pytest.raises(shell.ClusterError, match="broken ended with 1"):
        waiting.until(lambda: False, (broken,), "it never comes true")


def test_a_tool_that_is_there_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_CACHE", str(tmp_path))
    tool = versions.GoTool(name="tool", version="1.0.0", package="example.invalid/tool", links=("other",))
    assert not tools.is_built(tool)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / tool.stamp).touch()
    for name in ("tool", "other"):
        (tmp_path / "bin" / name).symlink_to(tool.stamp)
    assert tools.is_built(tool)
    tools.ensure((tool,))


def test_a_program_of_this_checkout_is_built_anew_when_its_sources_change(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text("package main")
    before = tools.digest(tmp_path)
    assert tools.digest(tmp_path) == before
    (tmp_path / "main.go").write_text("package other")
    assert tools.digest(tmp_path) != before
    assert tools.stamp(versions.KSTATUS) != "kstatus-"


def test_a_tool_of_another_version_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_CACHE", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool-1.0.0").touch()
    (tmp_path / "bin" / "tool").symlink_to("tool-1.0.0")
    assert not tools.is_built(versions.GoTool(name="tool", version="1.0.1", package="example.invalid/tool"))
