"""What people, nodes and clean-up jobs do to a fleet of models, drawn by a seed."""

import json
import random
from collections import Counter
from dataclasses import dataclass

from cluster import shell
from modelway import names
from modelway.kinds import Manifest
from played import pods
from played.stage import Stage

_DEEDS = {
    "a new version": 30,
    "a version that fails to load": 5,
    "another number of pods": 12,
    "back to the version before": 8,
    "abort": 10,
    "promote": 12,
    "pause": 4,
    "resume": 6,
    "a deletion": 5,
    "a lost pod": 8,
    "a child that somebody deletes": 5,
    "weights that somebody edits": 5,
}
"""Each with how often it happens, of 110."""


@dataclass(slots=True)
class Wish:
    """What a model's owner wants of it now."""

    version: str = "0"
    before: str = "0"
    replicas: int = 1
    steps: tuple[Manifest, ...] = ()


class Churn:
    """Does one thing after the other, whatever became of the one before. No version is ever used twice."""

    def __init__(self, stage: Stage, models: int, seed: int) -> None:
        self.stage = stage
        self._random = random.Random(seed)
        self._wishes = {f"m{number}": Wish() for number in range(models)}
        self._versions = 0
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """What could not be done, because its object was gone or had changed."""

    def begin(self) -> None:
        """Create every model."""
        self.stage.apply(*(self._manifest(name) for name in self._wishes))

    def act(self) -> None:
        """Do something to a model."""
        (deed,) = self._random.choices(tuple(_DEEDS), weights=tuple(_DEEDS.values()))
        name = self._random.choice(tuple(self._wishes))
        try:
            self._do(deed, name)
        except shell.ClusterError:
            self.refused[deed] += 1
            return
        self.done[deed] += 1

    def settle(self) -> str:
        """One last good version of every model, without steps to wait at; its name."""
        for wish in self._wishes.values():
            wish.version, wish.steps = "final", ({"weight": 50},)
        self.stage.apply(*(self._manifest(name) for name in self._wishes))
        for name in self._wishes:
            self._command(name, "resume")
        return "final"

    def _do(self, deed: str, name: str) -> None:
        wish, scope = self._wishes[name], f"--namespace={self.stage.namespace}"
        match deed:
            case "a new version" | "a version that fails to load":
                self._versions += 1
                wish.before = wish.version if not wish.version.endswith(pods.BROKEN) else wish.before
                wish.version = f"{self._versions}{pods.BROKEN if 'fails' in deed else ''}"
                wish.steps = self._steps()
                self.stage.apply(self._manifest(name))
            case "another number of pods":
                wish.replicas = self._random.randint(1, 4)
                self.stage.apply(self._manifest(name))
            case "back to the version before":
                wish.version, wish.before = wish.before, wish.version
                self.stage.apply(self._manifest(name))
            case "abort":
                self._command(name, deed, names.ABORT_ANNOTATION)
            case "promote" | "pause" | "resume":
                self._command(name, deed)
            case "a deletion":
                self.stage.kubectl.run("delete", f"modeldeployment/{name}", scope, "--wait=false")
                self.stage.apply(self._manifest(name))
            case _:
                self._disturb(deed, name, scope)

    def _disturb(self, deed: str, name: str, scope: str) -> None:
        """What is done to children."""
        kind = "pods" if deed == "a lost pod" else self._random.choice(("deployments", "services", "httproutes"))
        found = [item["metadata"]["name"] for item in self.stage.children(name, kind)[kind]]
        if deed == "weights that somebody edits":
            edit = '[{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 33}]'
            self.stage.kubectl.run("patch", f"httproute/{name}", scope, "--type=json", f"--patch={edit}")
        elif found:
            self.stage.kubectl.run("delete", f"{kind}/{self._random.choice(found)}", scope, "--wait=false")

    def _command(self, name: str, verb: str, annotation: str = names.COMMAND_ANNOTATION) -> None:
        """For whatever is current when it is seen."""
        self._versions += 1
        value = json.dumps({"verb": verb, "id": f"c{self._versions}"})
        scope = f"--namespace={self.stage.namespace}"
        self.stage.kubectl.run("annotate", "--overwrite", f"modeldeployment/{name}", scope, f"{annotation}={value}")

    def _steps(self) -> tuple[Manifest, ...]:
        held = [{"weight": weight, "hold": f"{self._random.randint(1, 5)}s"} for weight in (20, 60)]
        if self._random.random() < 0.3:
            held[0] = {"weight": 20, "approval": "Required"}
        return tuple(held)

    def _manifest(self, name: str) -> Manifest:
        wish = self._wishes[name]
        # What is kept of the past soon has its final size, so that memory which grows is memory that leaks.
        return self.stage.model(name, wish.version, *wish.steps, replicas=wish.replicas, revisionHistoryLimit=2)
