"""One request over one login: sent once, with a time limit, and everything that the libraries raise turned into ours."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InsecureRequestWarning, NameResolutionError, NewConnectionError, ProxyError

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.login import Login
from tasks.kube.words import one_line

CONNECT_S = 10.0
REQUEST_S = 30.0
LARGEST_BYTES = 256 << 20
"""A reply is never longer: pages and metrics are far below."""
PIECE_BYTES = 1 << 16
UNSENT = (NewConnectionError, ConnectTimeoutError, NameResolutionError, ProxyError, ConnectionRefusedError)
"""With these nothing reached the server."""
UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21})
"""
Codes of OpenSSL for a certificate that nobody here vouches for (``X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT`` and its like); 7, a bad
signature, is what a cluster that was made anew shows: its authority has the old one's name.
"""
OUR_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "DECRYPT_ERROR", "ACCESS_DENIED")
"""In a TLS alert, these are about the certificate that we sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask the API server."""

    method: str
    path: str
    query: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    timeout_s: float = REQUEST_S
    """For the whole reply; of a stream, for its head and between any two pieces."""
    repeatable: bool = True
    """Whether doing it twice is as good as once; else it is sent again only when it surely was not done."""

    @property
    def target(self) -> str:
        """Path and query."""
        query = {name: value for name, value in self.query.items() if value not in ("", ())}
        return f"{self.path}?{urlencode(query, doseq=True)}" if query else self.path

    def __str__(self) -> str:
        """``GET /api/v1/pods``, for messages."""
        return f"{self.method} {self.path}"


class NoReply(Exception):
    """
    The connection failed, was cut, or was silent for too long.

    Args:
        said: Why, in a line.
        sent: Whether the request may have reached the server.
    """

    def __init__(self, said: str, *, sent: bool) -> None:
        super().__init__(said)
        self.said = said
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Received:
    """A reply that was read whole."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Reply:
    """A reply whose body is still to be read."""

    response: urllib3.BaseHTTPResponse
    status: int
    headers: Mapping[str, str]
    deadline_s: float
    """``time.monotonic()`` after which reading the body whole is given up."""

    def received(self) -> Received:
        """
        Read it whole.

        Raises:
            NoReply: Cut off, too long, or not there in time.
        """
        body = bytearray()
        try:
            for piece in self.pieces():
                body += piece
                if len(body) > LARGEST_BYTES:
                    raise NoReply(f"a reply of more than {LARGEST_BYTES >> 20} MB", sent=True)
                if time.monotonic() > self.deadline_s:
                    raise NoReply("the reply took too long", sent=True)
        finally:
            self.close()
        return Received(self.status, self.headers, bytes(body))

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives; raises :class:`NoReply` when it is cut off."""
        try:
            yield from self.response.stream(PIECE_BYTES, decode_content=True)
        except (HTTPError, OSError) as error:
            raise NoReply(f"the reply was cut off: {said(error)}", sent=True) from error

    def lines(self) -> Iterator[bytes]:
        """The body's lines without their ends, each as soon as it is whole; a last one that has no end is no line."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > LARGEST_BYTES:
                raise NoReply(f"a line of more than {LARGEST_BYTES >> 20} MB", sent=True)

    def stop_reading(self) -> None:
        """Let a reader in another thread end."""
        try:
            self.response.shutdown()
        except (ValueError, RuntimeError, OSError):  # it has ended by itself
            return

    def close(self) -> None:
        """Give the connection back when the body was read whole, drop it otherwise."""
        self.response.release_conn() if self.response.closed else self.response.close()


class Line:
    """Connections to the server of one login."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.tls = login.tls()
        # an address without TLS gets no name to check
        named = {"server_hostname": login.tls_server_name} if login.tls_server_name and self.tls else {}
        options: dict[str, Any] = {"num_pools": 1, "maxsize": 8, "ssl_context": self.tls, **named}
        if not login.verify:
            options["cert_reqs"], options["assert_hostname"] = ssl.CERT_NONE, False
            urllib3.disable_warnings(InsecureRequestWarning)  # it was allowed, and once is enough to say so
        self._pool = _through(login.proxy, options) if login.proxy else urllib3.PoolManager(**options)

    def send(self, request: Request) -> Reply:
        """
        Send *request* once; redirects are never followed, since the login would go with it.

        Raises:
            NoReply: Worth another try.
            PreflightError: The server's certificate is not trusted, or it redirects.
            CredentialsError: The server refuses ours.
        """
        headers = {"User-Agent": "tidegauge", "Accept": "application/json, */*", "Accept-Encoding": "gzip"}
        if self.login.authorization is not None:
            headers["Authorization"] = self.login.authorization
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            response = self._pool.request(
                request.method,
                f"{self.login.server}{request.target}",
                body=request.body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_S, request.timeout_s), read=request.timeout_s),
            )
        except (HTTPError, OSError) as error:
            raise trouble(error, self.login) from error
        reply = Reply(response, response.status, lowered(response.headers), time.monotonic() + request.timeout_s)
        if not _has_length(reply):
            reply.response.close()
            raise NoReply("the head of the reply was cut off", sent=True)
        if 300 <= reply.status < 400:
            reply.response.close()
            raise PreflightError(
                f"{self.login.server} redirects, and redirects are not followed", next_step="mend `server` in the kubeconfig"
            )
        return reply


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Connections by way of *proxy*; the library does not look for a password in its address."""
    parts = urlsplit(proxy)
    named = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=named), **options)


def trouble(error: Exception, login: Login) -> Exception:
    """What to raise for an *error* of a library: certificates are a matter for the user, everything else may pass."""
    causes = [error, *(one for one in (*error.args[:1], getattr(error, "reason", None), error.__cause__) if isinstance(one, Exception))]
    refused = next((one for one in causes if isinstance(one, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        unknown = refused.verify_code in UNKNOWN_AUTHORITY
        return PreflightError(
            f"the certificate of {login.server} is not trusted: {refused.verify_message}",
            next_step=f"name its authority in the kubeconfig: `certificate-authority-data` of the cluster of context {login.context}"
            if unknown
            else "mend the certificate, or give the name that stands in it as `tls-server-name`",
        )
    if any("ALERT" in str(one) and any(word in str(one) for word in OUR_CERTIFICATE) for one in causes):
        return CredentialsError(f"{login.server} does not take our certificate: {said(error)}", next_step=login.again)
    unsent = any(isinstance(one, UNSENT) for one in causes)
    return NoReply(said(error), sent=not unsent)


def _has_length(reply: Reply) -> bool:
    """Whether its end can be told from a cut; to the library a head that breaks off is one that is over."""
    length = reply.headers.get("content-length", "")
    return reply.status == 204 or (length.isascii() and length.isdigit()) or "transfer-encoding" in reply.headers


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


def said(error: BaseException) -> str:
    """What an error of a library says, in a line."""
    cause = getattr(error, "reason", None) or error.__cause__ or error
    text = getattr(cause, "strerror", None) or cause
    return one_line(text) or type(error).__name__
