"""Tells in the log what happens in the cluster beside the operator: pods that become ready, the gateway's division."""

from typing import TYPE_CHECKING

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation.selectors import is_ready, labels, revision

if TYPE_CHECKING:
    from simulation.world import World


class Narrator:
    """Compares what there is with what it told last."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._ready: dict[str, tuple[int, int]] = {}
        self._shares: dict[str, dict[str, int]] = {}

    def tell(self) -> None:
        """What changed since the last time."""
        self._tell_pods()
        for key, history in self._world.gateway.history.items():
            if history[-1][1] != self._shares.get(key):
                self._shares[key] = history[-1][1]
                shares = " ".join(f"{name}={weight}" for name, weight in history[-1][1].items())
                does = "previews" if key.endswith("-preview") else "divides"
                self._world.say(f"         the gateway {does} {shares or 'nothing'}")

    def _tell_pods(self) -> None:
        found: dict[str, list[Manifest]] = {}
        for pod in self._world.store.all(kinds.POD):
            if "deletionTimestamp" not in pod["metadata"] and names.MODEL_LABEL in labels(pod):
                name = names.revision(labels(pod)[names.MODEL_LABEL], revision(pod))
                found.setdefault(name, []).append(pod)
        for name in sorted(found.keys() | self._ready.keys()):
            pods = found.get(name, [])
            counts = sum(map(is_ready, pods)), len(pods)
            if counts != self._ready.get(name, (0, 0)):
                self._world.say(f"         {name} has {counts[0]} of {counts[1]} pods ready")
            self._ready[name] = counts
