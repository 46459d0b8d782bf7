"""What is scraped: targets, and the rule for addresses that may be asked at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tasks.base.errors import DocumentError
from tasks.telemetry.prometheus.access import address_problems
from tasks.telemetry.series import ROLES, Role

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL in the pieces that a request needs."""

    scheme: str
    host: str
    port: int
    path: str
    loopback: bool
    """The peer must turn out to be this machine."""

    @property
    def authority(self) -> str:
        """``host:port`` as the header ``Host`` wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address_of(url: str, hosts: Collection[str] = ()) -> Address:
    """
    Take *url* apart, and refuse what no metrics page needs.

    Args:
        url: ``http`` or ``https``, without user, password or fragment; loopback unless its host is one of *hosts*.
        hosts: Further hosts that were named by the user; a link-local address (cloud metadata) is refused all the same.

    Raises:
        DocumentError: The address is refused; the message says why.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise DocumentError(f"{url!r} is not an address: {error}") from error
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise DocumentError(f"{url!r} has a space or a control character in it")
    if parts.scheme not in PORTS:
        raise DocumentError(f"{url!r} is neither http nor https")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise DocumentError(f"the address of host {host!r} carries a user, a password or a fragment; metrics need none")
    loopback = host == "localhost" or _is_loopback(host)
    if not loopback and (host not in hosts or _is_link_local(host)):
        raise DocumentError(
            f"{url!r} is not on this machine, and its host was not named",
            next_step="name the host under telemetry.sources[0].hosts if it is really to be scraped",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, host, port or PORTS[parts.scheme], path, loopback)


def api_server(url: str) -> Address:
    """
    The API server of a cluster at *url*, as a kubeconfig names it: the one server that is asked though it is elsewhere.

    Args:
        url: ``https``, or ``http`` on loopback (``kubectl proxy``); a path is what its own paths come after.

    Raises:
        DocumentError: It is no such address, or one of those that are never asked.
    """
    if problems := address_problems(url):
        raise DocumentError("; ".join(problems), next_step="mend the server's address in the kubeconfig")
    address = address_of(url, hosts=(urlsplit(url).hostname or "",))
    if address.scheme == "http" and not address.loopback:
        raise DocumentError(f"the API server {url!r} is asked over plain http, where anybody may listen", next_step="use its https address")
    return address


def below(server: Address, path: str) -> str:
    """
    The path of a request for *path* to the API server: never to another one, and nowhere else than it says.

    Raises:
        DocumentError: *path* climbs, has another server, a fragment or a control character in it.
    """
    plain = unquote(path.partition("?")[0])
    letters = all(32 < ord(letter) < 127 for letter in path) and "#" not in path and "\\" not in plain
    steps = plain.split("/")
    if not letters or not path.startswith("/") or path.startswith("//") or ".." in steps or "." in steps:
        raise DocumentError(f"{path!r} is not a path of an API server")
    return server.path.partition("?")[0].rstrip("/") + path


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_link_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_link_local
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """One metrics page, scraped as *name*."""

    name: str
    """Service that its series belong to, and the service of its ``up``."""
    role: Role
    """In role ``container`` each row names its own service by the label ``container``."""
    url: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read ``{"name", "role", "url"}``.

        Raises:
            DocumentError: Something is missing, or is not one of the roles.
        """
        try:
            name, role, url = (str(value[key]) for key in ("name", "role", "url"))
        except (KeyError, TypeError) as error:
            raise DocumentError(f"a target needs name, role and url, not {value!r}") from error
        if role not in ROLES or not name:
            raise DocumentError(f"target {name!r} has role {role!r}; it must be one of {', '.join(ROLES)}")
        return cls(name, role, url)

    def to_json(self) -> dict[str, str]:
        """``{"name", "role", "url"}``."""
        return {"name": self.name, "role": self.role, "url": self.url}
