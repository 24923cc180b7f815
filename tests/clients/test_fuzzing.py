"""Whatever a caller sends, within the description of the interface or not, the answer is one that it describes."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from clients import environments

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE.parents[1] / "docs" / "openapi.yaml"
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
_EXAMPLES = 40
_SECONDS = 900


def test_a_fuzzer_finds_no_answer_that_is_not_described(addresses: Mapping[str, str], tmp_path: Path) -> None:
    more = os.environ.get("MODELWAY_EXAMPLES")
    options = [
        *("--url", f"http://{addresses['iris']}"),
        *("--checks", ",".join(_CHECKS)),
        *("--max-examples", str(_EXAMPLES * int(more or 1))),
        *(() if more else ("--seed", "1")),
        *("--phases", "examples,coverage,fuzzing"),
        *("--generation-database", "none"),
        "--continue-on-failure",
        "--no-color",
    ]
    program = environments.python("web").with_name("schemathesis")
    command = [program, "--config-file", HERE / "schemathesis.toml", "run", DESCRIPTION, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Test cases" in done.stdout, done.stdout
