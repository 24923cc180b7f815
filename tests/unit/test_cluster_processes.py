"""The test cluster ends its own processes and no others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import processes, shell

SLEEPER = (sys.executable, "-c", "print('begun', flush=True); import signal; signal.pause()")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the cluster did not start."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def test_a_started_process_carries_the_marker_and_logs_to_its_file(tmp_path: Path) -> None:
    started = processes.start("echo", (sys.executable, "-c", "print('hello')"), tmp_path)
    started.handle.wait()
    assert processes.tail(started.log) == "hello"
    assert started.log == tmp_path / "log" / "echo.log"


def test_kill_ends_every_marked_process_and_their_children(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER[2]!r}])"
    first = processes.start("first", SLEEPER, tmp_path)
    second = processes.start("second", (sys.executable, "-c", parent), tmp_path)
    while "begun" not in processes.tail(second.log):
        second.require_running()
    assert processes.kill_marked(tmp_path) == 3
    assert processes.marked(tmp_path) == ()
    assert {first.handle.wait(), second.handle.wait()} == {-9}


def test_a_process_of_another_state_folder_is_left_alone(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "ours-2"
    for folder in (ours, other):
        folder.mkdir()
    kept = processes.start("sleeper", SLEEPER, other)
    assert processes.kill_marked(ours) == 0
    assert processes.marked(other) == (kept.handle.pid,)
    processes.kill_marked(other)
    kept.handle.wait()


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_killed(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    assert processes.kill((stranger.pid,), lambda pid: processes.is_marked(pid, tmp_path)) == 0
    assert stranger.poll() is None


def test_a_pid_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    gone = subprocess.Popen(("true",))
    gone.wait()
    assert processes.kill((gone.pid,), lambda _: True) == 0
    assert not processes.is_marked(gone.pid, tmp_path)


def test_this_process_is_not_marked(tmp_path: Path) -> None:
    assert not processes.is_marked(os.getpid(), tmp_path)


def test_a_program_that_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    started = processes.start("broken", (sys.executable, "-c", "print('no such flag'); raise SystemExit(2)"), tmp_path)
    started.handle.wait()
    with pytest.raises(shell.ClusterError, match=r"broken ended with 2; .*\n.*no such flag"):
        started.require_running()
