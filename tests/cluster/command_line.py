"""The commands of the test cluster."""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict

from cluster import choice, control_plane, images, node, shell, tools, versions
from cluster.info import Info

COMMANDS = {
    "up": "bring the cluster up; does nothing when it is",
    "down": "end it and remove all that it left",
    "info": "say where it is",
    "images": "build the project's images and load them",
    "build": "install and build what the one-node cluster and the tests need, and start nothing",
    "control-plane": "run etcd and kube-apiserver alone on loopback until Ctrl-C",
}


def main(words: list[str]) -> int:
    """Run one command; the exit status."""
    options = parser().parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        _run(options)
    except shell.ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<14} {text}" for name, text in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="python3 -m cluster",
        description=f"The Kubernetes that Modelway's demo and tests run on.\n\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    made.add_argument(
        "--context",
        default=os.environ.get("CONTEXT", ""),
        help="use the cluster of this kubectl context (default: $CONTEXT)",
    )
    made.add_argument("--json", action="store_true", help="info for programs")
    return made


def _run(options: argparse.Namespace) -> None:
    cluster = choice.choose(options.context)
    match options.command:
        case "up":
            cluster.up()
        case "down":
            cluster.down()
        case "info":
            _show(cluster.info(), as_json=options.json)
        case "images":
            cluster.load(images.ensure())
        case "build":
            node.prepare()
            tools.ensure((*versions.TEST_TOOLS, *versions.STORE_TOOLS))
        case "control-plane":
            _run_control_plane()


def _show(info: Info, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(info.as_dict(), indent=2))
        return
    for name, value in info.as_dict().items():
        parts = value.items() if isinstance(value, dict) else ((None, value),)
        for part, text in parts:
            print(f"{name}.{part}" if part else name, text, sep="\t")


def _run_control_plane() -> None:
    """Say where it is in one line of JSON, then wait for the end of this process."""
    with control_plane.running() as running:
        print(json.dumps({key: str(value) for key, value in asdict(running).items()}), flush=True)
        signal.pause()
