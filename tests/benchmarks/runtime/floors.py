"""`python -m benchmarks.runtime.floors MODEL SECONDS`: calls a second of onnxruntime in a process with nothing else."""

import subprocess
import sys
import time

import numpy as np

from benchmarks.runtime import models
from benchmarks.runtime.servers import SERVER_CPU


def measured(model: str, seconds: float) -> float:
    """On the servers' core."""
    command = ["taskset", "--cpu-list", str(SERVER_CPU), sys.executable, "-m", "benchmarks.runtime.floors"]
    done = subprocess.run([*command, model, str(seconds)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def _main(model: str, seconds: float) -> None:
    session = models.session(model)
    feeds = {"X": np.array([models.row(model)], dtype=np.float32)}
    session.run(None, feeds)
    calls, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        session.run(None, feeds)
        calls += 1
    print(calls / (now - began))


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]))
