"""Where the story plays: a cluster with the operator installed, a bucket, and programs to steer it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import obstore
import yaml
from obstore.store import S3Store

from cluster import choice, images, paths, shell, tools
from cluster.info import Gateway, Info, Storage
from cluster.kubectl import Kubectl
from demo import manifests
from demo.load import Target
from demo.manifests import Pace
from demo.models import Models
from modelway import names

RELEASE = "modelway"
SYSTEM = "modelway-system"
CHART = paths.REPOSITORY / "charts" / "modelway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster that is ready for the story, and the namespace that it plays in."""

    info: Info
    gateway: Gateway
    storage: Storage
    namespace: str

    @property
    def kubectl(self) -> Kubectl:
        """kubectl for this cluster."""
        return Kubectl(kubeconfig=self.info.kubeconfig, context=self.info.context)

    def target(self, name: str = manifests.MODEL) -> Target:
        """Where predictions of a model are asked for: the gateway's address, the model's host name."""
        url = f"http://{self.gateway.address}:{self.gateway.port}/v2/models/{name}/infer"
        return Target(url=url, host=manifests.host(self.namespace, name))

    @property
    def folder(self) -> Path:
        """Holds the manifests that are applied, one file for each version."""
        return paths.cache() / "demo" / self.namespace

    def manifest(self, version: str) -> Path:
        """The file with the ModelDeployment of that version."""
        return self.folder / f"{manifests.MODEL}-{version}.yaml"

    def modelway(self, *words: str) -> str:
        """Run our own command line. Raises ClusterError when it does not end with 0."""
        context = ("--context", self.info.context) if self.info.context else ()
        program = str(Path(sys.executable).with_name("modelway"))
        flags = ("--kubeconfig", self.info.kubeconfig, *context, "--namespace", self.namespace)
        return shell.run([program, *words, *flags])


def find(context: str, namespace: str) -> Place:
    """The cluster that `bring_up` left. Raises ClusterError where it lacks what the story needs."""
    info = choice.choose(context).info()
    if info.gateway is None:
        raise shell.ClusterError(f"Predictions are sent through a Gateway, and {info.context} has none")
    if info.s3 is None:
        raise shell.ClusterError("Models are kept on S3: set AWS_ENDPOINT_URL and the keys")
    return Place(info=info, gateway=info.gateway, storage=info.s3, namespace=namespace)


def bring_up(context: str) -> str:
    """The cluster with the project's images. Returns what names this build of the operator.

    In a process of its own: the parts of the cluster must outlive this one.
    """
    for command in ("up", "images"):
        words = [sys.executable, "-m", "cluster", command, *(("--context", context) if context else ())]
        environment = os.environ | {"PYTHONPATH": str(paths.REPOSITORY / "tests")}
        if subprocess.run(words, env=environment, check=False).returncode:
            raise shell.ClusterError("The cluster is not ready for the story; see above for why")
    return next(archive.stem for archive in images.ensure() if "operator" in archive.name)


def take_down(context: str) -> None:
    """Everything that the demo made."""
    choice.choose(context).down()
    shutil.rmtree(paths.cache() / "demo", ignore_errors=True)


def install(place: Place, build: str, *flags: str) -> None:
    """Install the chart, or bring an older release to this one, and wait until the operator is ready.

    The images of a checkout keep their tag, so the name of the build goes into an annotation of the pod: a new
    build replaces the pod, the same one does not.
    """
    helm = (str(tools.binary("helm")), *place.kubectl.flags("--kube-context"))
    stamp = ("--set-string", f"podAnnotations.build={build}")
    shell.run((*helm, *install_words(), *stamp, *flags), environment=tools.helm_environment())


def install_words() -> tuple[str, ...]:
    """What a user types after `helm`."""
    words = ("upgrade", "--install", RELEASE, str(CHART), "--namespace", SYSTEM, "--create-namespace")
    return (*words, "--wait", "--timeout", "2m")


def upload(storage: Storage, files: dict[str, bytes]) -> None:
    """Put files into the bucket, each under its key."""
    store = S3Store(
        storage.bucket,
        endpoint=storage.endpoint_on_host,
        access_key_id=storage.access_key,
        secret_access_key=storage.secret_key,
        region=storage.region,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )
    for key, content in files.items():
        obstore.put(store, key, content)


def furnish(place: Place, known: Models) -> None:
    """The namespace, the credentials in it, and the models in the bucket."""
    wanted = (manifests.namespace(place.namespace), manifests.secret(place.storage, place.namespace))
    place.kubectl.run("apply", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    files = {f"{manifests.MODEL}/{version.name}/model.onnx": version.file for version in known.versions}
    upload(place.storage, files)


def write_manifests(place: Place, known: Models, pace: Pace) -> None:
    """A file for each version: what the story applies, and what its watchers may apply again."""
    place.folder.mkdir(parents=True, exist_ok=True)
    for version in known.versions:
        wanted = manifests.story(place.namespace, version.name, place.storage.bucket, place.gateway, pace)
        place.manifest(version.name).write_text(yaml.safe_dump(wanted, sort_keys=False))


def clear(place: Place) -> None:
    """Remove the models of an earlier run and wait until their children are gone: revisions begin at 1 again."""
    kubectl, scope = place.kubectl, f"--namespace={place.namespace}"
    kubectl.run("delete", "modeldeployments", "--all", scope, "--wait")
    selector = f"--selector={names.CHILD_SELECTOR}"
    children = "controllerrevisions,deployments,pods,services"
    kubectl.run("wait", children, scope, selector, "--for=delete", "--timeout=2m")


def shell_lines(place: Place) -> tuple[str, ...]:
    """What makes a shell see this cluster, and the programs of the demo."""
    folders = (paths.binaries(), Path(sys.executable).parent)
    lines = [f"export PATH={':'.join(map(str, folders))}:$PATH"]
    if place.info.kubeconfig and place.info.kubeconfig != os.environ.get("KUBECONFIG"):
        lines.append(f"export KUBECONFIG={place.info.kubeconfig}")
    return tuple(lines)
