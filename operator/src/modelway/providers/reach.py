"""Which hosts and addresses may be asked: judged when a connection is made, whatever the name stood for before."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from aiohttp import AddrInfoType

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_THIS_HOST = IPv4Network("0.0.0.0/8")
_NAT64 = IPv6Network("64:ff9b::/96")
_CLOUD_METADATA = frozenset(
    ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
"""Where clouds hand out credentials to whoever asks, beside 169.254.169.254."""


class Refused(OSError):
    """The address is not one that may be asked."""


class Reach:
    """Makes sockets to every address but those of this machine, of its link and of a cloud's metadata."""

    def __init__(self, local_networks: Iterable[Network] = ()) -> None:
        """`local_networks` may be asked although they are local."""
        self._local_networks = tuple(local_networks)

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for a connection to this address, the last moment to refuse it. Raises Refused."""
        family, kind, protocol, _, target = info
        address = plain(str(target[0]))
        if is_local(address) and not any(address in network for network in self._local_networks):
            raise Refused(f"{address} is a local address, which analyses may not ask")
        return socket.socket(family=family, type=kind, proto=protocol)


def plain(text: str) -> Address:
    """The address without a zone; the IPv4 address where one is wrapped in IPv6."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def is_local(address: Address) -> bool:
    """Whether it means this machine, its link or a cloud's metadata, or many machines at once."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _THIS_HOST
        or address in _CLOUD_METADATA
    )


def is_listed(host: str, hosts: Iterable[str]) -> bool:
    """Whether a host is one of `hosts`: names, addresses, or `*.ml.svc` for every name below `ml.svc`."""
    name = host.lower().rstrip(".")
    return any(name.endswith(listed[1:]) if listed.startswith("*.") else name == listed for listed in hosts)
