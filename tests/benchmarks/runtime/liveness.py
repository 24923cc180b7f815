"""P7: how soon a server says that it lives while its model is busy on the only core that it has."""

import http.client
import subprocess
import time

from benchmarks.runtime.contenders import Contender
from benchmarks.runtime.figures import Cell, percentile
from benchmarks.runtime.load import load_command
from benchmarks.runtime.names import JSON, SLOW
from benchmarks.runtime.servers import Server

CALLERS = 8
_PAUSE = 0.01
_BUSY_AFTER = 0.5


def p99_ms(server: Server, contender: Contender, seconds: float) -> float:
    """Of `/v2/health/live`, asked in turn over one connection, while eight callers wait for the slow model."""
    cell = Cell(contender.label, SLOW, JSON, CALLERS)
    load = subprocess.Popen(load_command(server, contender, cell, seconds + 2 * _BUSY_AFTER), stdout=subprocess.DEVNULL)
    try:
        time.sleep(_BUSY_AFTER)
        return percentile(_asked(server.port, seconds), 0.99)
    finally:
        load.wait(60)


def _asked(port: int, seconds: float) -> list[float]:
    """Milliseconds of each answer."""
    taken: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    end = time.monotonic() + seconds
    while not taken or time.monotonic() < end:
        began = time.perf_counter()
        connection.request("GET", "/v2/health/live")
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - began) * 1e3)
        if answer.status != http.client.OK:
            taken[-1] = float("inf")
        time.sleep(_PAUSE)
    connection.close()
    return taken
