"""etcd and kube-apiserver: the control plane of the node, and alone on loopback for integration tests."""

import json
import shutil
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import packages, pki, processes, scratch, shell, tools, waiting
from cluster.versions import CONTROL_PLANE_PACKAGES, CONTROL_PLANE_TOOLS

SERVICES = "10.96.0.0/16"
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
"""The kernel kills the process when the one that started it ends, however it ends."""
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
)
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata", "omitStages": ["RequestReceived"]}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Where a control plane listens and keeps its files."""

    folder: Path
    address: str
    port: int
    etcd_port: int
    peer_port: int
    services: str

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        return self.folder / "log" / "audit.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a test needs of a control plane that runs."""

    kubeconfig: Path
    server: str
    token: str
    authority: Path
    audit_log: Path
    kubectl: Path


def etcd_command(plane: Plane) -> tuple[str, ...]:
    client, peer = (f"http://127.0.0.1:{port}" for port in (plane.etcd_port, plane.peer_port))
    return (
        str(tools.binary("etcd")),
        f"--data-dir={plane.folder}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def apiserver_command(plane: Plane, *extra: str) -> tuple[str, ...]:
    """kube-apiserver with RBAC, token file, audit log and the aggregation layer."""
    certificates = plane.pki
    return (
        str(tools.binary("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{plane.etcd_port}",
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.port}",
        f"--service-cluster-ip-range={plane.services}",
        f"--cert-dir={certificates}",
        f"--tls-cert-file={certificates}/apiserver.crt",
        f"--tls-private-key-file={certificates}/apiserver.key",
        f"--client-ca-file={certificates}/cluster-ca.crt",
        f"--token-auth-file={certificates}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates}/service-account.pub",
        f"--service-account-signing-key-file={certificates}/service-account.key",
        f"--kubelet-client-certificate={certificates}/kubelet-client.crt",
        f"--kubelet-client-key={certificates}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={certificates}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates}/front-proxy.crt",
        f"--proxy-client-key-file={certificates}/front-proxy.key",
        f"--audit-policy-file={plane.folder}/audit-policy.json",
        f"--audit-log-path={plane.audit_log}",
        "--allow-privileged",
        *extra,
    )


def prepare(plane: Plane, *, accounts: tuple[pki.Account, ...], addresses: tuple[str, ...] = ()) -> dict[str, str]:
    """Write certificates, accounts and the audit policy; the tokens by account name."""
    plane.audit_log.parent.mkdir(parents=True, exist_ok=True)
    names = ("DNS:kubernetes.default.svc", "DNS:localhost", f"IP:{plane.address}", *addresses)
    pki.issue_control_plane(plane.pki, addresses=names)
    (plane.folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    return pki.write_accounts(plane.pki, server=plane.server, accounts=accounts)


def answer(plane: Plane, token: str, path: str) -> bytes | None:
    """What the API server answers to a GET; None when it refuses or is not there."""
    request = urllib.request.Request(f"{plane.server}{path}", headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=str(plane.pki / "cluster-ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as response:
            return bytes(response.read())
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None


def wait_until_ready(plane: Plane, token: str, started: Iterable[processes.Started]) -> None:
    what = f"the API server is ready (logs: {plane.folder}/log)"
    waiting.until(lambda: answer(plane, token, "/readyz") is not None, tuple(started), what)


@contextmanager
def running() -> Iterator[Running]:
    """etcd and kube-apiserver on free loopback ports, gone without a trace afterwards; needs no root.

    No controller runs: nothing creates Pods for a Deployment, and nothing is garbage-collected.
    """
    _require_tools()
    started: list[processes.Started] = []
    with scratch.folder("modelway-control-plane-") as folder:
        try:
            yield _start(folder, started)
        finally:
            processes.kill_marked(folder)
            for process in started:
                process.handle.wait()


@contextmanager
def controllers(plane: Running) -> Iterator[None]:
    """The real controllers of Deployments and ReplicaSets, and the garbage collector, beside a control plane.

    Start them when the CRDs are there: the collector learns of new kinds every half minute only. Nothing runs a Pod.
    """
    folder = plane.kubeconfig.parent
    command = (
        str(tools.binary("kube-controller-manager")),
        f"--kubeconfig={plane.kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--cert-dir={folder}/controllers",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )
    started = processes.start("kube-controller-manager", (*DIE_WITH_PARENT, *command), folder.parent)
    try:
        yield
        started.require_running()
    finally:
        started.handle.kill()
        started.handle.wait()


def _require_tools() -> None:
    if sys.platform != "linux":
        raise shell.ClusterError("The control plane of the tests runs on Linux only")
    if shutil.which("openssl") is None:
        packages.ensure(CONTROL_PLANE_PACKAGES)
    tools.ensure(CONTROL_PLANE_TOOLS)


def _start(folder: Path, started: list[processes.Started]) -> Running:
    port, etcd_port, peer_port = _free_ports(3)
    plane = Plane(
        folder=folder,
        address="127.0.0.1",
        port=port,
        etcd_port=etcd_port,
        peer_port=peer_port,
        services=SERVICES,
    )
    tokens = prepare(plane, accounts=(pki.ADMIN,))
    alone = ("--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount")
    for name, command in (
        ("etcd", etcd_command(plane)),
        ("kube-apiserver", apiserver_command(plane, *alone)),
    ):
        started.append(processes.start(name, (*DIE_WITH_PARENT, *command), folder))
    wait_until_ready(plane, tokens["admin"], started)
    return Running(
        kubeconfig=plane.pki / "admin.kubeconfig",
        server=plane.server,
        token=tokens["admin"],
        authority=plane.pki / "cluster-ca.crt",
        audit_log=plane.audit_log,
        kubectl=tools.binary("kubectl"),
    )


def _free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = tuple(each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    return ports
