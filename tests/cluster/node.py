"""The one-node cluster: up, down, and whether it runs."""

import ipaddress
import json
import os
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster import (
    cgroups,
    components,
    control_plane,
    gateway,
    host_files,
    images,
    mounts,
    network,
    node_services,
    packages,
    paths,
    processes,
    progress,
    shell,
    system_images,
    tools,
    waiting,
)
from cluster.components import Node
from cluster.control_plane import Plane
from cluster.info import Gateway, Info, from_dict
from cluster.kubectl import Kubectl
from cluster.pki import write_secret
from cluster.versions import ENVOY_GATEWAY, KUBERNETES, NODE_TOOLS, PACKAGES

API_PORT = 6443
SERVER = f"https://{network.NODE_IP}:{API_PORT}"
STORAGE = "versitygw"
RECORD = "cluster.json"


def require() -> None:
    """Raise when this machine cannot run the node, with what it would take."""
    if sys.platform != "linux":
        raise shell.ClusterError("The one-node cluster needs Linux: use CONTEXT=NAME, or install Docker and kind")
    if os.geteuid() != 0:
        raise shell.ClusterError(
            "The one-node cluster needs root (network namespaces, mounts, cgroups): "
            "run as root, use CONTEXT=NAME, or install Docker and kind"
        )


def prepare() -> tuple[Path, ...]:
    """Install and build what is missing; the archives of the images that the node needs."""
    packages.ensure(PACKAGES)
    tools.ensure(NODE_TOOLS)
    gateway.ensure_chart()
    return system_images.ensure()


def kubectl() -> Kubectl:
    return Kubectl(kubeconfig=str(Node(folder=paths.state()).kubeconfig("admin")))


def is_present() -> bool:
    """Whether it runs, or left anything."""
    return paths.state().exists()


def is_up() -> bool:
    """Whether `up` came to its end and every process that it started still runs."""
    record = paths.state() / RECORD
    if os.geteuid() != 0 or not record.exists():
        return False
    pids = json.loads(record.read_text())["processes"].values()
    return all(processes.is_marked(pid, paths.state()) for pid in pids)


def info() -> Info:
    """Where it is; raises when it is not up."""
    require()
    if not is_up():
        raise shell.ClusterError("The cluster is not up: `make cluster`")
    return from_dict(json.loads((paths.state() / RECORD).read_text())["info"])


def load(archives: tuple[Path, ...]) -> None:
    """Import images; those that the node has are left alone."""
    if not is_up():
        raise shell.ClusterError("The cluster is not up: `make cluster`")
    node = Node(folder=paths.state())
    for archive in images.not_loaded(archives, node):
        with progress.step("load", archive.stem):
            images.load(archive, node)


def up() -> None:
    """Bring the cluster up; leftovers of one that crashed are removed first."""
    require()
    if is_up():
        progress.say(f"Kubernetes {KUBERNETES} is up")
        return
    with tools.locked("node"):
        if is_up():
            return
        archives = prepare()
        _clear()
        _start(Node(folder=paths.state()), archives)
    progress.say(f"ready    export KUBECONFIG={info().kubeconfig}")


def down() -> None:
    """End the cluster and remove all that it left, whatever state it is in."""
    require()
    with tools.locked("node"):
        _clear()


def _clear() -> None:
    state = paths.state()
    processes.kill_marked(state)
    cgroups.remove()
    mounts.unmount_below(state)
    network.remove()
    host_files.remove(state)
    if state.exists():
        shutil.rmtree(state)


def _start(node: Node, archives: tuple[Path, ...]) -> None:
    """The node first; then, side by side, its images and the definitions that the gateway needs."""
    with progress.step("start", f"Kubernetes {KUBERNETES}"):
        plane, token = _prepare(node)
        started = _start_all(node, _first_commands(node, plane))
        control_plane.wait_until_ready(plane, token, started)
        started += _start_all(node, components.workers(node))
        _wait_until_node_ready(plane, token, started)
    with progress.step("start", f"Envoy Gateway {ENVOY_GATEWAY.version}"), ThreadPoolExecutor() as pool:
        loading = [pool.submit(images.load, archive, node) for archive in archives]
        started += _start_all(node, _add_on_commands(node))
        kubectl().create([*node_services.storage_manifests(), *node_services.metrics_manifests()])
        gateway.install_definitions(kubectl())
        # A pod that finds its image missing tries again ten seconds later.
        for image in loading:
            image.result()
        gateway.install(kubectl(), gateway.NODE)
        address = gateway.wait_until_programmed(kubectl())
    for process in started:
        process.require_running()
    made = _info(node, plane, address)
    pids = {process.name: process.handle.pid for process in started}
    record = {"processes": pids, "info": made.as_dict()}
    write_secret(node.folder / RECORD, json.dumps(record, indent=1))


def _info(node: Node, plane: Plane, address: str) -> Info:
    return Info(
        kind="node",
        kubeconfig=str(node.kubeconfig("admin")),
        context="",
        host_ip=network.HOST_IP,
        gateway=Gateway(name=gateway.NAME, namespace=gateway.NAMESPACE, address=address, port=80),
        s3=node_services.node_storage(node),
        bin=tools.programs(),
        audit_log=str(plane.audit_log),
    )


def _start_all(node: Node, commands: Mapping[str, tuple[str, ...]]) -> list[processes.Started]:
    """Start programs in the node's network."""
    keys = node_services.keys(node_services.node_storage(node))
    return [
        processes.start(name, network.inside(*command), node.folder, **(keys if name == STORAGE else {}))
        for name, command in commands.items()
    ]


def _prepare(node: Node) -> tuple[Plane, str]:
    """Folders, configuration, certificates, cgroups and network; the plane and the admin's token."""
    node.folder.mkdir(parents=True)
    for path, text in components.files(node, cgroups.NAME).items():
        (node.folder / path).parent.mkdir(exist_ok=True)
        (node.folder / path).write_text(text)
    host_files.remember(node.folder)
    cgroups.create()
    network.create()
    plane = Plane(
        folder=node.folder,
        address=network.NODE_IP,
        port=API_PORT,
        etcd_port=2379,
        peer_port=2380,
        services=network.SERVICES,
    )
    service_ip = str(next(ipaddress.ip_network(network.SERVICES).hosts()))
    tokens = control_plane.prepare(plane, accounts=components.ACCOUNTS, addresses=(f"IP:{service_ip}",))
    return plane, tokens["admin"]


def _first_commands(node: Node, plane: Plane) -> dict[str, tuple[str, ...]]:
    return {
        "etcd": control_plane.etcd_command(plane),
        "kube-apiserver": control_plane.apiserver_command(plane),
        "containerd": components.containerd(node),
    }


def _add_on_commands(node: Node) -> dict[str, tuple[str, ...]]:
    return {
        STORAGE: node_services.storage_command(node_services.node_storage(node)),
        "metrics-server": node_services.metrics_command(node),
    }


def _wait_until_node_ready(plane: Plane, token: str, started: list[processes.Started]) -> None:
    def is_ready() -> bool:
        answer = control_plane.answer(plane, token, f"/api/v1/nodes/{components.NODE}")
        conditions = json.loads(answer)["status"].get("conditions", []) if answer else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    waiting.until(is_ready, started, f"the node is ready (logs: {plane.folder}/log)")
