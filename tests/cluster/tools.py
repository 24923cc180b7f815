"""Programs of the cluster: built from their Go modules into the cache, once per version."""

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import paths, progress, shell
from cluster.versions import GoTool

GO_WANTED = "1.26"
GO_OLDEST = (1, 21)
"""From this version on, Go fetches the toolchain that a module asks for."""


def binary(name: str) -> Path:
    return paths.binaries() / name


def programs() -> dict[str, str]:
    """The programs that people and tests call, by name."""
    return {name: str(binary(name)) for name in ("kubectl", "helm")}


def is_built(tool: GoTool) -> bool:
    """Whether its versioned file is there; that file appears by a rename, so it is never half-written."""
    return _versioned(tool).exists() and all(_is_linked(tool, name) for name in (tool.name, *tool.links))


def ensure(tools: Iterable[GoTool]) -> None:
    """Build what is missing; nothing is printed when all is there."""
    if all(is_built(tool) for tool in tools):
        return
    require_go()
    with locked("tools"):
        for tool in tools:
            if not is_built(tool):
                _build(tool)


def require_go() -> None:
    """Raise when there is no Go that can build the tools."""
    needed = f"Kubernetes is built from Go modules here: install Go {GO_WANTED} or later and put it on PATH"
    if shutil.which("go") is None:
        raise shell.ClusterError(needed)
    found = re.search(r"go(\d+)\.(\d+)", shell.run(["go", "version"]))
    if found is None or (int(found[1]), int(found[2])) < GO_OLDEST:
        raise shell.ClusterError(needed)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock between processes; the kernel frees it when the holder ends, however it ends."""
    folder = paths.cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"wait     until another command has done its work on the {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_command(tool: GoTool) -> tuple[str, ...]:
    """`go install` for a published program, `go build` for the one in this package, locked by its go.sum."""
    flags = " ".join(("-s", "-w", *(f"-X {name}={value}" for name, value in tool.variables)))
    if tool.folder:
        return ("go", "build", "-mod=readonly", "-ldflags", flags, "-o", tool.name, ".")
    return ("go", "install", "-ldflags", flags, f"{tool.package}@v{tool.version}")


def module_folder(module: str, version: str) -> Path:
    """The unpacked source of a module (charts and manifests lie there)."""
    answer = shell.run(["go", "mod", "download", "-json", f"{module}@v{version}"], folder=Path("/"))
    return Path(json.loads(answer)["Dir"])


def helm_environment() -> dict[str, str]:
    """Helm keeps its caches with ours, not in the home folder."""
    folder = paths.cache() / "helm"
    return {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}


def stamp(tool: GoTool) -> str:
    """Name and version; of a program of this checkout the digest of its sources."""
    return tool.stamp if tool.version else f"{tool.name}-{digest(paths.PACKAGE / tool.folder)}"


def digest(folder: Path) -> str:
    """Of the names and contents of the files in a folder."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        found.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:12]


def _versioned(tool: GoTool) -> Path:
    return paths.binaries() / stamp(tool)


def _is_linked(tool: GoTool, name: str) -> bool:
    link = paths.binaries() / name
    return link.is_symlink() and str(link.readlink()) == stamp(tool)


def _build(tool: GoTool) -> None:
    paths.binaries().mkdir(parents=True, exist_ok=True)
    if not _versioned(tool).exists():
        with progress.step("build", f"{tool.name} {tool.version}".rstrip()):
            _compile(tool)
    for name in (tool.name, *tool.links):
        temporary = paths.binaries() / f".{name}.link"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(stamp(tool))
        temporary.rename(paths.binaries() / name)


def _compile(tool: GoTool) -> None:
    temporary = paths.binaries() / f".{stamp(tool)}.building"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    source = temporary
    if tool.folder:
        source = temporary / "source"
        shutil.copytree(paths.PACKAGE / tool.folder, source)
    environment = {"CGO_ENABLED": "0", "GOBIN": str(temporary)}
    shell.run(build_command(tool), folder=source, environment=environment)
    (source / tool.name).rename(_versioned(tool))
    shutil.rmtree(temporary)
