"""The command line: `modelway …`, also the kubectl plug-in `kubectl modelway …`."""

from modelway.cli.program import main

__all__ = ["main"]
