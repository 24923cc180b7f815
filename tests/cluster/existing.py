"""A cluster that somebody else runs, named by a kubectl context: it is looked at and never changed."""

import os
from dataclasses import dataclass
from pathlib import Path

from cluster import gateway, node, progress, shell, tools
from cluster.info import Gateway, Info, Storage
from cluster.kubectl import Kubectl
from cluster.versions import HELM, KUBE_NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """The cluster behind a context of the person's kubeconfig."""

    context: str

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(kubeconfig="", context=self.context)

    def up(self) -> None:
        """Check that it answers, and say what it lacks."""
        tools.ensure((KUBE_NODE, HELM))
        self.kubectl.run("get", "--raw=/readyz")
        progress.say(f"Using context {self.context} as it is: up and down do nothing to it")
        if not self.kubectl.answers("get", "customresourcedefinition", "httproutes.gateway.networking.k8s.io"):
            progress.say("It has no Gateway API: canaries by request weight cannot run there")

    def down(self) -> None:
        progress.say(f"Context {self.context} is not ours to take down")

    def load(self, archives: tuple[Path, ...]) -> None:
        """Images go into a cluster that runs here; any other pulls from its own registry."""
        if self._is_node():
            node.load(archives)
            return
        names = "\n  ".join(map(str, archives))
        progress.say(f"Push these images to where {self.context} pulls from:\n  {names}")

    def info(self) -> Info:
        return Info(
            kind="context",
            kubeconfig=os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config")),
            context=self.context,
            host_ip="",
            gateway=self._gateway(),
            s3=node.info().s3 if self._is_node() else storage_of_environment(),
            bin=tools.programs(),
            audit_log=node.info().audit_log if self._is_node() else "",
        )

    def _is_node(self) -> bool:
        """Whether the context leads to the one-node cluster of this machine."""
        words = ("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")
        return node.is_up() and self.kubectl.run(*words) == node.SERVER

    def _gateway(self) -> Gateway | None:
        if not self.kubectl.answers("get", f"gateway/{gateway.NAME}", f"--namespace={gateway.NAMESPACE}"):
            return None
        address = gateway.address(self.kubectl)
        return Gateway(name=gateway.NAME, namespace=gateway.NAMESPACE, address=address, port=80)


def storage_of_environment() -> Storage | None:
    """The S3 server that the environment names, as the AWS tools read it; None when it names none."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint:
        return None
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if absent := [name for name in names if not os.environ.get(name)]:
        raise shell.ClusterError(f"AWS_ENDPOINT_URL is set, and {' and '.join(absent)} must be too")
    return Storage(
        endpoint_in_cluster=endpoint,
        endpoint_on_host=endpoint,
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ.get("AWS_REGION", "us-east-1"),
        bucket=os.environ.get("MODELWAY_BUCKET", "models"),
        folder="",
    )
