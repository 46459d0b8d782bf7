"""
Little exporters: real servers on real sockets that answer, stall, cut or lie as told.

As a process: ``python -m tests.telemetry.exporters PORT_FILE LOG_FILE`` serves ``ticks_total`` and ``page_gauge``; each
request raises ``ticks_total`` by one, and the log gets a line a reply: wall time and the value that was served.
"""

from __future__ import annotations

import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Send = Callable[[bytes], None]


def ok(body: str | bytes, *, content_type: str = "text/plain; version=0.0.4", extra: str = "") -> bytes:
    """A whole reply of status 200 with *body*."""
    raw = body if isinstance(body, bytes) else body.encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(raw)}\r\n{extra}\r\n".encode() + raw


@dataclass
class Exporter:
    """A running server: where it is, what it was asked, and how it answers."""

    answer: Callable[[int, Send], bool]
    """Gets the number of the request (from 0) and a way to send bytes; says whether to keep the connection."""
    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its metrics page."""
        return f"http://127.0.0.1:{self.port}/metrics"


def fixed(reply: bytes) -> Callable[[int, Send], bool]:
    """Always the same reply, over a kept connection."""

    def answer(_: int, send: Send) -> bool:
        send(reply)
        return True

    return answer


@contextmanager
def serving(answer: Callable[[int, Send], bool] | bytes, port: int = 0) -> Iterator[Exporter]:
    """Serve on loopback while the block runs."""
    exporter = Exporter(fixed(answer) if isinstance(answer, bytes) else answer)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            exporter.connections += 1
            while head := self._head():
                exporter.heads.append(head)
                try:
                    if not exporter.answer(len(exporter.heads) - 1, self.request.sendall):
                        return
                except OSError:
                    return

        def _head(self) -> str:
            lines: list[str] = []
            try:
                while (line := self.rfile.readline().decode().rstrip("\r\n")) or not lines:
                    if not line:
                        return ""
                    lines.append(line)
            except OSError:
                return ""
            return "\n".join(lines)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", port), Handler) as server:
        exporter.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield exporter
        finally:
            server.shutdown()
            thread.join()


def _main(port_file: Path, log_file: Path, port: int) -> None:
    with log_file.open("a") as log:

        def answer(_: int, send: Send) -> bool:
            answer.served += 1  # type: ignore[attr-defined]
            count = answer.served  # type: ignore[attr-defined]
            log.write(f"{time.time():.4f} {count}\n")
            log.flush()
            send(ok(f'# TYPE ticks counter\nticks_total {count}\npage_gauge{{kind="a,b"}} {count * 0.25}\n'))
            return True

        answer.served = 0  # type: ignore[attr-defined]
        with serving(answer, port) as exporter:
            partial = port_file.with_suffix(".partial")
            partial.write_text(str(exporter.port))
            partial.replace(port_file)
            threading.Event().wait()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
