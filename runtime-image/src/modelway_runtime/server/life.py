"""A server's life: which start of the process this is, its phases, and the signal that ends it."""

import asyncio
import secrets
import signal
from enum import StrEnum
from time import monotonic


class Phase(StrEnum):
    """The sub-states that the operator shows."""

    LOADING = "Loading"
    WARMING = "Warming"
    VALIDATING = "Validating"
    READY = "Ready"
    DRAINING = "Draining"


class Run:
    """One start of the process. Counts begin at zero with each, so a reader must know which one it reads."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self._began = monotonic()

    def figures(self) -> dict[str, object]:
        """The first fields of every internal call that tells counts."""
        return {"run": self.name, "uptimeSeconds": round(monotonic() - self._began, 3)}


class Life:
    """Where a server is in its life."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.run = Run()


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
