"""Builds container images with buildah into archives in the cache, named by the digest of their inputs."""

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster import paths, progress, shell

MACHINE_SETTINGS = ("/etc/pip.conf", "/etc/ssl/certs")
"""Mounted into each build: where packages come from and whom to trust is the machine's business."""
IGNORED = ("__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git")
LAYERS_KEPT = 40
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an image is built; the same digest means the same image."""

    reference: str
    dockerfile: Path
    context: Path
    digest: str
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def archive(self) -> Path:
        return paths.cache() / "images" / f"{self.stem}-{self.digest[:16]}.tar"

    @property
    def stem(self) -> str:
        return re.sub(r"[^a-z0-9.]+", "-", self.reference.removeprefix("localhost/"))


def command(*words: str | Path) -> tuple[str, ...]:
    """buildah with its storage in the cache, apart from the person's own."""
    storage = paths.cache() / "buildah"
    options = (
        "--storage-driver",
        "overlay",
        "--root",
        str(storage / "root"),
        "--runroot",
        str(storage / "run"),
    )
    return ("buildah", *options, *map(str, words))


def build_command(recipe: Recipe, *options: str) -> tuple[str, ...]:
    """`RUN` steps use the network and package settings of this machine."""
    mounts = [f"--volume={path}:{path}:ro" for path in MACHINE_SETTINGS if Path(path).exists()]
    arguments = [f"--build-arg={name}={value}" for name, value in recipe.arguments]
    return command(
        "build",
        "--layers",
        "--isolation=chroot",
        "--network=host",
        f"--signature-policy={_policy()}",
        *mounts,
        *arguments,
        *options,
        f"--tag={recipe.reference}",
        f"--file={recipe.dockerfile}",
        recipe.context,
    )


def build(recipe: Recipe) -> Path:
    """Build the image and write its archive, unless the archive of these inputs is there already."""
    if recipe.archive.exists():
        return recipe.archive
    recipe.archive.parent.mkdir(parents=True, exist_ok=True)
    with progress.step("build", recipe.reference):
        shell.run(build_command(recipe))
        temporary = recipe.archive.with_suffix(".building")
        temporary.unlink(missing_ok=True)
        target = f"docker-archive:{temporary}:{recipe.reference}"
        policy = f"--signature-policy={_policy()}"
        shell.run(command("push", "--quiet", policy, recipe.reference, target))
        _prune()
    for old in recipe.archive.parent.glob(f"{recipe.stem}-*.tar"):
        old.unlink()
    return temporary.rename(recipe.archive)


def has(reference: str) -> bool:
    """Whether buildah's storage holds the image."""
    listed = shell.run(command("images", "--format", "{{.Name}}:{{.Tag}}"))
    return reference in listed.split()


def copied_paths(dockerfile: str) -> tuple[str, ...]:
    """What a Dockerfile takes from its context, from COPY and ADD lines; other stages' files are left out."""
    joined = re.sub(r"\\\n", " ", dockerfile)
    found: list[str] = []
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0].upper() not in ("COPY", "ADD"):
            continue
        options = [word for word in words[1:] if word.startswith("--")]
        if not any(option.startswith("--from=") for option in options):
            found += [word for word in words[1:-1] if not word.startswith("--")]
    return tuple(found)


def digest(dockerfile: Path, context: Path, *more: str) -> str:
    """Over the Dockerfile, the files that it copies, and `more`."""
    text = dockerfile.read_text()
    total = hashlib.sha256("\0".join((text, *more)).encode())
    for path in sorted(set(_files(context, copied_paths(text)))):
        total.update(f"{path.relative_to(context)} {path.stat().st_mode:o}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _files(context: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        for path in context.glob(pattern.strip("/")) if pattern not in (".", "./") else (context,):
            yield from _tree(path)


def _tree(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (each for each in path.rglob("*") if each.is_file() and not set(IGNORED) & set(each.parts))


def _prune() -> None:
    """Forget intermediate layers once there are many: each build of changed sources leaves some, up to 500 MB."""
    dangling = command("images", "--filter", "dangling=true", "--quiet")
    if len(shell.run(dangling).split()) > LAYERS_KEPT:
        shell.run(command("rmi", "--prune"))


def _policy() -> Path:
    """buildah wants a policy even for images that come from nowhere."""
    path = paths.cache() / "buildah" / "policy.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POLICY)
    return path
