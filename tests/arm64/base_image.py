"""The base of the image: a minimal Debian of arm64 with Python, its packages set up under emulation."""

import shutil
from pathlib import Path

from arm64 import emulation
from cluster import base_image, buildah, paths, progress, shell
from cluster.versions import DEBIAN_BASE

REFERENCE = "localhost/modelway-base-arm64:1"
DEVICES = ("null", "zero", "random", "urandom", "full", "tty")
_SET_UP = """
set -e
for device in $2; do touch "$1/dev/$device" && mount --bind "/dev/$device" "$1/dev/$device"; done
mount --rbind /proc "$1/proc"
container=lxc exec chroot "$1" /debootstrap/debootstrap --second-stage
"""
"""A user namespace may not make devices: debootstrap is told that it is in a container of those."""


def ensure() -> None:
    """Make the image in buildah's storage, unless it is there."""
    context = paths.cache() / "base" / f"{base_image.digest()[:16]}-arm64"
    made = context / "made"
    if made.exists() and buildah.has(REFERENCE):
        return
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(base_image.DOCKERFILE)
    with progress.step("build", f"{REFERENCE} (Debian {DEBIAN_BASE})"):
        _bootstrap(context / "rootfs.tar")
        shell.run(buildah.build_command(recipe(context), "--arch=arm64"))
    made.touch()


def recipe(context: Path) -> buildah.Recipe:
    """A root file system and nothing else."""
    return buildah.Recipe(
        reference=REFERENCE, dockerfile=context / "Dockerfile", context=context, digest=base_image.digest()
    )


def _bootstrap(target: Path) -> None:
    if target.exists():
        return
    root = target.with_name("root")
    shutil.rmtree(root, ignore_errors=True)
    include = f"--include={base_image.PACKAGES}"
    shell.run(["debootstrap", "--arch=arm64", "--foreign", "--variant=minbase", include, DEBIAN_BASE, root])
    shell.run(emulation.command("sh", "-c", _SET_UP, "sh", root, " ".join(DEVICES)))
    base_image.pack(root, target)
