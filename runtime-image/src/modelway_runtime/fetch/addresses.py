"""Which addresses a fetch may connect to: not those where a cloud answers its own machines with credentials.

Names are resolved here and the connection goes to an address that was checked, so that a name cannot change in between.
Private addresses and the pod's own are allowed: stores inside the cluster have them.
"""

import ipaddress
import os
import socket
from urllib.parse import urlsplit

from modelway_runtime.fetch.source import Transient, shown
from modelway_runtime.reasons import Failure, Reason, UsageError

ALLOWED = "MODELWAY_ALLOWED_ADDRESSES"
"""Networks that are allowed all the same, with commas between them."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Metadata services that do not have link-local addresses: Amazon's over IPv6, Azure's, Alibaba's, Oracle's.
_METADATA = ("fd00:ec2::/32", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_allowed(text: str) -> bool:
    """Whether a connection to an address may be made."""
    address = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    if any(address in network for network in _networks(os.environ.get(ALLOWED, "").split(","))):
        return True
    is_special = address.is_link_local or address.is_multicast or address.is_unspecified
    return not is_special and not any(address in network for network in _networks(_METADATA))


def _unwrapped(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _networks(texts: tuple[str, ...] | list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text.strip(), strict=False) for text in texts if text.strip()]
    except ValueError as error:
        raise UsageError(f"{ALLOWED}: {error}; write networks such as 169.254.10.0/24") from error


def connect(place: tuple[str, int], timeout: float, source: object = None) -> socket.socket:
    """A connection to the first allowed address of a host that answers."""
    del source
    failure: OSError | None = None
    for address in allowed(*place):
        try:
            return socket.create_connection((address, place[1]), timeout)
        except OSError as error:
            failure = error
    raise failure or OSError(f"{place[0]} has no address")


def allowed(host: str, port: int) -> list[str]:
    """The addresses of a host; raises Failure when one of them is forbidden."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Transient(f"{host} cannot be resolved: {error.strerror}") from error
    except UnicodeError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{host[:80]} is no host") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_allowed(address):
            message = f"{host} leads to {address}, where no store is; {ALLOWED} can allow it"
            raise Failure(Reason.ARTIFACT_NOT_FOUND, message)
    return addresses


def check_url(url: str) -> None:
    """Refuses a URL of a store that another library will ask; a name that cannot be resolved is that library's."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(url)} is no address: {error}") from error
    try:
        allowed(host, port)
    except Transient:
        return
