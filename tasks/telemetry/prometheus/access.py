"""How a Prometheus is reached, and which addresses are none: what the document may say, before anything is asked."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from tasks.base.addresses import forbidden_host
from tasks.base.errors import CredentialsError, DocumentError

_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SECRET = re.compile("auth|token|key|secret|passw|credential|cookie|session|signature|bearer|jwt", re.IGNORECASE)
"""What stands in the name of a header whose value opens doors: such a value is never kept, so it must not be in a document."""
_FRAMING = frozenset({"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "transfer-encoding"})
"""Headers that say how a request is sent and what is understood of the reply: never the user's to choose."""
_SERVICE = re.compile(
    r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/((?:https:)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?:[a-z0-9](?:[a-z0-9-]{0,14}))"
)
"""``NAMESPACE/[https:]NAME:PORT``."""


class ApiConnection(Protocol):
    """How the API server of a cluster is reached; secrets by name of a file."""

    @property
    def server(self) -> str:
        """Its address."""

    @property
    def ca_file(self) -> str | None:
        """Authority of its certificate."""

    @property
    def cert_file(self) -> str | None:
        """Certificate that we come with."""

    @property
    def key_file(self) -> str | None:
        """Its key."""

    @property
    def token_file(self) -> str | None:
        """Holds a bearer token."""

    @property
    def tls_server_name(self) -> str | None:
        """Name in its certificate, where it is not the host."""

    @property
    def proxy(self) -> str | None:
        """An HTTP proxy on the way."""

    @property
    def verify(self) -> bool:
        """Whether its certificate is checked."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached; secrets by name of a variable or file, never by value."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; what is secret belongs into *header_env* or the token."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    token_env: str | None = None
    """Name of the environment variable that holds a bearer token."""
    token_file: str | None = None
    """File that holds a bearer token; read anew for each request, since it is rotated in clusters."""
    tls_server_name: str | None = None
    """Name in the server's certificate, where it is not the host."""
    proxy: str | None = None
    """Address of an HTTP proxy through which an https server is reached."""
    verify: bool = True
    """Whether the server's certificate is checked."""
    header_env: Mapping[str, str] = field(default_factory=dict)
    """Headers whose value is secret, each with the name of the environment variable that holds it; read anew for each request."""

    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong with it, a sentence each; no name is looked up and no file opened."""
        found = list(address_problems(self.url))
        named = (*self.headers, *self.header_env)
        found += [f"header {name!r} is not a header's name" for name in named if not _HEADER.fullmatch(name)]
        found += [
            f"header {name!r} carries a secret: name the variable that holds it in header_env, or a bearer token by token_env or token_file"
            for name in self.headers
            if _SECRET.search(name)
        ]
        found += [f"header {name!r} is set by the reader itself" for name in named if name.lower() in _FRAMING]
        found += [f"header {name!r} is given twice" for name in self._given_twice()]
        found += [
            f"the value of header {name!r} should be the name of a variable"
            for name, variable in self.header_env.items()
            if not _VARIABLE.fullmatch(variable)
        ]
        found += [
            f"the value of header {name!r} has a control character, or one beyond ASCII"
            for name, value in self.headers.items()
            if not (value.isprintable() and value.isascii())
        ]
        if self.token_env and self.token_file:
            found.append("token_env and token_file are both given; one is enough")
        if (self.cert_file is None) != (self.key_file is None):
            found.append("cert_file and key_file belong together")
        if self.proxy is not None:
            found += [f"the proxy: {problem}" for problem in address_problems(self.proxy)]
        parts = urlsplit(self.url) if not found else None
        if parts is not None and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            secrets = ["a token"] if self._has_token else []
            secrets += [f"header {name!r}" for name in self.header_env]
            found += [f"{secret} would go over plain http to another machine: use https" for secret in secrets]
        return tuple(found)

    @property
    def _has_token(self) -> bool:
        return bool(self.token_env or self.token_file)

    def _given_twice(self) -> tuple[str, ...]:
        """Names that the request would have more than once; letters' case does not matter."""
        names = [name.lower() for name in (*self.headers, *self.header_env, *(("authorization",) if self._has_token else ()))]
        return tuple(name for name in self.header_env if names.count(name.lower()) > 1)

    def secret_headers(self) -> dict[str, str]:
        """
        The headers that hold secrets: those of *header_env*, and the bearer token; for one request, and never to be kept.

        Raises:
            CredentialsError: One was named and is not there.
        """
        found = {}
        for name, variable in self.header_env.items():
            value = os.environ.get(variable, "")
            if not value or not value.isprintable() or not value.isascii():
                raise CredentialsError(
                    f"the environment variable {variable} holds no value for the header {name}",
                    next_step="put it there, then run the same command again",
                )
            found[name] = value
        if (token := self.token()) is not None:
            found["Authorization"] = f"Bearer {token}"
        return found

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

    @classmethod
    def of(cls, connection: ApiConnection, service: str | None = None, **further: Any) -> Self:
        """
        The API server of *connection*, or a *service*, ``NAMESPACE/[https:]NAME:PORT``, behind its proxy.

        Args:
            connection: The API server; its login is used.
            service: What is asked behind it; None: itself.
            further: Other fields: headers.

        Raises:
            DocumentError: *service* is not of that form.
        """
        path = ""
        if service is not None:
            found = _SERVICE.fullmatch(service)
            if found is None:
                raise DocumentError(f"{service!r} is not a service", next_step="name it as NAMESPACE/NAME:PORT: monitoring/prometheus:9090")
            path = f"/api/v1/namespaces/{found[1]}/services/{found[2]}/proxy"
        login = ("ca_file", "cert_file", "key_file", "token_file", "tls_server_name", "proxy", "verify")
        return cls(url=connection.server.rstrip("/") + path, **{name: getattr(connection, name) for name in login}, **further)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; nothing secret is in it."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**plain, "headers": dict(self.headers), "header_env": dict(self.header_env)}

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
    if forbidden_host(host):
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


def is_service(text: str) -> bool:
    """Whether *text* names a service in a cluster: ``NAMESPACE/[https:]NAME:PORT``."""
    return _SERVICE.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine, by its text alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
