"""
A program run in a container, over the API's websocket.

The Kubernetes client's own stream has no time limit for connecting, and cannot tell a connection that broke from a program that
ended: so only the websocket library below it is used.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tasks.kube.errors import KubeError, refusal
from tasks.kube.login import Login
from tasks.kube.patience import NOT_DONE
from tasks.kube.session import Session
from tasks.kube.transport import CONNECT_S, Line, NoReply, Received, Request, lowered, said, trouble

if TYPE_CHECKING:
    from websocket import WebSocket

OUTPUT_BYTES = 8 << 20
"""More of what a program says is dropped."""
PROTOCOL = "v4.channel.k8s.io"
_STDOUT, _STDERR, _STATUS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Executed:
    """How a program ended."""

    code: int | None
    """Its exit code; None: it was still running when the time was over, or the connection was lost."""
    output: str
    """Standard output and error, as they came."""


def execute(session: Session, request: Request, *, timeout_s: float) -> Executed:
    """
    Start what *request* asks for, and follow it for *timeout_s* at most; starting it takes as long as any request.

    Raises:
        KubeError: It could not be started.
        CredentialsError: The login ended, and nobody renewed it in time.
    """
    opened: list[WebSocket] = []

    def open_one(line: Line) -> Received:
        found = _opened(line, request, min(CONNECT_S, timeout_s))
        if isinstance(found, Received):
            return found
        opened.append(found)
        return Received(101, {}, b"")

    session.persist(request, open_one)
    return _followed(opened[0], time.monotonic() + timeout_s, str(request))


def _opened(line: Line, request: Request, timeout_s: float) -> WebSocket | Received:
    """The open websocket, or the reply that refuses it."""
    import websocket

    login = line.login
    header = [] if login.authorization is None else [f"Authorization: {login.authorization}"]
    tls: dict[str, Any] = {} if line.tls is None else {"context": line.tls}
    if login.tls_server_name is not None:
        tls["server_hostname"] = login.tls_server_name
    made = websocket.WebSocket(sslopt=tls, skip_utf8_validation=True)
    try:
        made.connect(  # type: ignore[no-untyped-call]
            f"ws{login.server.removeprefix('http')}{request.target}",
            header=header,
            subprotocols=[PROTOCOL],
            suppress_origin=True,
            redirect_limit=0,
            timeout=timeout_s,
            **_proxy(login),
        )
    except websocket.WebSocketBadStatusException as error:  # the program was not started
        found = Received(error.status_code, lowered(error.resp_headers or {}), error.resp_body or b"")
        if found.status >= 500 and found.status not in NOT_DONE:  # there is no such container now, or its node does not answer
            raise refusal(found.status, found.body, str(request)) from error
        return found
    except websocket.WebSocketAddressException as error:
        raise NoReply(said(error), sent=False) from error
    except websocket.WebSocketException as error:
        raise NoReply(said(error), sent=True) from error
    except OSError as error:
        raise trouble(error, login) from error
    return made


def _proxy(login: Login) -> dict[str, Any]:
    if login.proxy is None:
        return {"http_no_proxy": ["*"]}
    parts = urlsplit(login.proxy)
    auth = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return {"http_proxy_host": parts.hostname, "http_proxy_port": parts.port or 80, "http_proxy_auth": auth, "proxy_type": "http"}


def _followed(socket: WebSocket, until_s: float, what: str) -> Executed:
    """Read until the program ended, or the time is over."""
    import websocket

    output, status = bytearray(), bytearray()
    try:
        while (left_s := until_s - time.monotonic()) > 0:
            socket.settimeout(left_s)
            opcode, data = socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            if data[:1] and data[0] in (_STDOUT, _STDERR):
                output += data[1 : 1 + OUTPUT_BYTES - len(output)]
            elif data[:1] == bytes([_STATUS]):
                status += data[1:]
    except (websocket.WebSocketException, OSError):  # too late, or cut: how it ended is not known
        return Executed(_code(bytes(status), what), output.decode("utf-8", "replace"))
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]
    return Executed(_code(bytes(status), what), output.decode("utf-8", "replace"))


def _code(status: bytes, what: str) -> int | None:
    """
    The exit code in the last message of the connection; None where there was no such message.

    Raises:
        KubeError: The program could not be started at all.
    """
    if not status:
        return None
    try:
        value = json.loads(status)
        if value["status"] == "Success":
            return 0
        causes = (value.get("details") or {}).get("causes") or ()
        if value.get("reason") == "NonZeroExitCode":
            return int(next(cause["message"] for cause in causes if cause.get("reason") == "ExitCode"))
        text, reason = str(value.get("message", "")), str(value.get("reason", ""))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        return None
    raise KubeError(f"{what}: {text}", reason=reason, next_step="see whether the container has that program")
