"""Running a command to its end; a failure carries what the command printed."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ClusterError(Exception):
    """Something that the person at the keyboard has to know, in one sentence."""


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return standard output; raise ClusterError with the last lines printed when the command fails."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise ClusterError(f"`{' '.join(map(str, command[:4]))} …` ended with {done.returncode}:\n{said}")
    return done.stdout
