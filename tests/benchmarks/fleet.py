"""Many models on a played stage, and what the operator says of them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.operator_process import Operator
from modelway.kinds import Manifest
from played import stage
from played.stage import Stage

_PATIENCE_SECONDS = 900.0
_QUIET_LOOKS = 20
_PAUSE_SECONDS = 0.5
_PORTION = 100
"""Models that one call of kubectl applies."""
QUIET_PHASES = frozenset({"Healthy", "RolledBack", "Stalled", "Suspended"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Models named m0, m1, …"""

    stage: Stage

    def model(self, number: int, version: str, *steps: Manifest) -> Manifest:
        """One of them, with one pod."""
        return self.stage.model(f"m{number}", version, *steps, replicas=1)

    def apply(self, count: int, version: str, *steps: Manifest) -> None:
        """All of them, as fast as kubectl can."""
        wanted = [self.model(number, version, *steps) for number in range(count)]
        for first in range(0, count, _PORTION):
            self.stage.apply(*wanted[first : first + _PORTION])

    def birth(self, operator: Operator, count: int) -> None:
        """Create them, and wait until all serve."""
        operator.wait_until_leading()
        self.apply(count, "1")
        wait(lambda: operator.phases()["Healthy"] == count, f"{count} models serve")

    def until_quiet(self, operator: Operator) -> None:
        """Until every model was looked at, and nothing more is done for a while."""
        operator.wait_until_leading()
        seen: list[float] = []

        def is_quiet() -> bool:
            seen.append(operator.passes())
            models = operator.metric('modelway_cache_objects{kind="ModelDeployment"}')
            return seen[-1] >= models and len(seen) >= _QUIET_LOOKS and len(set(seen[-_QUIET_LOOKS:])) == 1

        wait(is_quiet, "nothing more is done")


def wait(is_so: Callable[[], bool], what: str, *, patience: float = _PATIENCE_SECONDS) -> None:
    """Look again and again; ends the program when it takes too long."""
    end = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"Not so after {patience:.0f} s: {what}")
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def fleet() -> Iterator[Fleet]:
    """An empty one; gone afterwards."""
    with stage.staged() as made:
        yield Fleet(stage=made)
