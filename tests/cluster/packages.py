"""Debian packages that the cluster needs; on a terminal the person is asked before anything is installed."""

import os
import shutil
import subprocess
import sys

from cluster import progress, shell


def missing(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Packages that dpkg does not have installed."""
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        text=True,
        capture_output=True,
        check=False,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return tuple(name for name in wanted if name not in installed)


def ensure(wanted: tuple[str, ...]) -> None:
    """Install what is missing, after a question on a terminal unless YES=1; silent when all is there."""
    if shutil.which("dpkg-query") is None:
        raise shell.ClusterError(
            "The one-node cluster needs Debian's packages: use CONTEXT=NAME, or install Docker and kind"
        )
    names = missing(wanted)
    if not names:
        return
    if os.geteuid() != 0:
        raise shell.ClusterError(f"These packages are missing; install them as root: {' '.join(names)}")
    if not _is_agreed(names):
        raise shell.ClusterError("Nothing was installed")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step("install", " ".join(names)):
        shell.run(["apt-get", "update", "-q"], environment=environment)
        shell.run(install, environment=environment)


def _is_agreed(names: tuple[str, ...]) -> bool:
    if os.environ.get("YES") == "1" or not sys.stdin.isatty():
        return True
    return input(f"Install with apt-get: {' '.join(names)} ? [y/N] ").strip().lower() in ("y", "yes")
