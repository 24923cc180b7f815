"""Runs every suite, each as `make` runs it, and ends with a table of counts and minutes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPOSITORY = Path(__file__).parents[1]
REPORTS = REPOSITORY / "reports"
CONTEXT = bool(os.environ.get("CONTEXT"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A target of the Makefile, and the stages without which it makes no sense."""

    target: str
    needs: tuple[str, ...] = ()
    counts_tests: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a stage."""

    target: str
    note: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


TOOLS = Stage(target="tools", counts_tests=False)
STAGES = (
    Stage(target="check", counts_tests=False),
    Stage(target="unit"),
    Stage(target="clients"),
    Stage(target="sequences"),
    Stage(target="integration"),
    Stage(target="cluster", counts_tests=False),
    Stage(target="images", counts_tests=False, needs=("cluster",)),
    Stage(target="e2e", needs=("cluster", "images")),
)


def main() -> int:
    """Run all stages, also after one that failed; the exit status."""
    REPORTS.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    try:
        # A cluster that exists already needs no tools here, beside those that each suite fetches for itself.
        for stage in STAGES if CONTEXT else (TOOLS, *STAGES):
            outcomes.append(_run(stage, broken={done.target for done in outcomes if done.failed}))
    except KeyboardInterrupt:
        outcomes.append(Outcome(target="stopped", note="by the keyboard", failed=1))
    print("\n".join(_table(outcomes)))
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _run(stage: Stage, *, broken: set[str]) -> Outcome:
    if missing := sorted(broken.intersection(stage.needs)):
        return Outcome(target=stage.target, note=f"not run: {', '.join(missing)} failed", failed=1)
    print(f"\n━━━ {stage.target} ━━━", flush=True)
    report = REPORTS / f"{stage.target}.xml"
    report.unlink(missing_ok=True)
    began = time.monotonic()
    command = ("make", "--keep-going", stage.target, f"JUNIT={report}")
    status = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    seconds = time.monotonic() - began
    if not stage.counts_tests:
        note = f"make {stage.target} failed" if status else "ok"
        return Outcome(target=stage.target, note=note, failed=int(bool(status)), seconds=seconds)
    return _counted(stage.target, report, status=status, seconds=seconds)


def _counted(target: str, report: Path, *, status: int, seconds: float) -> Outcome:
    """The counts of pytest's report; a suite that ran nothing, or ended oddly, has failed."""
    suites = ET.parse(report).iter("testsuite") if report.exists() else ()
    tests, failed, skipped = _sums(suites)
    passed = tests - failed - skipped
    note = "ok"
    if failed:
        note = "see above"
    elif status or not passed:
        note, failed = "ran no test" if not tests else f"ended with status {status}", 1
    return Outcome(target=target, note=note, passed=passed, failed=failed, skipped=skipped, seconds=seconds)


def _sums(suites: Iterable[ET.Element]) -> tuple[int, int, int]:
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return tests, failed, skipped


def _table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    outcomes = tuple(outcomes)
    total = Outcome(
        target="all",
        note="",
        passed=sum(outcome.passed for outcome in outcomes),
        failed=sum(outcome.failed for outcome in outcomes),
        skipped=sum(outcome.skipped for outcome in outcomes),
        seconds=sum(outcome.seconds for outcome in outcomes),
    )
    yield f"\n{'suite':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'minutes':>9}"
    for row in (*outcomes, total):
        minutes = row.seconds / 60
        yield f"{row.target:<12}{row.passed:>8}{row.failed:>8}{row.skipped:>9}{minutes:>9.1f}  {row.note}"
    skips = f", {total.skipped} skipped" if total.skipped else ""
    yield f"\n{total.passed} passed, {total.failed} failed{skips}"


if __name__ == "__main__":
    sys.exit(main())
