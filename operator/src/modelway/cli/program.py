"""The entry point of `modelway` and `kubectl-modelway`: parse, ask, show, end with an exit code."""

import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from modelway.api import durations
from modelway.cli import advice, arguments, commands, fleet, history, outcomes, view
from modelway.cli.arguments import Arguments
from modelway.cli.client import Client
from modelway.cli.commands import Caller, Command
from modelway.cli.exits import Exit, Failure
from modelway.cli.objects import Model
from modelway.cli.outcomes import Verdict
from modelway.cli.paint import Paint
from modelway.cli.refreshing import Refreshing

_PLUGIN = "kubectl-modelway"
_PAUSE_SECONDS = 1
"""Between two looks. It asks and does not watch: the view counts down and outlives API server restarts."""


def main() -> int:
    """Run one command. The return value is the exit code."""
    program = "kubectl modelway" if Path(sys.argv[0]).name == _PLUGIN else "modelway"
    return run(program, sys.argv[1:])


def run(program: str, words: list[str]) -> int:
    """Run one command of that program."""
    found = arguments.parse(program, words)
    try:
        client = Client(found.access)
        code = _RUN.get(found.command, _command)(client, found)
        sys.stdout.flush()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has read enough; what Python would still write at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.NOBODY_READS
    return code


def _paint() -> Paint:
    return Paint(sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def _status(client: Client, found: Arguments) -> int:
    if not found.is_watch:
        print(_shown(client, found), end="")
        return Exit.DONE
    shown = ""
    for _ in _looks(None):
        text = _shown_again(client, found, shown)
        if sys.stdout.isatty():
            print(f"\x1b[H\x1b[J{text}", end="", flush=True)
        elif text != shown:
            print(text, flush=True)
        shown = text
    return Exit.DONE


def _shown(client: Client, found: Arguments) -> str:
    """One object as a page, or all of them as a table."""
    if found.name is None:
        models = [Model.parse(item) for item in client.list(everywhere=found.is_everywhere)]
        return _json([_plain(model) for model in models]) if (found.output == "json") else view.table(models, _paint())
    model = Model.parse(client.get(found.name))
    return _json(_plain(model)) if (found.output == "json") else view.page(model, datetime.now(UTC), _paint())


def _shown_again(client: Client, found: Arguments, before: str) -> str:
    """The present view; while the API server is away a note in place of it, once there has been one."""
    try:
        return _shown(client, found)
    except Failure as failure:
        if not before or failure.code is not Exit.UNREACHABLE:
            raise
        return before if (found.output == "json") else f"{failure.message}; asks again\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _plain(model: Model) -> dict[str, object]:
    """What `-o json` gives for one object; fields are only ever added."""
    return {
        "namespace": model.namespace,
        "name": model.name,
        "generation": model.generation,
        "nextStep": advice.next_step(model),
        "status": model.manifest.get("status") or {},
    }


def _history(client: Client, found: Arguments) -> int:
    """Rollouts and revisions, or one of either."""
    model = Model.parse(client.get(found.name or ""))
    if found.rollout is not None:
        data = history.rollout(model, found.rollout, client.records(model.name, found.rollout))
        text = history.rollout_page(model, data, _paint())
    elif found.revision is not None:
        data = history.revision(model, client.revisions(model.name), found.revision)
        text = history.revision_page(model, data, _paint())
    else:
        status = model.manifest.get("status") or {}
        data = {key: status.get(key, []) for key in ("history", "revisions")}
        text = history.page(model, _paint(), found.output)
    forms = {"json": lambda: _json(data), "yaml": lambda: yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}
    print(forms[found.output]() if found.output in forms else text, end="")
    return Exit.DONE


def _refresh(client: Client, found: Arguments) -> int:
    """Of one object or of many; what came of it is told at the end, also where the call is broken off."""
    by = client.caller()
    refreshing = Refreshing(client, found, caller=lambda: _caller(by), say=lambda line: print(line, flush=True))
    refreshing.choose()
    try:
        refreshing.run(_looks(None))
    finally:
        refreshing.leave()
        print(fleet.table(refreshing.lines, _paint()), end="", flush=True)
    return refreshing.code


def _caller(by: str) -> Caller:
    return Caller(id=secrets.token_hex(4), by=by, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _command(client: Client, found: Arguments) -> int:
    assert found.verb is not None
    model = Model.parse(client.get(found.name or ""))
    command = commands.make(found.verb, model, _caller(client.caller()), to_revision=found.to_revision)
    client.annotate(model.name, command.annotation, command.value, dry_run=found.is_dry_run)
    if found.is_dry_run:
        print(f"{model.name}: would write {command.annotation}={command.value}")
        return Exit.DONE
    print(f"{model.name}: asked for {command.verb} of rollout {command.rollout}")
    return _follow(client, command, model.name, found.timeout) if found.is_wait else Exit.DONE


def _follow(client: Client, command: Command, name: str, timeout: timedelta) -> int:
    """Wait for the command's effect and show each change on the way."""
    shown, is_sure = "", False
    for _ in _looks(timeout):
        verdict = _judged(client, command, name)
        if verdict.message != shown and (is_sure or not verdict.is_overtaken):
            print(f"{name}: {verdict.message}", flush=True)
            shown = verdict.message
        if verdict.is_overtaken:
            if is_sure:
                return Exit.OVERTAKEN
            is_sure = True  # The operator may have read it just before, and not yet said so.
            continue
        if verdict.is_done:
            return Exit.DONE if verdict.is_good else Exit.REFUSED
    raise Failure(
        f"{command.verb} of {name} had no effect within {durations.format(timeout)}",
        advice=f"It stays in force. See `kubectl modelway status {name} -n {client.namespace}`.",
        code=Exit.TIMEOUT,
    )


def _judged(client: Client, command: Command, name: str) -> Verdict:
    """Where the command is; an API server that is away may be restarting."""
    try:
        return outcomes.judge(command, Model.parse(client.get(name)))
    except Failure as failure:
        if failure.code is not Exit.UNREACHABLE:
            raise
        return Verdict(is_done=False, is_good=False, message=f"{failure.message}; asks again")


def _looks(limit: timedelta | None) -> Iterator[None]:
    """One look now and one after each pause, until the time is over."""
    end = None if limit is None else time.monotonic() + limit.total_seconds()
    while True:
        yield
        if end is not None and time.monotonic() >= end:
            return
        time.sleep(_PAUSE_SECONDS)


_RUN = {"status": _status, "history": _history, "refresh": _refresh}
