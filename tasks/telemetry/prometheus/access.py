"""How a Prometheus is reached, and which addresses are none: what the document may say, before anything is asked."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tasks.base.errors import CredentialsError, DocumentError

_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_FRAMING = frozenset({"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "transfer-encoding"})
"""Headers that say how a request is sent and what is understood of the reply: never the user's to choose."""
METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")))

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached; secrets by name of a variable or file, never by value."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; what is secret belongs into the token."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    token_env: str | None = None
    """Name of the environment variable that holds a bearer token."""
    token_file: str | None = None
    """File that holds a bearer token; read anew for each request, since it is rotated in clusters."""

    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong with it, a sentence each; no name is looked up and no file opened."""
        found = list(address_problems(self.url))
        found += [f"header {name!r} is not a header's name" for name in self.headers if not _HEADER.fullmatch(name)]
        found += [
            f"header {name!r} carries a secret: use token_env or token_file" for name in self.headers if name.lower() in _SECRET_HEADERS
        ]
        found += [f"header {name!r} is set by the reader itself" for name in self.headers if name.lower() in _FRAMING]
        found += [
            f"the value of header {name!r} has a control character, or one beyond ASCII"
            for name, value in self.headers.items()
            if not (value.isprintable() and value.isascii())
        ]
        if self.token_env and self.token_file:
            found.append("token_env and token_file are both given; one is enough")
        if (self.cert_file is None) != (self.key_file is None):
            found.append("cert_file and key_file belong together")
        parts = urlsplit(self.url) if not found else None
        if parts is not None and parts.scheme == "http" and self._has_token and not is_loopback(parts.hostname or ""):
            found.append("a token would go over plain http to another machine: use https")
        return tuple(found)

    @property
    def _has_token(self) -> bool:
        return bool(self.token_env or self.token_file)

    def token(self) -> str | None:
        """
        The bearer token; None when none was named.

        Raises:
            CredentialsError: It was named and is not there.
        """
        if self.token_env:
            value = os.environ.get(self.token_env, "")
            place = f"the environment variable {self.token_env}"
        elif self.token_file:
            path = Path(self.token_file).expanduser()
            value = _content(path).strip()
            place = str(path)
        else:
            return None
        if not value or not value.isprintable() or not value.isascii():
            raise CredentialsError(f"{place} holds no token", next_step="put a bearer token there, then run the same command again")
        return value

    def to_json(self) -> dict[str, Any]:
        """A JSON object; nothing secret is in it."""
        names = ("url", "ca_file", "cert_file", "key_file", "token_env", "token_file")
        return {**{name: getattr(self, name) for name in names}, "headers": dict(self.headers)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            DocumentError: Something in it is unknown or refused.
        """
        try:
            access = cls(**value)
            problems = access.problems()
        except (TypeError, AttributeError) as error:
            raise DocumentError(f"not the address of a Prometheus: {error}") from error
        if problems:
            raise DocumentError("; ".join(problems))
        return access


def address_problems(url: str) -> tuple[str, ...]:
    """Why *url* is not the address of a Prometheus, a sentence each; what may be secret in it is not in them."""
    told, found = _without_secrets(url), []
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        found.append(f"{told!r} has a space or a control character in it")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return (*found, f"{told!r} is not an address")
    if parts.scheme not in ("http", "https") or not host:
        found.append(f"{told!r} is not of the form http://HOST[:PORT][/PATH] or https://...")
    if not host.isascii():
        found.append(f"the host {host!r} is not written in ASCII: a name of other letters begins with xn--")
    if parts.username is not None or parts.password is not None:
        found.append(f"the address of host {host!r} carries a user or a password: name a token by token_env or token_file instead")
    if parts.query or parts.fragment:
        found.append(f"the address of host {host!r} carries a query or a fragment; it ends with the path")
    if host.rstrip(".").lower() in METADATA_HOSTS or forbidden(host):
        found.append(f"{host!r} is where clouds keep their credentials, or link-local; no Prometheus is there")
    return tuple(found)


def _without_secrets(url: str) -> str:
    """*url* for a message: without user, password and query."""
    return re.split(r"[?#]", re.sub(r"//.*@", "//", url, flags=re.DOTALL))[0]


def _content(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


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


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine, by its text alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
