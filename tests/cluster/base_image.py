"""The base of the project's images: a minimal Debian with Python, made by debootstrap."""

import hashlib
import shutil
from pathlib import Path

from cluster import buildah, paths, progress, shell
from cluster.versions import DEBIAN_BASE

REFERENCE = "localhost/modelway-base:1"
DOCKERFILE = "FROM scratch\nADD rootfs.tar /\n"
PACKAGES = "python3,python3-venv,ca-certificates,libgomp1"
WITHOUT = (
    "./dev/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)
"""Left out of the base image: it is a third smaller without."""


def digest() -> str:
    """Over all that decides what is in the image."""
    wanted = (DOCKERFILE, DEBIAN_BASE, PACKAGES, *WITHOUT)
    return hashlib.sha256("\0".join(wanted).encode()).hexdigest()


def ensure() -> None:
    """Make the image in buildah's storage, unless it is there."""
    made = paths.cache() / "buildah" / f"base-{digest()[:16]}"
    if made.exists() and buildah.has(REFERENCE):
        return
    context = paths.cache() / "base" / digest()[:16]
    context.mkdir(parents=True, exist_ok=True)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(DOCKERFILE)
    with progress.step("build", f"{REFERENCE} (Debian {DEBIAN_BASE})"):
        _bootstrap(context / "rootfs.tar")
        recipe = buildah.Recipe(reference=REFERENCE, dockerfile=dockerfile, context=context, digest=digest())
        shell.run(buildah.build_command(recipe))
    made.touch()


def _bootstrap(target: Path) -> None:
    """A minimal Debian with Python, as a tar file that appears when it is complete."""
    if target.exists():
        return
    root = target.with_name("root")
    shutil.rmtree(root, ignore_errors=True)
    shell.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN_BASE, root])
    pack(root, target)


def pack(root: Path, target: Path) -> None:
    """The folder as a tar file that appears when it is complete; the folder goes."""
    temporary = target.with_suffix(".building")
    left_out = [f"--exclude={pattern}" for pattern in WITHOUT]
    shell.run(["tar", "--create", "--file", temporary, "--numeric-owner", *left_out, "--directory", root, "."])
    shutil.rmtree(root)
    temporary.rename(target)
