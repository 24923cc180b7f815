"""What the kubelet and the CNI library keep at fixed places of the machine, outside the state folder."""

import json
from pathlib import Path

from cluster import network

FOLDERS = (
    Path("/var/lib/kubelet/device-plugins"),
    Path("/var/lib/kubelet"),
    Path("/var/lib/cni/results"),
    Path("/var/lib/cni"),
    Path("/var/log/containers"),
)
"""Inner ones first."""
RECORD = "host-folders.json"
PLUGIN_FILES = ("DEPRECATION", "kubelet.sock", "kubelet_internal_checkpoint")


def remember(state: Path) -> None:
    """Note which folders are not there yet: those that appear are ours."""
    absent = [str(folder) for folder in FOLDERS if not folder.exists()]
    (state / RECORD).write_text(json.dumps(absent))


def remove(state: Path) -> None:
    """Remove our files from the fixed places, and our folders where they are empty then."""
    for record in Path("/var/lib/cni/results").glob(f"{network.NAMESPACE}-*-eth0"):
        pod = record.name.removeprefix(f"{network.NAMESPACE}-").removesuffix("-eth0")
        record.with_name(f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
        record.unlink()
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(state):
            link.unlink()
    ours = json.loads((state / RECORD).read_text()) if (state / RECORD).exists() else []
    for folder in (folder for folder in FOLDERS if str(folder) in ours and folder.exists()):
        _remove(folder)


def _remove(folder: Path) -> None:
    if folder.name == "device-plugins":
        for name in PLUGIN_FILES:
            (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
