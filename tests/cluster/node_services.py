"""Programs that run as plain processes on the node and are reached as Services: S3 and metrics-server.

As processes they need no image and are there as soon as the node is; pods find them by the Service's name.
"""

import json
import secrets
from dataclasses import asdict
from pathlib import Path

from cluster import network, tools
from cluster.components import Node
from cluster.info import Storage
from cluster.kubectl import Manifest
from cluster.pki import write_secret

S3_PORT = 7070
S3_NAMESPACE = "storage"
S3_SERVICE = f"s3.{S3_NAMESPACE}.svc.cluster.local"
METRICS_PORT = 4443
BUCKET = "models"


def storage(folder: Path, *, host: str, in_cluster: str) -> Storage:
    """Make the bucket (a folder: objects are plain files) and the keys; later calls read them back."""
    record = folder / "storage.json"
    if record.exists():
        return Storage(**json.loads(record.read_text()))
    buckets = folder / "s3"
    (buckets / BUCKET).mkdir(parents=True, exist_ok=True)
    made = Storage(
        endpoint_in_cluster=f"http://{in_cluster}:{S3_PORT}",
        endpoint_on_host=f"http://{host}:{S3_PORT}",
        access_key="modelway",
        secret_key=secrets.token_hex(16),
        region="us-east-1",
        bucket=BUCKET,
        folder=str(buckets),
    )
    write_secret(record, json.dumps(asdict(made)))
    return made


def node_storage(node: Node) -> Storage:
    return storage(node.folder, host=network.NODE_IP, in_cluster=S3_SERVICE)


def keys(made: Storage) -> dict[str, str]:
    """What the server reads from its environment."""
    return {"ROOT_ACCESS_KEY": made.access_key, "ROOT_SECRET_KEY": made.secret_key}


def storage_command(made: Storage) -> tuple[str, ...]:
    options = ("--port", made.endpoint_on_host.removeprefix("http://"), "--region", made.region, "--quiet")
    return (str(tools.binary("versitygw")), *options, "posix", made.folder)


def storage_manifests() -> list[Manifest]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": S3_NAMESPACE}}
    return [namespace, *node_service("s3", S3_NAMESPACE, port=S3_PORT, target=S3_PORT)]


def metrics_command(node: Node) -> tuple[str, ...]:
    kubeconfig = node.kubeconfig("metrics")
    return (
        str(tools.binary("metrics-server")),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--cert-dir={node.folder}/pki/metrics",
        f"--bind-address={network.NODE_IP}",
        f"--secure-port={METRICS_PORT}",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-request-timeout=5s",
        "--metric-resolution=10s",
    )


def metrics_manifests() -> list[Manifest]:
    group, version = "metrics.k8s.io", "v1beta1"
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    return [*node_service("metrics-server", "kube-system", port=443, target=METRICS_PORT), registration]


def node_service(name: str, namespace: str, *, port: int, target: int) -> list[Manifest]:
    """A Service without a selector, and the slice that sends it to a port of the node."""
    metadata = {"name": name, "namespace": namespace}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"name": "main", "port": port, "targetPort": target}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [network.NODE_IP], "conditions": {"ready": True}}],
        "ports": [{"name": "main", "port": target, "protocol": "TCP"}],
    }
    return [service, endpoints]
