"""Requests with a value each, counted by the runtime's own code as the operator's own code asks it to."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

import numpy as np

from modelway.analysis.figures import Divided
from modelway.analysis.inquiry import Division
from modelway.providers import divided
from modelway_runtime.server import groups, question
from simulation.scripts import Script

_TIMEOUT_SECONDS = 30.0


class Process:
    """What one process counts by group; time is what the simulation's clock says."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._groups = groups.Groups(request_timeout=_TIMEOUT_SECONDS)
        self._waiting: dict[str, float] = {}
        """What is left of a whole request, and of a whole error, by value."""
        self._answered: Counter[str] = Counter()

    def send(self, value: str, script: Script, amount: float, since: datetime, until: datetime) -> tuple[int, int]:
        """So many requests with a value, evenly over the time; how many whole ones came and how many of them failed."""
        requests = self._whole(value, amount)
        failed = self._whole(f"errors of {value}", requests * script.errors_of.get(value, script.errors))
        for number in range(requests):
            now = since + (until - since) * (number + 1) / requests
            is_error = number * failed // requests < (number + 1) * failed // requests
            self._count(value, now.timestamp(), None if is_error else script)
        return requests, failed

    def _whole(self, what: str, amount: float) -> int:
        amount += self._waiting.get(what, 0.5)
        self._waiting[what] = amount - int(amount)
        return int(amount)

    def _count(self, value: str, now: float, script: Script | None) -> None:
        """None: the request fails."""
        if self._groups.unread is None:
            return
        inputs = {"language": np.array([[value]], dtype=np.object_)}
        if script is None:
            self._groups.failed(inputs, now)
            return
        self._answered[value] += 1
        self._groups.answered(inputs, script.duration(self._answered[value]), now)

    def asked(self, division: Division, known: tuple[str, int] | None, now: datetime) -> Divided | None:
        """Its answer to the operator's question."""
        asked = question.parsed(urlencode(divided.question(division, known)).encode())
        assert asked is not None
        return divided.parsed(self._groups.figures(asked, self._run, now.timestamp()), division)


Shares = Mapping[str, float]
"""Of the requests, by value."""
