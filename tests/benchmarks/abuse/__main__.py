"""`make bench-abuse`: 10,000 idle connections, 200 slow callers and 100,000 malformed requests against one server.

Meanwhile predictions are asked all the time, and the memory is read. It must answer them, answer nobody with 5xx but
503, end slow callers by its own limits, live, and not grow.
"""

import argparse
import asyncio
import resource
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from benchmarks.abuse import crowd, fuzz, malformed
from benchmarks.abuse.crowd import Ended
from benchmarks.abuse.fuzz import Tally
from benchmarks.runtime import contenders, models, servers
from benchmarks.runtime.names import IRIS, OURS
from benchmarks.runtime.servers import Server

LIMIT_SECONDS = 10
"""The server's limit for a request, its head and its body each."""
_MARGIN_SECONDS = 3
_FLAGS = ("--request-timeout", f"{LIMIT_SECONDS}s", "--max-body-bytes", "4Mi")
_GROWTH = 1.05
_SPARE_FILES = 500
_PAUSE = 0.02
_ANSWERS = 100
"""How many right requests are asked while all idle connections are there."""


@dataclass(slots=True)
class Good:
    """Right requests that are asked all the time: milliseconds of each answer, and what else came."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0
    failed: list[str] = field(default_factory=list)

    async def more(self, count: int) -> None:
        """Waits until so many more came to an end, one way or the other."""
        wanted = self._ended + count
        while self._ended < wanted:
            await asyncio.sleep(_PAUSE)

    @property
    def _ended(self) -> int:
        return len(self.milliseconds) + self.refused + len(self.failed)


def main() -> int:
    """Prints the figures; 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(prog="make bench-abuse", description=__doc__)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--malformed", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    idle = min(arguments.idle, _files() - _SPARE_FILES)
    if idle < arguments.idle:
        print(f"Only {idle} idle connections: a process may have no more files open here")
    models.folder()
    with contenders.modelway(OURS, IRIS, *_FLAGS).start() as server:
        wrong = asyncio.run(_all(server, idle, arguments.slow, arguments.malformed, Random(arguments.seed)))
        if server.process.poll() is not None:
            wrong.append(f"the server ended with {server.process.returncode}")
    for line in wrong:
        print("WRONG:", line)
    print("All is as it must be" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


def _files() -> int:
    """How many files a process may open, raised as far as it may be; the server inherits it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


async def _all(server: Server, idle: int, slow: int, malformed_count: int, random: Random) -> list[str]:
    wrong: list[str] = []
    print(f"before: {servers.pss_mb(server.pid):.1f} MB (PSS)")
    async with _asking(server, "idle connections", wrong) as good:
        await _idle(server, idle, good)
    async with _asking(server, "slow callers", wrong):
        wrong += await _slow(server, slow)
    async with _asking(server, "malformed requests", wrong):
        wrong += await _malformed(server, malformed_count, random)
    return wrong


async def _idle(server: Server, count: int, good: Good) -> None:
    began = time.monotonic()
    opened = await crowd.idle(server.port, count)
    held = servers.pss_mb(server.pid)
    print(f"{count:,} idle connections after {time.monotonic() - began:.1f} s: {held:.1f} MB")
    await good.more(_ANSWERS)
    await crowd.close(opened)
    print(f"after they went: {servers.pss_mb(server.pid):.1f} MB")


async def _slow(server: Server, count: int) -> list[str]:
    """Half of them with the head, half with the body."""
    limit = LIMIT_SECONDS + _MARGIN_SECONDS
    callers = [crowd.slow(server.port, in_body=bool(number % 2), limit=limit) for number in range(count)]
    ended = await asyncio.gather(*callers)
    wrong: list[str] = []
    for what, found in (("head", ended[0::2]), ("body", ended[1::2])):
        print(f"{len(found)} callers with a byte of the {what} a second: {_described(found)}")
        if any(one.seconds > limit for one in found):
            wrong.append(f"a caller that sends the {what} a byte a second was not ended within {limit} s")
    return wrong


def _described(found: list[Ended]) -> str:
    statuses = sorted({one.status for one in found})
    seconds = statistics.median(one.seconds for one in found)
    return f"answered {', '.join(map(str, statuses))} after {seconds:.1f} s (median)"


async def _malformed(server: Server, count: int, random: Random) -> list[str]:
    tally, cases, memory, began = Tally(), malformed.cases(random), [], time.monotonic()
    for _ in range(2):
        await fuzz.send(server.port, cases, count // 2, tally)
        memory.append(servers.pss_mb(server.pid))
        print(f"{count // 2:,} malformed requests after {time.monotonic() - began:.0f} s: {memory[-1]:.1f} MB")
    for kind, outcomes in sorted(tally.outcomes.items()):
        print(f"  {kind:32} {', '.join(f'{what}: {times}' for what, times in sorted(outcomes.items()))}")
    wrong = [f"{kind}: {outcome}" for kind, outcome in tally.bad()]
    if memory[1] > memory[0] * _GROWTH:
        wrong.append(f"memory grew from {memory[0]:.1f} to {memory[1]:.1f} MB in the second half")
    return wrong


@asynccontextmanager
async def _asking(server: Server, during: str, wrong: list[str]) -> AsyncIterator[Good]:
    """Right requests meanwhile, each over a new connection."""
    good = Good()
    asking = asyncio.ensure_future(_ask(server.port, good))
    try:
        yield good
    finally:
        asking.cancel()
    figures = sorted(good.milliseconds) or [float("nan")]
    p99 = figures[int(0.99 * (len(figures) - 1))]
    print(
        f"meanwhile {len(good.milliseconds):,} right requests were answered, p50 {statistics.median(figures):.1f} ms, "
        f"p99 {p99:.1f} ms, {good.refused} were refused with 503, {len(good.failed)} failed"
    )
    wrong += [f"a right request during {during}: {failure}" for failure in good.failed[:5]]
    if not good.milliseconds:
        wrong.append(f"no right request was answered during {during}")


async def _ask(port: int, good: Good) -> None:
    case = malformed.Case("right", malformed.good())
    while True:
        began = time.perf_counter()
        outcome = await fuzz.outcome(port, case)
        if outcome == "200":
            good.milliseconds.append((time.perf_counter() - began) * 1e3)
        elif outcome == "503":
            good.refused += 1
        else:
            good.failed.append(outcome)
        await asyncio.sleep(_PAUSE)


if __name__ == "__main__":
    # The servers end with this process, also where it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
