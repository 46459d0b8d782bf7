"""
What both services share: a small HTTP server that measures itself with prometheus-client.

Tidegauge's metric catalogue knows a histogram called ``http_request_duration_seconds`` with the label ``status_code``, so rate,
error ratio and latency quantiles of these services become columns by themselves; so do the process metrics.
"""

import os
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest

Reply = tuple[int, str]
"""Status and text."""
DURATION = Histogram("http_request_duration_seconds", "Time to answer a request.", ["method", "route", "status_code"])


def serve(routes: Mapping[str, Callable[[], Reply]]) -> None:
    """Answer GET requests for *routes*, ``/health`` and ``/metrics`` on loopback, until the process is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._send(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path == "/health":
                self._send(200, b"ok", "text/plain")
            elif self.path in routes:
                self._measured(self.path)
            else:
                self._send(404, b"not here", "text/plain")

        def _measured(self, route: str) -> None:
            start = time.perf_counter()
            status, text = routes[route]()
            DURATION.labels("GET", route, str(status)).observe(time.perf_counter() - start)
            self._send(status, text.encode(), "text/plain")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the output for what matters: it is recorded."""

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
