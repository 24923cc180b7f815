"""The base of the image: a minimal Debian of arm64 with Python."""

import shutil
from pathlib import Path

from arm64 import emulation
from cluster import base_image, buildah, paths, progress, shell
from cluster.versions import DEBIAN_BASE

REFERENCE = "localhost/modelway-base-arm64:1"
_SET_UP = """
set -e
cp /usr/share/base-passwd/passwd.master /etc/passwd
cp /usr/share/base-passwd/group.master /etc/group
ldconfig
update-ca-certificates
"""
"""What matters of the packages' own scripts, all of which would take a quarter of an hour under emulation."""


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
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        shell.run(["dpkg-deb", "--extract", package, root])
        package.unlink()
    shutil.rmtree(root / "debootstrap")
    shell.run(emulation.command("chroot", root, "sh", "-c", _SET_UP))
    base_image.pack(root, target)
