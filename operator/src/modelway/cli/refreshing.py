"""Refreshes many objects, a few at a time: asks, follows their rollouts, and stops where one fails."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelway.api import durations
from modelway.cli import commands, fleet, outcomes
from modelway.cli.arguments import Arguments
from modelway.cli.client import Client
from modelway.cli.commands import Caller, Command, Verb
from modelway.cli.exits import Exit, Failure
from modelway.cli.fleet import Line, Result
from modelway.cli.objects import Model

Place = tuple[str, str]
"""Namespace and name of an object."""


@dataclass(slots=True)
class _Member:
    """An object whose refresh is under way."""

    place: Place
    rollout: int
    end: float
    command: Command | None
    """None where an earlier call asked for it."""
    shown: str = ""


class Refreshing:
    """One call. `caller` names who asks, under a new id each time; `say` takes a line of progress."""

    def __init__(
        self, client: Client, found: Arguments, *, caller: Callable[[], Caller], say: Callable[[str], None]
    ) -> None:
        self._client, self._found, self._caller, self._say = client, found, caller, say
        self._waiting: deque[Place] = deque()
        self._under_way: list[_Member] = []
        self._away_since: float | None = None
        self.lines: list[Line] = []

    def choose(self) -> None:
        """The objects that were named, or all of them; those that need nothing have their line at once."""
        if not self._found.is_all:
            self._waiting.extend(dict.fromkeys((self._client.namespace, name) for name in self._found.names))
            return
        for item in self._client.list(everywhere=self._found.is_everywhere):
            model = Model.parse(item)
            found = fleet.hindrance(model)
            if found and found.result in (Result.CURRENT, Result.SKIPPED):
                self.lines.append(found)
            else:
                self._waiting.append((model.namespace, model.name))

    def run(self, looks: Iterable[None]) -> None:
        """Until all is done or, without --wait, asked for; one round over everything for each of `looks`."""
        for _ in looks:
            self._under_way = [member for member in self._under_way if not self._is_over(member)]
            self._ask_more()
            is_all_asked = not self._waiting or self._is_stopped
            if is_all_asked and not (self._under_way and self._found.is_wait):
                return

    def leave(self) -> None:
        """Say of everything that is not over where it stands. Nothing is taken back."""
        self.lines += [_line(member.place, Result.ASKED, member.shown) for member in self._under_way]
        self.lines += [_line(place, Result.UNTRIED, "") for place in self._waiting]
        self._under_way.clear()
        self._waiting.clear()

    @property
    def code(self) -> Exit:
        """How the call ends."""
        results = {line.result for line in self.lines}
        if Result.LATE in results:
            return Exit.TIMEOUT
        return Exit.REFUSED if results & set(fleet.UNDONE) else Exit.DONE

    @property
    def _is_stopped(self) -> bool:
        return not self._found.is_keep_going and any(line.result in fleet.BROKEN for line in self.lines)

    def _ask_more(self) -> None:
        """As many as may be under way together. An API server that is away may be restarting."""
        while self._waiting and len(self._under_way) < self._found.max_parallel and not self._is_stopped:
            place = self._waiting.popleft()
            try:
                self._ask(place)
            except Failure as failure:
                if failure.code is not Exit.UNREACHABLE:
                    self.lines.append(_line(place, Result.FAILED, failure.message))
                    continue
                self._waiting.appendleft(place)
                self._be_patient(failure)
                return
            self._away_since = None

    def _be_patient(self, failure: Failure) -> None:
        """Raises where nothing has been done yet, or nobody answers for as long as one rollout may take."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        is_first = not (self.lines or self._under_way)
        if is_first or now - self._away_since > self._found.timeout.total_seconds():
            raise failure

    def _ask(self, place: Place) -> None:
        namespace, name = place
        model = Model.parse(self._client.get(name, namespace))
        hindrance = fleet.hindrance(model)
        if hindrance:
            self.lines.append(hindrance)
        elif model.active:
            self._follow(place, model.active.id or 0, None, f"follows rollout {model.active.id}, asked for before")
        else:
            command = commands.make(Verb.REFRESH, model, self._caller())
            is_dry_run = self._found.is_dry_run
            self._client.annotate(name, command.annotation, command.value, dry_run=is_dry_run, namespace=namespace)
            if is_dry_run:
                self.lines.append(_line(place, Result.WOULD, ""))
            else:
                self._follow(place, command.rollout + 1, command, "asked for refresh")

    def _follow(self, place: Place, rollout: int, command: Command | None, message: str) -> None:
        if self._found.is_dry_run:
            self.lines.append(_line(place, Result.ASKED, message))
            return
        end = time.monotonic() + self._found.timeout.total_seconds()
        member = _Member(place=place, rollout=rollout, end=end, command=command)
        self._under_way.append(member)
        self._show(member, message)

    def _is_over(self, member: _Member) -> bool:
        """Whether the rollout has come to an end, or takes too long; then it has its line."""
        namespace, name = member.place
        try:
            model = Model.parse(self._client.get(name, namespace))
        except Failure as failure:
            if failure.code is not Exit.UNREACHABLE:
                self.lines.append(_line(member.place, Result.FAILED, failure.message))
                return True
            self._show(member, f"{failure.message}; asks again")
            return self._is_late(member)
        command = member.command
        verdict = outcomes.judge(command, model) if command else outcomes.follow(member.rollout, model)
        if verdict.is_done:
            said = verdict.message
            found = fleet.refreshed(model, said) if verdict.is_good else fleet.missed(model, said, member.rollout)
            self._show(member, f"{found.result}: {found.message}")
            self.lines.append(found)
            return True
        self._show(member, verdict.message)
        return self._is_late(member)

    def _is_late(self, member: _Member) -> bool:
        if time.monotonic() < member.end:
            return False
        message = f"not over after {durations.format(self._found.timeout)}, and goes on: {member.shown}"
        self.lines.append(_line(member.place, Result.LATE, message))
        return True

    def _show(self, member: _Member, message: str) -> None:
        """Each change once."""
        if message != member.shown:
            namespace, name = member.place
            self._say(f"{f'{namespace}/{name}' if self._found.is_everywhere else name}: {message}")
            member.shown = message


def _line(place: Place, result: Result, message: str) -> Line:
    return Line(namespace=place[0], name=place[1], result=result, message=message)
