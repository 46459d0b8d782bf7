"""An HTTP proxy on loopback that forwards connections, as companies have one between their people and their clusters."""

from __future__ import annotations

import base64
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class _Forward(BaseHTTPRequestHandler):
    """One connection to somewhere."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the base
        """Nothing."""

    def do_CONNECT(self) -> None:
        """Connect, and pass on every byte both ways."""
        proxy: Forwarder = self.server.proxy  # type: ignore[attr-defined]
        proxy.asked.append(self.path)
        if proxy.password and self.headers.get("proxy-authorization") != f"Basic {base64.b64encode(proxy.password.encode()).decode()}":
            self.send_error(407)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pass_on, args=(far, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, far)
            back.join(5)
        self.close_connection = True


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


class Forwarder:
    """Asks for *password* (``user:password``), if there is one."""

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Forward)
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]

    @property
    def url(self) -> str:
        """Its address, with the password in it."""
        return (
            f"http://{self.password}@127.0.0.1:{self._server.server_address[1]}"
            if self.password
            else f"http://127.0.0.1:{self._server.server_address[1]}"
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
