"""A kind cluster, where Docker runs. These few lines were never run by the project's own tests."""

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

from cluster import gateway, node_services, paths, processes, progress, shell, tools
from cluster.info import Gateway, Info, Storage
from cluster.kubectl import Kubectl
from cluster.versions import ENVOY_GATEWAY, HELM, KUBE_NODE, VERSITYGW

NAME = "modelway"


def is_available() -> bool:
    """Whether kind is on PATH and a Docker engine answers."""
    if shutil.which("kind") is None or shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def up() -> None:
    """Create the cluster with Envoy Gateway, and an S3 server where its pods reach this machine."""
    tools.ensure((KUBE_NODE, HELM, VERSITYGW, ENVOY_GATEWAY))
    if NAME in shell.run(["kind", "get", "clusters"]).split():
        progress.say(f"kind cluster {NAME} is up")
        return
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with progress.step("start", f"kind cluster {NAME}"):
        kubeconfig = folder / "kubeconfig"
        shell.run(["kind", "create", "cluster", "--name", NAME, "--kubeconfig", kubeconfig, "--wait", "120s"])
        gateway.install_definitions(_kubectl())
        gateway.install(_kubectl(), gateway.PUBLIC)
        gateway.wait_until_programmed(_kubectl())
    storage = _storage()
    processes.start("versitygw", node_services.storage_command(storage), folder, **node_services.keys(storage))


def down() -> None:
    shell.run(["kind", "delete", "cluster", "--name", NAME])
    processes.kill_marked(_folder())
    shutil.rmtree(_folder(), ignore_errors=True)


def load(archives: tuple[Path, ...]) -> None:
    for archive in archives:
        shell.run(["kind", "load", "image-archive", str(archive), "--name", NAME])


def info() -> Info:
    return Info(
        kind="kind",
        kubeconfig=str(_folder() / "kubeconfig"),
        context="",
        host_ip=_host_ip(),
        gateway=_gateway(),
        s3=_storage(),
        bin=tools.programs(),
        audit_log="",
    )


def _folder() -> Path:
    return paths.cache() / "kind"


def _kubectl() -> Kubectl:
    return Kubectl(kubeconfig=str(_folder() / "kubeconfig"))


def _storage() -> Storage:
    return node_services.storage(_folder(), host=_host_ip(), in_cluster=_host_ip())


def _host_ip() -> str:
    """This machine's address in kind's network."""
    networks = json.loads(shell.run(["docker", "network", "inspect", "kind"]))
    gateways = [each["Gateway"] for each in networks[0]["IPAM"]["Config"] if each.get("Gateway")]
    return next(str(address) for address in gateways if ipaddress.ip_address(address).version == 4)


def _gateway() -> Gateway:
    """A port of the node's container: Service addresses are not routed from this machine."""
    label = f"gateway.envoyproxy.io/owning-gateway-name={gateway.NAME}"
    services = _kubectl().get("services", f"--namespace={gateway.SYSTEM}", f"--selector={label}")
    nodes = _kubectl().get("nodes")
    addresses = nodes["items"][0]["status"]["addresses"]
    return Gateway(
        name=gateway.NAME,
        namespace=gateway.NAMESPACE,
        address=next(each["address"] for each in addresses if each["type"] == "InternalIP"),
        port=int(services["items"][0]["spec"]["ports"][0]["nodePort"]),
    )
