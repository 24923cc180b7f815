"""A real etcd and kube-apiserver for the integration tests, and kubectl as a user has it."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import control_plane, waiting

CRDS = Path(__file__).parents[2] / "crds"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl against the control plane of the tests."""

    plane: control_plane.Running

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints; fails the test with its message when it fails."""
        result = self._run(arguments, stdin)
        if result.returncode:
            pytest.fail(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def refusal(self, *arguments: str, stdin: str | None = None) -> str:
        """What it says when it fails; fails the test when it does not."""
        result = self._run(arguments, stdin)
        if not result.returncode:
            pytest.fail(f"kubectl {' '.join(arguments)} was not refused: {result.stdout}")
        return result.stderr

    def install(self, path: Path) -> None:
        """Create the CRDs of a file, and wait until the API server has them."""
        self("create", "--validate=false", "-f", str(path))
        self.wait_until_established(path)

    def wait_until_established(self, path: Path) -> None:
        """A CRD has no conditions at first, of which `kubectl wait` makes an error."""
        asked = ("wait", "--for=condition=Established", "--timeout=60s", "-f", str(path))
        waiting.until(lambda: not self._run(asked, None).returncode, (), f"{path.name} is established")

    def _run(self, arguments: tuple[str, ...], stdin: str | None) -> subprocess.CompletedProcess[str]:
        command = (str(self.plane.kubectl), "--kubeconfig", str(self.plane.kubeconfig), *arguments)
        environment = {**os.environ, "KUBECACHEDIR": str(self.plane.kubeconfig.parent / "cache")}
        return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False, env=environment)


@pytest.fixture(scope="session")
def plane() -> Iterator[control_plane.Running]:
    """etcd and kube-apiserver, empty; one for the whole session."""
    with control_plane.running() as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(plane: control_plane.Running) -> Kubectl:
    """kubectl on a cluster that has Modelway's CRDs."""
    run = Kubectl(plane)
    run("apply", "--filename", str(CRDS))
    run.wait_until_established(CRDS)
    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own."""
    (name,) = kubectl("create", "namespace", f"test-{os.urandom(5).hex()}", "--output=name").split()
    yield name.removeprefix("namespace/")
    kubectl("delete", name, "--wait=false")
