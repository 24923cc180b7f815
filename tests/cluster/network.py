"""The node's network namespace: one link to this machine and no way out of it.

Addresses are from 198.18.0.0/15, which is set apart for tests and routed nowhere.
"""

from pathlib import Path

from cluster.shell import run

NAMESPACE = "modelway"
HOST_LINK = "modelway-host"
HOST_IP = "198.18.0.1"
NODE_IP = "198.18.0.2"
SERVICES = "198.19.0.0/20"
PODS = "198.19.128.0/20"
CLUSTER = "198.19.0.0/16"
"""Services and pods: what this machine routes to the node."""

HANDLE = Path("/run/netns") / NAMESPACE


def inside(*command: str | Path) -> tuple[str, ...]:
    """The command in the node's network. Not `ip netns exec`, which remounts /sys and hides the cgroups."""
    return ("nsenter", f"--net={HANDLE}", *map(str, command))


def exists() -> bool:
    return HANDLE.exists()


def create() -> None:
    """The namespace, the link to it, and the route from this machine to pods and Services."""
    run(["ip", "netns", "add", NAMESPACE])
    run(["ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE])
    run(["ip", "address", "add", f"{HOST_IP}/30", "dev", HOST_LINK])
    run(["ip", "link", "set", HOST_LINK, "up"])
    settings = (
        "link set lo up",
        f"address add {NODE_IP}/30 dev eth0",
        "link set eth0 up",
        f"route add default via {HOST_IP}",
    )
    run(["ip", "-netns", NAMESPACE, "-batch", "-"], stdin="\n".join(settings) + "\n")
    run(inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
    run(["ip", "route", "add", CLUSTER, "via", NODE_IP])


def remove() -> None:
    """Undo `create`, as far as it came; the route goes with the link."""
    if Path("/sys/class/net", HOST_LINK).exists():
        run(["ip", "link", "delete", HOST_LINK])
    if exists():
        run(["ip", "netns", "delete", NAMESPACE])
