"""The operator of a soak, and the kubelet that starts it again."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster.operator_process import Operator

_RESTART_SECONDS = 30.0
_SAMPLE_SECONDS = 5.0


@dataclass(slots=True)
class Keeper:
    """Ends the operator now and then, starts it when it has ended, and measures it."""

    kubeconfig: Path
    folder: Path
    until: float
    """Up to this moment it is ended now and then."""
    operator: Operator = field(init=False)
    restarts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    """Memory of the last process in MiB, every few seconds."""
    _due: float = 0.0
    _sampled: float = 0.0

    def __post_init__(self) -> None:
        self._start()

    def look(self) -> None:
        """Start what has ended, end what has lived long enough, and note the memory."""
        now = time.monotonic()
        if self.operator.process.poll() is not None:
            self._ended("by itself")
        elif now > self._due and now < self.until:
            number = signal.SIGKILL if self.restarts.total() % 2 else signal.SIGTERM
            self.operator.stop(number)
            self._ended(number.name)
        elif now > self._sampled + _SAMPLE_SECONDS:
            self.samples.append(self.operator.memory_mib())
            self._sampled = now

    def close(self) -> None:
        """End it for good, in order."""
        self.failures += _failures(self.operator)
        if (code := self.operator.stop()) != 0:
            self.failures.append(f"it ended with {code}")

    def end(self) -> None:
        """End it, whatever its state."""
        self.operator.end()

    def _start(self) -> None:
        self.operator = Operator(self.kubeconfig, self.folder, lease_namespace="default")
        self._due = time.monotonic() + _RESTART_SECONDS
        self.samples = []

    def _ended(self, how: str) -> None:
        self.restarts[how] += 1
        self.failures += _failures(self.operator)
        self.operator.log.unlink()
        self._start()


def _failures(operator: Operator) -> Iterator[str]:
    """What its log tells of that must not happen: anything with a stack trace."""
    for line in operator.log.read_text().splitlines():
        if '"exception"' in line:
            yield line[:2000]
