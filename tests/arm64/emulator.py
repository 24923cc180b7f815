"""QEMU of the Debian that the images are based on: that of older ones (7.2) dies in onnxruntime."""

import shutil
from pathlib import Path

from cluster import paths, progress, scratch, shell, tools
from cluster.versions import DEBIAN_BASE

PACKAGE = "qemu-user"


def program() -> Path:
    """The emulator, unpacked from its package without installing that."""
    folder = paths.cache() / "debian" / f"{PACKAGE}-{DEBIAN_BASE}"
    if not folder.exists():
        with tools.locked("debian"), progress.step("fetch", f"{PACKAGE} (Debian {DEBIAN_BASE})"):
            _fetch(folder)
    return folder / "usr/bin/qemu-aarch64"


def _fetch(target: Path) -> None:
    """debootstrap knows where that Debian's packages are; this machine's apt knows its own release alone."""
    unpacked = target.with_suffix(".unpacking")
    shutil.rmtree(unpacked, ignore_errors=True)
    with scratch.folder("modelway-debian-") as folder:
        wanted = ("--download-only", "--variant=minbase", f"--include={PACKAGE}")
        shell.run(["debootstrap", *wanted, DEBIAN_BASE, folder / "root"])
        (archive,) = (folder / "root/var/cache/apt/archives").glob(f"{PACKAGE}_*.deb")
        shell.run(["dpkg-deb", "--extract", archive, unpacked])
    unpacked.rename(target)
