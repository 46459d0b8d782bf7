"""
The one way to a Prometheus: address, headers, CA, client certificate and token stand here and nowhere else.

A cluster provider plugs in its own :class:`Adapter` (the API server's service proxy); everything behind it asks in paths.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError

from tasks.base.addresses import forbidden
from tasks.base.errors import CredentialsError, DocumentError, PreflightError
from tasks.telemetry.prometheus.access import Access, is_loopback
from tasks.telemetry.prometheus.connections import guarded, refused
from tasks.telemetry.prometheus.deadline import Deadline, under
from tasks.telemetry.tls import tls_context

PIECE_BYTES = 1 << 18
ERROR_BYTES = 4096
UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""Codes of OpenSSL for a certificate that nobody here vouches for (``X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT`` and its like)."""


class Unreachable(Exception):
    """No usable reply came: nobody listens, the connection was cut, it took too long, or the server is busy (429, 5xx)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the server's address."""

    path: str
    """``/api/v1/query`` and the like."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """With a body it is a POST."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0
    """For the connection, and between any two pieces of the reply."""
    deadline_s: float = 300.0
    """For the whole reply, head and body, however steadily it comes."""


class Reply(Protocol):
    """A reply of status 200, or an error of the API that has a body."""

    status: int
    headers: Mapping[str, str]

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives; raises :class:`Unreachable` when it is cut off."""

    def close(self) -> None:
        """Drop the connection unless the body was read to its end."""


class Adapter(Protocol):
    """Sends requests to one server, with everything that lets it in."""

    @property
    def name(self) -> str:
        """What to call the server in messages and manifests; nothing secret is in it."""

    def send(self, request: Request) -> Reply:
        """
        Send *request*; redirects are never followed.

        Raises:
            Unreachable: See there; worth another try.
            CredentialsError: 401 or 403.
            PreflightError: A redirect, or a certificate that is not trusted.
        """


@dataclass(slots=True)
class _Reply:
    response: urllib3.BaseHTTPResponse
    status: int
    headers: Mapping[str, str]
    deadline: Deadline

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        try:
            yield from self.response.stream(PIECE_BYTES, decode_content=False)
            if self.deadline.over:
                raise Unreachable(_too_late(self.deadline))
        except (HTTPError, OSError) as error:
            raise Unreachable(_too_late(self.deadline) or f"the reply was cut off: {_said(error)}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back when the body was read whole, drop it otherwise."""
        self.deadline.lift()
        self.response.release_conn() if self.response.closed else self.response.close()


class DirectAdapter:
    """Over HTTP to the address of *access*, straight; proxies of the environment are not used."""

    def __init__(self, access: Access) -> None:
        if problems := access.problems():
            raise DocumentError("; ".join(problems), next_step="mend the address, then run the same command again")
        parts = urlsplit(access.url)
        self._access = access
        self._host = parts.hostname or ""
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._pool = _pool(access, tls=parts.scheme == "https")

    @property
    def name(self) -> str:
        """The address."""
        return self._base

    def send(self, request: Request) -> Reply:
        """See :meth:`Adapter.send`."""
        if self._access.proxy is None:
            self._refuse_metadata()
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {"User-Agent": "tidegauge", "Accept-Encoding": "identity", **self._access.headers, **request.headers}
        headers |= self._access.secret_headers()
        deadline = Deadline(request.deadline_s)
        try:
            response = under(deadline, self._pool.request)(
                "GET" if request.body is None else "POST",
                f"{self._base}{request.path}{query}",
                body=request.body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(10.0, request.timeout_s), read=request.timeout_s),
            )
        except BaseException as error:
            deadline.lift()
            if not isinstance(error, HTTPError | OSError):
                raise
            raise self._not_reached(error, deadline) from error
        reply = _Reply(response, response.status, {name.lower(): value for name, value in response.headers.items()}, deadline)
        if deadline.over or not _says_its_length(reply):
            reply.close()
            raise Unreachable(f"{self.name}: {_too_late(deadline) or 'the head of the reply was cut off'}")
        return judged(reply, self.name)

    def _refuse_metadata(self) -> None:
        """A name may lead anywhere; it must not lead to where clouds keep their credentials."""
        try:
            found = {str(one[4][0]) for one in socket.getaddrinfo(self._host, None, proto=socket.IPPROTO_TCP)}
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{self._host}: {getattr(error, 'strerror', None) or error}") from error
        bad = sorted(address for address in found if forbidden(address))
        if bad and not is_loopback(self._host):
            raise refused(self._host, bad[0])

    def _not_reached(self, error: Exception, deadline: Deadline) -> Exception:
        """What to raise for an *error* of the library: certificates are a matter for the user, everything else may pass."""
        causes = [error, *(one for one in (*error.args[:1], error.__cause__) if isinstance(one, Exception))]
        untrusted = next((one for one in causes if isinstance(one, ssl.SSLCertVerificationError)), None)
        if untrusted is not None:
            unknown = untrusted.verify_code in UNKNOWN_AUTHORITY
            return PreflightError(
                f"the certificate of {self.name} is not trusted: {untrusted.verify_message}",
                next_step="name its authority with ca_file (--ca-file)" if unknown else "mend it there, or give the name that stands in it",
            )
        if any("ALERT" in str(one) and ("CERTIFICATE" in str(one) or "UNKNOWN_CA" in str(one)) for one in causes):
            return CredentialsError(
                f"{self.name} does not take our certificate: {_said(error)}", next_step="name a valid one with cert_file and key_file"
            )
        return Unreachable(f"{self.name}: {_too_late(deadline) or _said(error)}")


