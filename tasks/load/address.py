"""An address that load is sent to: which texts are one, before anything is asked."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))


def address_problem(text: str) -> str | None:
    """Why *text* is not ``http://HOST[:PORT]``, as a sentence; None: it is. No name is looked up."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "it is no address: http://HOST[:PORT]"
    if parts.scheme not in ("http", "https") or not host or port == 0 or not text.isprintable() or " " in text:
        return "it is no address: http://HOST[:PORT]"
    if parts.username is not None or parts.password is not None:
        return "an address with a login in it is refused: logins are `accounts`"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "paths stand in the journeys: http://HOST[:PORT] is enough"
    if host.rstrip(".") in METADATA_HOSTS or _is_metadata(host):
        return "the metadata service of a cloud is never loaded"
    return None


def _is_metadata(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_link_local or mapped in METADATA_ADDRESSES
