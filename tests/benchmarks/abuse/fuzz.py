"""Sends malformed requests over many connections and counts what comes back."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.abuse.crowd import HOST, status
from benchmarks.abuse.malformed import Case

CONNECTIONS = 16
_PATIENCE = 20.0
"""Longer than the server's own limit for a request."""
_LAST = 0.05
CLOSED, HUNG, LEFT = "closed without an answer", "no answer in time", "left by the caller"


@dataclass(slots=True)
class Tally:
    """Outcomes by kind of request: a status, or what became of it in words."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, case: Case, outcome: str) -> None:
        """One more."""
        self.outcomes.setdefault(case.kind, Counter())[outcome] += 1

    def bad(self) -> list[tuple[str, str]]:
        """Kinds and outcomes that must not be: answers of 5xx, but for 503, and none in time."""
        return [
            (kind, outcome)
            for kind, counts in self.outcomes.items()
            for outcome in counts
            if outcome == HUNG or (outcome.startswith("5") and outcome != "503")
        ]


async def send(port: int, cases: Iterator[Case], count: int, tally: Tally) -> None:
    """So many of the cases."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            case = next(cases)
            tally.add(case, await outcome(port, case))

    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))


async def outcome(port: int, case: Case) -> str:
    """Of one request over a connection of its own, since a broken one may take the next with it."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(case.content)
        if case.is_half:
            return await _glimpse(reader)
        return await asyncio.wait_for(_answer(reader), _PATIENCE)
    except TimeoutError:
        return HUNG
    except ConnectionError:
        return CLOSED
    finally:
        writer.transport.abort()


async def _glimpse(reader: asyncio.StreamReader) -> str:
    """What is answered at once, before the caller goes."""
    try:
        return await asyncio.wait_for(_answer(reader), _LAST)
    except TimeoutError:
        return LEFT


async def _answer(reader: asyncio.StreamReader) -> str:
    content = await reader.read(4096)
    return str(status(content)) if content else CLOSED