def _pool(access: Access, *, tls: bool) -> urllib3.PoolManager:
    """What keeps the connections."""
    settings: dict[str, Any] = {"num_pools": 1, "maxsize": 2}
    if tls:
        settings |= {"ssl_context": tls_context(access), "server_hostname": access.tls_server_name}
        settings |= {} if access.verify else {"cert_reqs": "CERT_NONE"}
    return guarded(urllib3.PoolManager(**settings) if access.proxy is None else urllib3.ProxyManager(access.proxy, **settings))


def _too_late(deadline: Deadline) -> str:
    """Why a reply was given up, where it was for its time."""
    return f"no whole reply came within {deadline.after_s:g} s" if deadline.over else ""


def _says_its_length(reply: Reply) -> bool:
    """Whether its end can be told from a cut; to the library a head that breaks off is one that is over."""
    chunked = reply.headers.get("transfer-encoding", "").lower() == "chunked"  # and not the beginning of it
    return reply.status in (204, 304) or chunked or reply.headers.get("content-length", "").strip().isdigit()


def judged(reply: Reply, name: str) -> Reply:
    """
    *reply* where its status is one that the API speaks with, 2xx or a 4xx with a reason.

    Raises:
        Unreachable: 429 or 5xx.
        CredentialsError: 401 or 403.
        PreflightError: A redirect, which is never followed: a token would go with it.
    """
    status = reply.status
    if 200 <= status < 300 or status in (400, 404, 405, 415, 422):
        return reply
    try:
        if 300 <= status < 400:
            where = reply.headers.get("location", "?")[:200]
            raise PreflightError(
                f"{name} redirects to {where!r}, and redirects are not followed", next_step="give the address behind the redirect"
            )
        if status in (401, 403):
            raise CredentialsError(
                f"{name} answers {status}: the token or certificate is missing, expired, or not allowed to read",
                next_step="log in anew, then run the same command again",
            )
        raise Unreachable(f"{name} answers {status}: {_start(reply)}", _seconds(reply.headers.get("retry-after")))
    finally:
        reply.close()


def _start(reply: Reply) -> str:
    """The first line of a body, for a message."""
    try:
        text = next(reply.pieces(), b"")[:ERROR_BYTES].decode("utf-8", "replace")
    except Unreachable:
        text = ""
    return next(iter(text.strip().splitlines()), "no reason given")[:200]


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _said(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    cause = cause.__cause__ if isinstance(cause, NewConnectionError) and cause.__cause__ else cause  # its own text names our classes
    return str(getattr(cause, "strerror", None) or cause)[:200]
