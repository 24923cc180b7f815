"""kubectl of the pinned version, against one kubeconfig (and context)."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import shell, tools

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """A cluster to talk to; `context` empty means the kubeconfig's current one."""

    kubeconfig: str
    context: str = ""

    def command(self, *words: str | Path) -> tuple[str, ...]:
        return (str(tools.binary("kubectl")), *self.flags("--context"), *map(str, words))

    def flags(self, context_flag: str) -> tuple[str, ...]:
        """The options that name the cluster; helm calls the second one `--kube-context`."""
        kubeconfig = (f"--kubeconfig={self.kubeconfig}",) if self.kubeconfig else ()
        return (*kubeconfig, *((f"{context_flag}={self.context}",) if self.context else ()))

    @property
    def environment(self) -> dict[str, str]:
        """For programs that take a kubeconfig from the environment, and its current context."""
        return {"KUBECONFIG": self.kubeconfig} if self.kubeconfig else {}

    def run(self, *words: str | Path, stdin: str | None = None) -> str:
        """Standard output; raises ClusterError when kubectl fails."""
        return shell.run(self.command(*words), stdin=stdin)

    def answers(self, *words: str) -> bool:
        """Whether kubectl succeeds."""
        done = subprocess.run(self.command(*words), capture_output=True, env=os.environ, check=False)
        return done.returncode == 0

    def create(self, manifests: Sequence[Manifest]) -> None:
        """Create objects; without validation, which would first load the schema of everything (seconds)."""
        self.run("create", "--validate=false", "--filename=-", stdin=manifest_list(manifests))

    def get(self, *words: str) -> Manifest:
        answer: Manifest = json.loads(self.run("get", "--output=json", *words))
        return answer


def manifest_list(manifests: Sequence[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
