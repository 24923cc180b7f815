"""Command lines and configuration files of the node's programs; pure."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster import network, tools
from cluster.pki import ADMIN, Account

NODE = "node1"
PAUSE_IMAGE = "localhost/modelway-pause:1"
ACCOUNTS = (
    ADMIN,
    Account(name="controllers", user="system:kube-controller-manager"),
    Account(name="scheduler", user="system:kube-scheduler"),
    Account(name="proxy", user="system:kube-proxy"),
    Account(name="node", user=f"system:node:{NODE}", groups=("system:nodes",)),
    Account(name="dns", user="coredns", groups=("system:masters",)),
    Account(name="metrics", user="metrics-server", groups=("system:masters",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where the node keeps its files."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    def kubeconfig(self, account: str) -> Path:
        return self.folder / "pki" / f"{account}.kubeconfig"


def containerd_config(node: Node) -> str:
    """containerd with its files and its namespaces' mounts under the state folder.

    `restrict_oom_score_adj`: a root that may not lower its OOM score (a sandbox) could start no container.
    """
    return f"""version = 2
root = "{node.folder}/containerd/root"
state = "{node.folder}/containerd/state"
[grpc]
address = "{node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{node.folder}/cni"
[plugins."io.containerd.internal.v1.opt"]
path = "{node.folder}/containerd/opt"
"""


def network_config(node: Node) -> str:
    """A bridge with addresses from the pod range; it enforces no NetworkPolicy."""
    addresses = {
        "type": "host-local",
        "dataDir": f"{node.folder}/cni-addresses",
        "ranges": [[{"subnet": network.PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": network.NAMESPACE, "plugins": [bridge, ports]})


def kubelet_config(node: Node, cgroup: str) -> str:
    """The kubelet asks the API server who its callers are, and puts every pod below one cgroup."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{node.folder}/pki/cluster-ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDNS": [network.NODE_IP],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{node.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "resolvConf": "/dev/null",
            "serializeImagePulls": False,
            "podLogsDir": f"{node.folder}/pod-logs",
            "volumePluginDir": f"{node.folder}/volume-plugins",
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
        }
    )


def dns_config(node: Node) -> str:
    return f""".:53 {{
  bind {network.NODE_IP}
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {node.kubeconfig("dns")}
  }}
  cache 5
  errors
}}
"""


def files(node: Node, cgroup: str) -> dict[str, str]:
    """Configuration files by their path in the state folder."""
    return {
        "containerd.toml": containerd_config(node),
        "cni/10-bridge.conflist": network_config(node),
        "kubelet.json": kubelet_config(node, cgroup),
        "Corefile": dns_config(node),
    }


def containerd(node: Node) -> tuple[str, ...]:
    return ("containerd", "--config", f"{node.folder}/containerd.toml")


def workers(node: Node) -> dict[str, tuple[str, ...]]:
    """The programs that start when the API server answers, by name."""
    return {
        "kubelet": (
            str(tools.binary("kubelet")),
            f"--config={node.folder}/kubelet.json",
            f"--kubeconfig={node.kubeconfig('node')}",
            f"--root-dir={node.folder}/kubelet",
            f"--cert-dir={node.folder}/pki/kubelet",
            f"--hostname-override={NODE}",
            f"--node-ip={network.NODE_IP}",
        ),
        "kube-controller-manager": (
            str(tools.binary("kube-controller-manager")),
            f"--kubeconfig={node.kubeconfig('controllers')}",
            f"--service-account-private-key-file={node.folder}/pki/service-account.key",
            f"--root-ca-file={node.folder}/pki/cluster-ca.crt",
            f"--cert-dir={node.folder}/pki/controllers",
            "--use-service-account-credentials",
            "--leader-elect=false",
        ),
        "kube-scheduler": (
            str(tools.binary("kube-scheduler")),
            f"--kubeconfig={node.kubeconfig('scheduler')}",
            f"--cert-dir={node.folder}/pki/scheduler",
            "--leader-elect=false",
        ),
        "kube-proxy": (
            str(tools.binary("kube-proxy")),
            f"--kubeconfig={node.kubeconfig('proxy')}",
            f"--hostname-override={NODE}",
            "--proxy-mode=nftables",
            "--conntrack-max-per-core=0",
        ),
        "coredns": (str(tools.binary("coredns")), "-conf", f"{node.folder}/Corefile"),
    }
