"""Where the test cluster keeps things: a cache that stays, and a state folder that `down` removes."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).resolve().parent


def cache() -> Path:
    """Built programs and images; survives `down`, may be deleted at any time."""
    return Path(os.environ.get("MODELWAY_CACHE") or Path.home() / ".cache" / "modelway").absolute()


def binaries() -> Path:
    return cache() / "bin"


def state() -> Path:
    """Everything that the one-node cluster writes."""
    return Path(os.environ.get("MODELWAY_CLUSTER_STATE") or "/var/lib/modelway-cluster").absolute()
