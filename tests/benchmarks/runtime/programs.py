"""The programs of the system that a benchmark needs."""

import shutil
from collections.abc import Mapping

from cluster import packages, shell


def require(programs: Mapping[str, str]) -> None:
    """Install the packages of programs, which are given by name, where these are missing."""
    missing = tuple(package for program, package in programs.items() if shutil.which(program) is None)
    if not missing:
        return
    try:
        packages.ensure(missing)
    except shell.ClusterError as failure:
        raise SystemExit(f"The benchmark needs {', '.join(missing)}. {failure}") from failure
