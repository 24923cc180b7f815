"""The operator of this checkout as a process on this machine, outside of any cluster."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0
_REQUESTS = re.compile(
    r'^modelway_api_requests_total\{code="[^"]*",kind="([^"]*)",verb="([^"]*)"\} (\S+)$', re.MULTILINE
)
_PHASES = re.compile(r'^modelway_phase\{[^}]*phase="([^"]*)"\} 1.0$', re.MULTILINE)
_READS = ("get", "list", "discover", "watch")


class OperatorError(Exception):
    """It ended, or did not come to something in time."""


class Operator:
    """One process; its log is a file in the folder."""

    def __init__(self, kubeconfig: Path, folder: Path, **settings: str) -> None:
        """`settings`: MODELWAY_ variables, without the prefix and in small letters."""
        self.port = free_port()
        self.log = folder / f"operator-{self.port}.log"
        named = {"runtime_image": "example.com/runtime", "http_port": str(self.port), **settings}
        variables = {f"MODELWAY_{name.upper()}": value for name, value in named.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelway"],
                env={**os.environ, "KUBECONFIG": str(kubeconfig), **variables},
                stdout=log,
                stderr=log,
            )

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as failure:
            with failure:
                return failure.code, failure.read().decode()
        except OSError:
            return 0, ""

    def metric(self, sample: str) -> float:
        """A sample such as `modelway_leader`; 0 when there is none."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == sample), 0.0)

    def requests(self) -> Counter[str]:
        """Requests to the API server since its start, by verb and kind."""
        found: Counter[str] = Counter()
        for kind, verb, count in _REQUESTS.findall(self.get("/metrics")[1]):
            found[f"{verb} {kind}"] += int(float(count))
        return found

    def writes(self) -> Counter[str]:
        """Of these, the writes about models: neither its lease nor questions about its own rights."""
        found = self.requests()
        return Counter({what: count for what, count in found.items() if _is_write(*what.split())})

    def phases(self) -> Counter[str]:
        """How many models are in which phase."""
        found = _PHASES.findall(self.get("/metrics")[1])
        return Counter(phase for phase in found)

    def passes(self) -> float:
        """Reconciliations since its start that came to their end."""
        return self.metric('modelway_reconciles_total{result="done"}')

    def memory_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        """User and system time since its start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_leading(self) -> bool:
        """Whether it may write now."""
        return self.metric("modelway_leader") == 1

    def wait_until_leading(self) -> "Operator":
        """Raises OperatorError with the log when it ends instead, or takes too long."""
        end = time.monotonic() + PATIENCE
        while not self.is_leading():
            if self.process.poll() is not None or time.monotonic() > end:
                raise OperatorError(f"The operator does not lead:\n{self.log.read_text()}")
            time.sleep(0.1)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self) -> None:
        """Whatever state it is in, also a stopped one."""
        self.process.kill()
        self.process.wait()


def _is_write(verb: str, kind: str) -> bool:
    return verb not in _READS and kind not in ("Lease", "SelfSubjectAccessReview")


@contextmanager
def running(kubeconfig: Path, folder: Path, **settings: str) -> Iterator[Operator]:
    """An operator that is gone afterwards."""
    operator = Operator(kubeconfig, folder, **settings)
    try:
        yield operator
    finally:
        operator.end()


def free_port() -> int:
    """A port that nobody listens on, at this moment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])
