"""P8: what callers notice when the server is told to end, and when a process that runs its model is killed."""

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.runtime import contenders, servers
from benchmarks.runtime.contenders import Contender
from benchmarks.runtime.names import IRIS, OURS
from benchmarks.runtime.servers import Server

DRAIN_SECONDS = 3
_PERIOD = 0.02
_CALLERS = 4
_WATCHED_SECONDS = 5.0
_EDGE = 0.1
"""A request that begins so shortly before the drain is over may meet its end."""


@dataclass(slots=True)
class Seen:
    """Requests: when each began, and its status, 0 where no answer came."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    is_over: bool = False


def drained() -> tuple[int, int]:
    """Requests that failed within the drain, over new connections, fifty a second; and the exit status."""
    contender = contenders.modelway(OURS, IRIS, "--drain", f"{DRAIN_SECONDS}s")
    with contender.start() as server, _asking(server, contender, callers=1, period=_PERIOD) as seen:
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        ended = time.monotonic() + DRAIN_SECONDS - _EDGE
        status = server.process.wait(DRAIN_SECONDS + 30)
    return sum(code != http.client.OK for began, code in seen.answers if began < ended), status


def has_workers() -> bool:
    """Whether `serve` can run the model in processes of its own."""
    done = subprocess.run([contenders.runtime_program(), "serve", "--help"], check=True, capture_output=True, text=True)
    return "--workers" in done.stdout


def killed() -> tuple[float, int]:
    """Seconds from `kill -9` of the worker to the first 503 or `ready` that is not; and requests without an answer."""
    contender = contenders.modelway(OURS, IRIS, "--workers", "1")
    with contender.start() as server, _asking(server, contender, callers=_CALLERS, period=0.0) as seen:
        time.sleep(0.5)
        worker = max(servers.tree(server.pid) - {server.pid}, key=servers.pss_mb)
        os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        unready = _until_unready(server, seen, began)
        time.sleep(1)
    return unready, sum(code == 0 for _, code in seen.answers)


def _until_unready(server: Server, seen: Seen, began: float) -> float:
    while (now := time.monotonic()) < began + _WATCHED_SECONDS:
        refused = any(at >= began - 1 and code == http.client.SERVICE_UNAVAILABLE for at, code in seen.answers)
        if refused or _status(server.port, "GET", f"/v2/models/{IRIS}/ready", b"") != http.client.OK:
            return now - began
        time.sleep(0.002)
    return _WATCHED_SECONDS


@contextmanager
def _asking(server: Server, contender: Contender, *, callers: int, period: float) -> Iterator[Seen]:
    """Callers that ask for predictions, each over a new connection every time."""
    seen, body, path = Seen(), contender.body(IRIS).encode(), contender.path.format(model=IRIS)

    def ask() -> None:
        while not seen.is_over:
            began = time.monotonic()
            seen.answers.append((began, _status(server.port, "POST", path, body)))
            time.sleep(max(0.0, began + period - time.monotonic()))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.is_over = True
        for thread in threads:
            thread.join(35)


def _status(port: int, method: str, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
