"""Lets the operator die at every write of one scenario: the test process forks there, and the copy dies.

So each death costs only the rest of the scenario, and the copies run on all cores.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from simulation.server import Write
from simulation.world import World

Scenario = Callable[[World], None]
Judge = Callable[[World], str]
"""What is wrong with a world at the end of the scenario, "" for nothing."""


def at_writes(
    world: World, scenario: Scenario, strike: Callable[[World, Write], None], judge: Judge, *, every: int = 1
) -> list[str]:
    """Play the scenario once for every n-th of its writes, with something bad done at it; what was wrong then."""
    begun = len(world.server.writes)
    with tempfile.TemporaryDirectory() as folder:
        forks = _Forks(world, Path(folder), strike, every)
        world.server.observers.append(forks.observe)
        try:
            scenario(world)
            verdict = judge(world)
        except BaseException as error:
            if not forks.struck:
                raise
            verdict = f"{type(error).__name__}: {error}"
        forks.leave(verdict)
        forks.wait(0)
        found = [path.read_text(encoding="utf-8") for path in sorted(Path(folder).iterdir())]
    assert len(found) >= (len(world.server.writes) - begun) // every
    return [text for text in found if text]


class _Forks:
    def __init__(self, world: World, folder: Path, strike: Callable[[World, Write], None], every: int) -> None:
        self._every = every
        self._world = world
        self._folder = folder
        self._strike = strike
        self._running = 0
        self.struck = 0
        """Number of the write at which this copy was struck; 0 in the first process."""

    def observe(self, write: Write) -> None:
        """Fork at each write of the first process."""
        if self.struck or write.number % self._every:
            return
        self.wait(max(1, (os.cpu_count() or 1)) - 1)
        if os.fork():
            self._running += 1
            return
        self.struck = write.number
        self._strike(self._world, write)

    def leave(self, verdict: str) -> None:
        """In a copy: tell the verdict and end."""
        if self.struck:
            (self._folder / f"{self.struck:05}").write_text(verdict, encoding="utf-8")
            os._exit(0)

    def wait(self, most: int) -> None:
        """Until no more copies than that run."""
        while self._running > most:
            os.wait()
            self._running -= 1
