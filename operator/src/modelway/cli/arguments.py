"""The command line's own language: its commands, flags and help."""

import argparse
import re
from dataclasses import dataclass, field
from datetime import timedelta

from modelway import __version__
from modelway.api import durations
from modelway.cli.commands import Verb
from modelway.cli.connection import Access

_EPILOG = """\
exit codes:
  0  done (with --wait: and it had its effect)
  1  refused, rejected, or it came out otherwise
  2  wrong usage
  3  the cluster cannot be reached
  4  --timeout is over; the command stays in force
  5  another command or a new version took its place (with --wait)
"""

MOST_PARALLEL = 100

_NAME = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")

_HELP = {
    "status": "show what serves, what a rollout does, and what to do next",
    "history": "show what became of its rollouts, by whom and why, and what its revisions are",
    "promote": "approve the step, or end its hold",
    "abort": "take the candidate back; the stable revision serves on",
    "retry": "try a revision that failed or was aborted once more",
    "undo": "go back to the revision before, or to --to-revision",
    "pause": "stop the rollout where it is",
    "resume": "let a paused rollout go on",
    "refresh": "take over the runtime as it is now, by a rollout of each object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """One call of the command line."""

    access: Access
    command: str
    name: str | None = None
    names: tuple[str, ...] = ()
    verb: Verb | None = None
    to_revision: int | None = None
    revision: int | None = None
    rollout: int | None = None
    max_parallel: int = 3
    output: str | None = None
    is_watch: bool = False
    is_all: bool = False
    is_everywhere: bool = False
    is_keep_going: bool = False
    is_wait: bool = False
    is_dry_run: bool = False
    timeout: timedelta = field(default=timedelta(minutes=10))


def parse(program: str, words: list[str]) -> Arguments:
    """The arguments. Ends the process with code 2 and a usage line where they are wrong."""
    parser = _parser(program)
    found = parser.parse_args(words)
    problem = _contradiction(found)
    if problem:
        parser.error(problem)
    verb = None if found.command in _VIEWS else Verb(found.command)
    return Arguments(
        access=Access(kubeconfig=found.kubeconfig, context=found.context, namespace=found.namespace),
        command=found.command,
        name=getattr(found, "name", None),
        names=tuple(getattr(found, "names", ())),
        verb=Verb.PROMOTE_FULL if getattr(found, "full", False) else verb,
        to_revision=getattr(found, "to_revision", None),
        revision=getattr(found, "revision", None),
        rollout=getattr(found, "rollout", None),
        max_parallel=getattr(found, "max_parallel", 3),
        output=getattr(found, "output", None),
        is_watch=getattr(found, "watch", False),
        is_all=getattr(found, "all", False),
        is_everywhere=getattr(found, "all_namespaces", False),
        is_keep_going=getattr(found, "keep_going", False),
        is_wait=getattr(found, "wait", False),
        is_dry_run=getattr(found, "dry_run", False),
        timeout=getattr(found, "timeout", timedelta(minutes=10)),
    )


def _contradiction(found: argparse.Namespace) -> str:
    """What cannot be meant together; empty where all can."""
    is_everywhere = getattr(found, "all_namespaces", False)
    if getattr(found, "name", None) and is_everywhere:
        return "an object has one namespace: write NAME or --all-namespaces, not both"
    if found.command != "refresh":
        return ""
    if bool(found.names) == found.all:
        return "write the names of ModelDeployments, or --all"
    return "--all-namespaces goes with --all" if is_everywhere and not found.all else ""


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Look at ModelDeployments and steer their rollouts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_shared(None)],
    )
    parser.add_argument("--version", action="version", version=f"modelway {__version__}")
    shared = _shared(argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _HELP.items():
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".", parents=[shared])
        _ADD.get(name, _add_command)(command)
        if name == "promote":
            command.add_argument("--full", action="store_true", help="skip the steps that are left")
        if name == "undo":
            command.add_argument("--to-revision", type=_number, metavar="N", help="number of the revision")
    return parser


def _shared(default: str | None) -> argparse.ArgumentParser:
    """Flags that mean what they mean for kubectl, before the command and after it."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=default)
    shared.add_argument("-n", "--namespace", type=_namespace, help="default: the context's")
    shared.add_argument("--context", help="context of the kubeconfig")
    shared.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, or ~/.kube/config")
    return shared


def _add_status(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", nargs="?", type=_name, metavar="NAME", help="without it: a line for each object")
    command.add_argument("-A", "--all-namespaces", action="store_true", help="the same for the whole cluster")
    command.add_argument("-w", "--watch", action="store_true", help="show it again when it changes")
    command.add_argument("-o", "--output", choices=["json"], help="name, status and next step as JSON")


def _add_history(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", type=_name, metavar="NAME", help="name of the ModelDeployment")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--revision", type=_number, metavar="N", help="what this revision is made of")
    which.add_argument("--rollout", type=_number, metavar="ID", help="this rollout, with its plan and its evidence")
    command.add_argument("-o", "--output", choices=["wide", "json", "yaml"], help="more columns, or as data")


def _add_command(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", type=_name, metavar="NAME", help="name of the ModelDeployment")
    _add_asking(command, timeout="10m", end="end of --wait")


def _add_refresh(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", nargs="*", type=_name, metavar="NAME", help="names of ModelDeployments, or --all")
    command.add_argument("--all", action="store_true", help="all whose runtime is outdated")
    command.add_argument("-A", "--all-namespaces", action="store_true", help="with --all: of the whole cluster")
    command.add_argument(
        "--max-parallel", type=_parallel, default=3, metavar="3", help="rollouts that may be under way together"
    )
    command.add_argument("--keep-going", action="store_true", help="ask for the others also when one fails")
    _add_asking(command, timeout="1h", end="longest time for one rollout before it counts as late")


def _add_asking(command: argparse.ArgumentParser, *, timeout: str, end: str) -> None:
    command.add_argument("--wait", action="store_true", help="until it had its effect, or cannot have it")
    command.add_argument("--timeout", type=_duration, default=durations.parse(timeout), metavar=timeout, help=end)
    command.add_argument("--dry-run", action="store_true", help="have it checked and write nothing")


_ADD = {"status": _add_status, "history": _add_history, "refresh": _add_refresh}
_VIEWS = ("status", "history")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a ModelDeployment: write it alone, such as fraud")
    return text


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a namespace")
    return text


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a revision or rollout: `history` lists them")
    return int(text)


def _parallel(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PARALLEL:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_PARALLEL}")
    return int(text)


def _duration(text: str) -> timedelta:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
