"""P10: the clients of other makers, and the fuzzer, as `make clients` runs them."""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

REPOSITORY = Path(__file__).resolve().parents[3]


class NotRun(Exception):
    """pytest did not get so far; says what it printed last."""


def outcomes(*, seconds: float) -> dict[str, Counter[str]]:
    """Passed and failed by the test's file: `test_clients` and `test_fuzzing`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "tests/clients", f"--junitxml={report}"]
        try:
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            raise NotRun(f"it was not over after {seconds:.0f} s") from late
        if not report.exists():
            raise NotRun((done.stdout.strip() or "it printed nothing").splitlines()[-1][:200])
        return counted(report.read_text())


def counted(report: str) -> dict[str, Counter[str]]:
    """Of a report in JUnit's form. Pure."""
    found: dict[str, Counter[str]] = {}
    for case in ET.fromstring(report).iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2]
        bad = case.find("failure") is not None or case.find("error") is not None
        outcome = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        found.setdefault(file, Counter())[outcome] += 1
    return found
