"""The runtime without Kubernetes: `serve PATH` on a person's machine, and the help."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = (sys.executable, "-m", "modelway_runtime")


@contextmanager
def _served(*arguments: str) -> Iterator[list[str]]:
    """The first three lines that a person sees."""
    command = [*PROGRAM, "serve", *arguments, "--port", "0", "--metrics-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield [process.stdout.readline() for _ in range(3)]
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


@pytest.mark.parametrize("path", ["identity", "identity/model.onnx", "skops"])
def test_the_example_that_is_printed_works(models: Path, path: str) -> None:
    with _served(str(models / path), "--name", "mine") as lines:
        assert re.match(
            r"Serving mine at http://127\.0\.0\.1:\d+/v2/models/mine \(gRPC on port \d+, metrics on \d+\)", lines[0]
        )
        command = shlex.split(lines[1].removeprefix("Try:"))
        answered = subprocess.run(command, check=True, capture_output=True, text=True)
        assert json.loads(answered.stdout)["model_name"] == "mine"


@pytest.mark.parametrize(("path", "name"), [("identity", "identity"), ("identity/model.onnx", "model")])
def test_the_model_is_named_after_its_path(models: Path, path: str, name: str) -> None:
    with _served(str(models / path)) as lines:
        assert f"/v2/models/{name} " in lines[0]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("serve", "/nowhere"), 2, "/nowhere does not exist"),
        (("serve", str(Path(__file__).parent), "--golden", "/nowhere.json"), 2, "/nowhere.json does not exist"),
        (("serve", "--port", "http"), 2, "MODELWAY_PORT: 'http' is not a port"),
        (("serve", "--max-batch-size", "0"), 2, "is not a number of at least 1"),
        (("serve", "--options", "[]"), 2, "write a JSON object"),
        (("serve", "--drain", "5"), 2, "is not a duration"),
        (("fetch",), 2, "--uri is needed"),
        ((), 2, "COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told_on_one_line(arguments: tuple[str, ...], status: int, message: str) -> None:
    done = subprocess.run([*PROGRAM, *arguments], check=False, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert message in done.stderr


def test_a_port_that_is_taken_is_told_with_the_flag_to_change(models: Path) -> None:
    with _served(str(models / "identity")) as lines:
        port = lines[0].partition("127.0.0.1:")[2].partition("/")[0]
        command = [
            *PROGRAM,
            "serve",
            str(models / "identity"),
            "--port",
            port,
            "--metrics-port",
            "0",
            "--grpc-port",
            "0",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_without_a_path_and_without_a_fetch_the_message_says_what_to_do(tmp_path: Path) -> None:
    command = [*PROGRAM, "serve"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={"MODELWAY_MODEL_PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "run `modelway-runtime fetch` first" in done.stderr


@pytest.mark.parametrize("command", ["serve", "fetch", "digest", "convert", "pack"])
def test_help_names_the_environment_variable_of_each_flag(command: str) -> None:
    done = subprocess.run([*PROGRAM, command, "--help"], check=True, capture_output=True, text=True)
    described = " ".join(done.stdout.split())
    for flag in re.findall(r"^  (--[a-z-]+) VALUE", done.stdout, re.MULTILINE):
        assert re.search(rf"{flag} VALUE .*?\[MODELWAY_[A-Z_]+\]", described), flag
