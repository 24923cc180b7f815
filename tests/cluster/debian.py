"""Programs of Debian's packages that tests run without installing them: nothing is set up, started or left, no root."""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster import paths, progress, scratch, shell, tools

IN_PLACE = """
mount --bind "$0/usr/share" /usr/share && name=$1 && shift && exec setpriv --pdeathsig KILL -- "$0/usr/bin/$name" "$@"
"""
"""In a mount namespace of its own the program finds the package's files where it looks for them. A new user namespace
forgets the death signal, so that it is set last."""


def program(name: str, package: str) -> tuple[str, ...]:
    """The command for a program that needs no file beside itself."""
    return (found,) if (found := shutil.which(name)) else (f"{_unpacked(package)}/usr/bin/{name}",)


def program_in_place(name: str, package: str) -> tuple[str, ...]:
    """The command for a program that looks for files of its package below /usr/share."""
    if found := shutil.which(name):
        return (found,)
    return ("unshare", "--map-root-user", "--mount", "--", "sh", "-c", IN_PLACE, str(_unpacked(package)), name)


def _folder(package: str) -> Path:
    return paths.cache() / "debian" / f"{package}-{platform.machine()}"


def _unpacked(package: str) -> Path:
    folder = _folder(package)
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None:
        raise shell.ClusterError(f"Install what Debian calls {package}, and put it on PATH")
    with tools.locked("debian"):
        if not folder.exists():
            with progress.step("fetch", f"{package} (Debian)"), scratch.folder("modelway-debian-") as temporary:
                _fetch(package, temporary)
    return folder


def _fetch(package: str, folder: Path) -> None:
    """Downloaded with package lists of its own: those of the machine are root's, and may be old or absent."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    shell.run([*_apt(folder), "update"])
    shell.run([*_apt(folder), "download", package], folder=folder)
    (archive,) = folder.glob("*.deb")
    made, target = _folder(package).with_suffix(".unpacking"), _folder(package)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    shell.run(["dpkg-deb", "--extract", archive, made])
    made.rename(target)


def _apt(folder: Path) -> Sequence[str]:
    options = {
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        # Root's other self could not write there.
        "APT::Sandbox::User": "root",
    }
    return ("apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
