"""The peers' own environments: made from their locks when these change, and kept outside the checkout."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.runtime.servers import cache

LOCKS = Path(__file__).resolve().parents[1]


class NotInstalled(Exception):
    """The environment could not be made; says what pip said last."""


def program(peer: str, name: str) -> str:
    """A program of a peer's environment."""
    return str(environment(peer) / "bin" / name)


def environment(peer: str) -> Path:
    """The folder of a peer's environment, made if need be."""
    lock, place = _lock(peer), cache() / peer
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    made = place / "lock.sha256"
    if made.exists() and made.read_text() == stamp:
        return place
    print(f"Installing {peer} into {place}", flush=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, text=True)
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as failure:
        raise NotInstalled((failure.stderr.strip() or "pip failed").splitlines()[-1][:200]) from failure
    made.write_text(stamp)
    return place


def version(peer: str, distribution: str) -> str:
    """A version as the lock has it."""
    found = re.search(rf"^{re.escape(distribution)}==(\S+)", _lock(peer).read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{distribution} is not in {_lock(peer).name}")
    return found[1]


def _lock(peer: str) -> Path:
    return LOCKS / f"{peer}.txt"
