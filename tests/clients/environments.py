"""The clients' environments: made from their locks when those change, and kept outside the checkout."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCKS = {
    "triton": HERE / "environments/triton.txt",
    "kserve": HERE / "environments/kserve.txt",
    "web": HERE / "environments/web.txt",
    "mlserver": HERE.parent / "benchmarks/mlserver.txt",
}


def python(name: str) -> Path:
    """The interpreter of an environment."""
    lock = LOCKS[name]
    place = _cache() / ("bench" if name == "mlserver" else "clients") / name
    made = place / "lock.sha256"
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not made.exists() or made.read_text() != stamp:
        print("Installing", lock.name, "into", place, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
        made.write_text(stamp)
    return place / "bin/python"


def _cache() -> Path:
    """The folder of all that is fetched for tests and benchmarks."""
    return Path(os.environ.get("MODELWAY_CACHE") or Path.home() / ".cache" / "modelway").absolute()
