"""Addresses that nothing of ours is ever sent to: where clouds keep credentials, and what is no single machine."""

from __future__ import annotations

import ipaddress
import socket

METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")))

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def forbidden_host(host: str) -> bool:
    """Whether *host*, a name or an address, is that of a cloud's credentials, or see :func:`forbidden`; no name is looked up."""
    return host.rstrip(".").lower() in METADATA_HOSTS or forbidden(host)


def forbidden(host: str) -> bool:
    """Whether the address *host* is link-local, nobody's, or that of a cloud's credentials; a name is not."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0].rstrip("."))
    except ValueError:
        try:  # 2852039166 and 0xA9FEA9FE are addresses to the system's resolver
            address = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return False
    inner = address if isinstance(address, ipaddress.IPv4Address) else _inner(address)
    return inner.is_link_local or inner in METADATA_ADDRESSES or inner.is_unspecified or inner.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address leads to: mapped, by 6to4, or by a translator (NAT64); else itself."""
    translated = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or translated or address
