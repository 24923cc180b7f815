"""The recipe of an image with a model's packages: what it installs and checks, and which requirements it refuses."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modelway_runtime import __version__, digest
from modelway_runtime.__main__ import main
from modelway_runtime.loaders import environment
from modelway_runtime.pack import recipe
from modelway_runtime.reasons import Failure, UsageError


@pytest.fixture
def packed(models: Path, tmp_path: Path) -> Path:
    """The context for a pickle and two packages."""
    (tmp_path / "needed.txt").write_text("# the model's\nscikit-learn==1.8.0\nxgboost[dask] == 3.1.2  # its class\n")
    model = models / "joblib"
    output = tmp_path / "context"
    assert main(["pack", str(model), "--requirements", str(tmp_path / "needed.txt"), "--output", str(output)]) == 0
    return output


def test_the_context_holds_recipe_packages_and_model(packed: Path, models: Path) -> None:
    there = {path.relative_to(packed).as_posix() for path in packed.rglob("*") if path.is_file()}
    assert there == {"Dockerfile", "requirements.txt", "constraints.txt", "model/model.joblib"}
    assert (packed / "model/model.joblib").read_bytes() == (models / "joblib/model.joblib").read_bytes()
    # The build reads it as the user of the image.
    assert stat.S_IMODE((packed / "model/model.joblib").stat().st_mode) & stat.S_IROTH


def test_the_recipe_builds_on_the_runtime_and_never_ends_as_root(packed: Path) -> None:
    lines = (packed / "Dockerfile").read_text().splitlines()
    assert f"ARG BASE_IMAGE=localhost/modelway-runtime:{__version__}" in lines
    assert [line for line in lines if line.startswith("USER")] == ["USER 0", "USER 65532:65532"]
    assert not [line for line in lines if line.startswith(("COPY", "ADD", "ENTRYPOINT", "CMD"))]


def test_the_recipe_checks_the_models_bytes_and_loads_it(packed: Path) -> None:
    found, _ = digest.of_path(packed / "model")
    text = (packed / "Dockerfile").read_text()
    assert f'test "$(modelway-runtime digest /packed/model)" = {found}' in text
    assert "modelway-runtime check /packed/model --format sklearn --trust Any" in text


def test_the_checks_of_the_recipe_run(packed: Path, tmp_path: Path) -> None:
    """The last step's own commands, with the context where the build mounts it."""
    command = (packed / "Dockerfile").read_text().partition("target=/packed \\\n    test")[2].partition("\nLABEL")[0]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/modelway-runtime"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelway_runtime "$@"\n')
    program.chmod(0o755)
    script = "test" + command.replace("/packed", str(packed))
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    assert subprocess.run(["sh", "-c", script], env=environ, check=False, capture_output=True).returncode == 0
    (packed / "model/model.joblib").write_bytes(b"others")
    assert subprocess.run(["sh", "-c", script], env=environ, check=False, capture_output=True).returncode == 1


def test_what_the_server_needs_is_kept_and_what_models_need_is_free(packed: Path) -> None:
    kept = (packed / "constraints.txt").read_text().splitlines()
    names = {line.partition(">")[0] for line in kept}
    assert {"onnxruntime", "skops", "cryptography", "uvicorn"} <= names
    assert not names & {"scikit-learn", "numpy", "xgboost-cpu", "lightgbm", "pandas", "joblib", "onnx", "skl2onnx"}


def test_a_package_that_another_distribution_of_the_image_holds_takes_its_place(packed: Path) -> None:
    steps = (packed / "Dockerfile").read_text()
    assert steps.index("uninstall --yes xgboost-cpu") < steps.index("install --no-cache-dir")


def test_another_base_image_may_be_named(models: Path, tmp_path: Path) -> None:
    (tmp_path / "needed.txt").write_text("six==1.17.0\n")
    base = f"registry.example.com/modelway-runtime@sha256:{'0' * 64}"
    file = str(models / "iris/model.onnx")
    arguments = ["--requirements", str(tmp_path / "needed.txt"), "--image", base, "--output", str(tmp_path / "x/y")]
    assert main(["pack", file, *arguments]) == 0
    text = (tmp_path / "x/y/Dockerfile").read_text()
    assert f"ARG BASE_IMAGE={base}\n" in text
    assert "check /packed/model/model.onnx --format onnx" in text
    assert "uninstall" not in text


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Scikit_Learn===1.8", ("scikit-learn",)),
        ('six==1.17.0; python_version < "4"', ("six",)),
        ("six==1.17.0 \\\n    --hash=sha256:47 \\\n    --hash=sha256:ff", ("six",)),
        ("torch==2.9.0+cpu", ("torch",)),
    ],
    ids=["name", "marker", "hashes", "local-version"],
)
def test_pinned_requirements_are_taken(line: str, names: tuple[str, ...]) -> None:
    assert recipe.pinned("r.txt", line.splitlines()) == names


@pytest.mark.parametrize(
    "line",
    [
        "pandas",
        "pandas>=2",
        "pandas==2.*",
        "-r other.txt",
        "-e .",
        "six @ https://example.com/six.whl",
        "--index-url x",
    ],
)
def test_a_requirement_that_may_be_another_one_tomorrow_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match=r"r\.txt, requirement 2, pins no version: "):
        recipe.pinned("r.txt", ["six==1.17.0", line])


def test_nothing_is_written_over(packed: Path, models: Path) -> None:
    requirements = packed / "requirements.txt"
    before = (packed / "Dockerfile").read_text()
    again = ["pack", str(models / "iris"), "--requirements", str(requirements), "--output", str(packed)]
    assert main(again) == 2
    assert (packed / "Dockerfile").read_text() == before


def test_a_mismatch_of_versions_names_the_command_that_helps() -> None:
    with pytest.raises(Failure, match="modelway-runtime pack PATH --requirements FILE"):
        environment.check("model.joblib", "scikit-learn", "1.8.0", "1.9.1", {})
