"""The functional test, against real little servers."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.app.config import SmokeStep
from tasks.app.smoke import await_way, smoke


class Handler(BaseHTTPRequestHandler):
    """Sets a cookie on /login for ann:secret, wants it on /private, echoes what is posted, is slow on /slow."""

    def _send(self, status: int, text: str, cookie: str | None = None) -> None:
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        """Answer by path."""
        if self.path == "/login":
            good = self.headers["Authorization"] == "Basic YW5uOnNlY3JldA=="
            self._send(200 if good else 401, "hello", "sid=1")
        elif self.path == "/private":
            self._send(200 if self.headers["Cookie"] == "sid=1" else 401, "inside")
        elif self.path == "/slow":
            self.rfile.read(1)
        else:
            self._send(404, "nothing here")

    def do_POST(self) -> None:
        """Echo."""
        self._send(201, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """A running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.socket.close()


LOGIN = SmokeStep(name="ann logs in", path="/login", user="ann:secret")
PRIVATE = SmokeStep(name="ann sees her page", path="/private", contains="inside")
POSTED = SmokeStep(name="ann writes", method="POST", path="/notes", body={"text": "hi"}, status=201, contains='"text":"hi"')


def test_steps_share_their_cookies(address):
    """What the login set is sent with the next step; a body goes as JSON."""
    result = smoke(address, (LOGIN, PRIVATE, POSTED))

    assert result.passed
    assert [step.problem for step in result.steps] == [None, None, None]
    assert result.sentence.startswith("all 3 steps passed in ")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (PRIVATE, "(ann sees her page) failed: GET /private answered 401 instead of 200: 'inside'"),
        (SmokeStep(name="x", path="/login", user="ann:wrong"), "answered 401 instead of 200"),
        (SmokeStep(name="x", path="/nowhere", status=404, contains="socks"), "the answer to GET /nowhere does not contain 'socks'"),
        (SmokeStep(name="x", path="/slow"), "GET /slow was not answered within 0.2 s"),
    ],
)
def test_the_first_failing_step_is_told_and_the_last_one_tried(address, step, said):
    """One sentence: which step, what was asked, what came."""
    result = smoke(address, (POSTED, step, LOGIN), timeout_s=0.2)

    assert not result.passed
    assert len(result.steps) == 2
    assert result.sentence.startswith(f"step 2 of 3 ({step.name}) failed: ")
    assert said in result.sentence


def test_nobody_at_home():
    """A refused connection is a sentence, not a traceback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    result = smoke(f"http://127.0.0.1:{port}", (LOGIN,))

    assert not result.passed
    assert "GET /login got no answer (ConnectionRefusedError" in result.sentence


def test_a_way_that_comes_late_is_waited_for():
    """A Service takes connections a little later than its pods are ready; the first wait here is what opens it."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    opened: list[socket.socket] = []

    def sleep(_: float) -> None:
        opened.append(socket.create_server(("127.0.0.1", port)))

    assert await_way(f"http://127.0.0.1:{port}/x", 5.0, sleep)
    assert len(opened) == 1
    opened[0].close()
    assert not await_way(f"http://127.0.0.1:{port}", 0.0, sleep)
