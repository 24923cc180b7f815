"""`modelway-operator`, or `python -m modelway`: runs the operator."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

import uvloop
from kubernetes.aio.config import ConfigException
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from modelway import __version__, logs, process
from modelway.settings import PREFIX, Settings

log = logging.getLogger(__name__)


def _parser() -> argparse.ArgumentParser:
    """Without arguments of its own; what it refuses or shows, it does before anything runs."""
    fields = Settings.model_fields.items()
    settings = "\n".join(f"  {PREFIX}{name.upper()}\n      {field.description}" for name, field in fields)
    parser = argparse.ArgumentParser(
        prog="modelway-operator",
        description="Run the operator until SIGTERM, in a pod or by a kubeconfig.",
        epilog=f"environment:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"modelway-operator {__version__}")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run until the end; the exit code. Without `words` they are those of the process."""
    _parser().parse_args(words)
    try:
        settings = Settings.from_environment()
    except ValidationError as failure:
        for error in failure.errors(include_url=False, include_input=False):
            name = PREFIX + "_".join(str(part) for part in error["loc"][:1]).upper()
            print(f"{name}: {error['msg']}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # They double the series, and nobody reads them.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(process.run(settings))
    except (ConfigException, OSError, ValueError) as failure:
        log.error("Did not start: %s", failure)
        return 1


if __name__ == "__main__":
    sys.exit(main())
