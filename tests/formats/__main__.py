"""Builds the variants of the runtime image and runs the tests of their formats inside."""

from pathlib import Path

from cluster import base_image, buildah, packages, paths, shell, tools
from cluster.images import variant
from cluster.versions import PACKAGES

TESTS = {"torch": "test_formats_torch.py", "tf": "test_formats_tensorflow.py"}
_VENV = "/opt/tests"
_RUN = f"""
set -eu
python3 -m venv {_VENV}
{_VENV}/bin/pip install --quiet --disable-pip-version-check pytest pytest-asyncio pytest-timeout
ls -d /opt/modelway/lib/python3*/site-packages > $(ls -d {_VENV}/lib/python3*/site-packages)/runtime.pth
if [ -d /usr/lib/python3/dist-packages/torch ]; then
    echo /usr/lib/python3/dist-packages >> $(ls -d {_VENV}/lib/python3*/site-packages)/runtime.pth
fi
cd /src
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=runtime-image/src {_VENV}/bin/python -m pytest -p no:cacheprovider \\
    -p no:hypothesispytest --confcutdir=tests/formats tests/formats/"$1"
"""


def main() -> None:
    """One variant after the other; the first that fails ends it."""
    packages.ensure(PACKAGES)
    with tools.locked("images"):
        base_image.ensure()
        for name, file in TESTS.items():
            recipe = variant(name)
            buildah.build(recipe)
            _test(recipe, file)


def _test(recipe: buildah.Recipe, file: str) -> None:
    container = shell.run(buildah.command("from", recipe.reference)).strip()
    settings = (f"{path}:{path}" for path in buildah.MACHINE_SETTINGS if Path(path).exists())
    volumes = [f"--volume={mount}:ro" for mount in (*settings, f"{paths.REPOSITORY}:/src")]
    options = ("--isolation=chroot", "--network=host", "--user=0", *volumes)
    try:
        print(shell.run(buildah.command("run", *options, container, "--", "sh", "-c", _RUN, "sh", file)))
    finally:
        shell.run(buildah.command("rm", container))


if __name__ == "__main__":
    main()
