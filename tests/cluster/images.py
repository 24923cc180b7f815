"""The project's images, built from its Dockerfiles when an input changed, and loaded into the node."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from cluster import base_image, buildah, packages, paths, shell, tools
from cluster.components import Node
from cluster.versions import PACKAGES


def version(project: Path) -> str:
    """The version in a pyproject.toml."""
    return str(tomllib.loads(project.read_text())["project"]["version"])


def recipes() -> tuple[buildah.Recipe, ...]:
    """The runtime is built from its own folder, the operator from the repository's root."""
    root = paths.REPOSITORY
    runtime = root / "runtime-image"
    return (
        _recipe("runtime", dockerfile=runtime / "Dockerfile", context=runtime),
        _recipe("operator", dockerfile=root / "operator" / "Dockerfile", context=root),
    )


def variant(name: str) -> buildah.Recipe:
    """The runtime with one more library: torch or tf."""
    context = paths.REPOSITORY / "runtime-image"
    return _recipe(f"runtime-{name}", dockerfile=context / "Dockerfile", context=context, variant=f"-{name}")


def foreign() -> buildah.Recipe:
    """A server that is not ours: MLServer, from the lock that the benchmarks have."""
    context = paths.REPOSITORY / "tests" / "benchmarks"
    dockerfile = context / "mlserver" / "Dockerfile"
    return buildah.Recipe(
        reference="localhost/mlserver:1.7.1",
        dockerfile=dockerfile,
        context=context,
        digest=buildah.digest(dockerfile, context, base_image.digest()),
        arguments=(("BASE_IMAGE", base_image.REFERENCE),),
    )


def ensure_foreign() -> Path:
    """Its archive, built when an input changed."""
    recipe = foreign()
    if not recipe.archive.exists():
        packages.ensure(PACKAGES)
        with tools.locked("images"):
            base_image.ensure()
            buildah.build(recipe)
    return recipe.archive


def ensure() -> tuple[Path, ...]:
    """Archives of the project's images, built when an input changed."""
    wanted = recipes()
    if not all(recipe.archive.exists() for recipe in wanted):
        wanted = _build()
    return tuple(recipe.archive for recipe in wanted)


def not_loaded(archives: Iterable[Path], node: Node) -> tuple[Path, ...]:
    """Those that the node does not have, or has another build of."""
    return tuple(each for each in archives if not _is_loaded(each, _mark(each, node)))


def load(archive: Path, node: Node) -> None:
    """Import an archive into the node's containerd."""
    shell.run(["ctr", "--address", node.socket, "--namespace", "k8s.io", "images", "import", archive])
    mark = _mark(archive, node)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(archive.name)


def _mark(archive: Path, node: Node) -> Path:
    """The file that says which build of an image the node has."""
    image, _, _ = archive.name.rpartition("-")
    return node.folder / "images" / image


def _is_loaded(archive: Path, mark: Path) -> bool:
    return mark.exists() and mark.read_text() == archive.name


def _build() -> tuple[buildah.Recipe, ...]:
    packages.ensure(PACKAGES)
    with tools.locked("images"):
        base_image.ensure()
        # Sources may have changed while another build held the lock.
        wanted = recipes()
        for recipe in wanted:
            buildah.build(recipe)
        return wanted


def _recipe(name: str, *, dockerfile: Path, context: Path, variant: str = "") -> buildah.Recipe:
    arguments = [("BASE_IMAGE", base_image.REFERENCE), *([("VARIANT", variant)] if variant else [])]
    return buildah.Recipe(
        reference=f"localhost/modelway-{name}:{version(context / 'pyproject.toml')}",
        dockerfile=dockerfile,
        context=context,
        digest=buildah.digest(dockerfile, context, base_image.digest(), *([variant] if variant else [])),
        arguments=tuple(arguments),
    )
