"""Answers of the fake API server: heads, bodies, pieces, and what goes wrong with them."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from tasks.kube.permission import Permission, needed
from tasks.kube.rights import granted
from tests.kube.giving import GROUP, given
from tests.kube.objects import Key, Refused, Stored, not_found
from tests.kube.trouble import Cut, Fail, Seen, Stall

if TYPE_CHECKING:
    from tests.kube.fake_api import FakeApi

ROLES = ("Role", "ClusterRole")


class Dropped(Exception):
    """The connection ends here, without another word."""


class Listener(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    api: FakeApi

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that failed is the client's business."""


class Answers(BaseHTTPRequestHandler):
    """One connection, and what is sent over it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def api(self) -> FakeApi:
        """The server's state."""
        return cast("Listener", self.server).api

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the base
        """Nothing."""

    def setup(self) -> None:
        """Shake hands in this connection's own thread."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(5)
            self.request.do_handshake()
            self.request.settimeout(None)
        super().setup()

    def handle(self) -> None:
        """Serve until the connection ends; a client that goes away is nothing to tell of."""
        try:
            super().handle()
        except (OSError, Dropped):
            self.close_connection = True

    def finish(self) -> None:
        """End the connection, also one whose answers were limited."""
        vars(self.wfile).pop("write", None)
        try:
            super().finish()
        except (OSError, ValueError, Dropped):
            return

    def limit(self, act: Cut | Stall) -> None:
        """Let only so many bytes of the answer out."""
        left, write, flush = act.after_bytes, self.wfile.write, self.wfile.flush

        def limited(data: bytes) -> int:
            nonlocal left
            write(data[:left])
            left -= len(data)
            if left <= 0:
                flush()
                if isinstance(act, Stall):
                    self.api.stopping.wait(60)
                raise Dropped
            return len(data)

        self.wfile.write = limited  # type: ignore[method-assign, assignment]

    def refuse(self, fail: Fail, details: dict[str, Any] | None = None) -> None:
        """An error, in the API's form unless it is another server's."""
        extra = {} if fail.retry_after is None else {"Retry-After": fail.retry_after}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": fail.message}
        status |= {"reason": fail.reason, "details": details or {}, "code": fail.status}
        body = fail.message.encode() if fail.plain else json.dumps(status).encode()
        self.send(fail.status, body, "text/plain" if fail.plain else "application/json", extra)

    def send_json(self, status: int, value: dict[str, Any]) -> None:
        """An object."""
        self.send(status, json.dumps(value, separators=(",", ":")).encode())

    def send(self, status: int, body: bytes, kind: str = "application/json", extra: dict[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, kind: str = "application/json") -> None:
        """The head of an answer whose end is not known."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        """A piece of it, at once."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def end(self) -> None:
        """Its end."""
        self.wfile.write(b"0\r\n\r\n")

    def drop(self) -> None:
        """End the connection without one."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        raise Dropped

    def there(self, key: Key) -> Stored:
        """The object at *key*; raises Refused."""
        found = self.api.objects.get(key)
        if found is None:
            raise not_found(key)
        return found

    def check(self, seen: Seen) -> None:
        """Raise Refused where the rights do not allow it."""
        permission = needed(seen.method, seen.path, watch=seen.watches)
        if permission is not None and not self.may(permission):
            raise Refused(403, "Forbidden", f'User "tester" cannot {permission}')

    def check_given(self, item: Mapping[str, Any]) -> None:
        """Raise Refused where *item* gives rights away that its maker has not."""
        if item.get("apiVersion") != f"{GROUP}/v1":
            return
        roles = {(kind, one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for kind in ROLES for one in self.api.all(kind)}
        lacking = [str(one) for one in given(item, roles) if not self.may(one)]
        if lacking:
            message = f'user "tester" is attempting to grant RBAC permissions not currently held: {", ".join(lacking)}'
            raise Refused(403, "Forbidden", f'{item["kind"]} "{item["metadata"]["name"]}" is forbidden: {message}')

    def may(self, permission: Permission) -> bool:
        """Whether the rights of now allow it."""
        mine = permission.resource.startswith("selfsubject")
        return mine or self.api.granted is None or granted(permission, self.api.granted)
