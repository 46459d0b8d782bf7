"""What the API server's answers mean, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import DocumentError
from tasks.telemetry.fetch import FetchError
from tasks.telemetry.kube.api import ApiPage, ApiServer
from tasks.telemetry.kube.refusals import Doubtful, Gone, NotLetIn, Trouble
from tasks.telemetry.prometheus.access import Access
from tests.kube.fake_api import FakeApi
from tests.telemetry.exporters import Send, ok, serving

POD = "/api/v1/namespaces/shop/pods/carts-1:80/proxy/metrics"


def asked(access: Access, act: Callable[[ApiServer], Any], limit: int = 1 << 20) -> Any:
    """What *act* gives on a server of its own."""

    async def run() -> Any:
        server = ApiServer(access, limit)
        try:
            return await act(server)
        finally:
            server.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


def token(folder: Path, text: str) -> str:
    """A file that holds it."""
    (folder / "token").write_text(text)
    return str(folder / "token")


def test_many_questions_take_one_connection():
    """It is kept, and every answer is counted."""

    async def act(server):
        for _ in range(5):
            await server.get(POD)
        return server.requests, server.received_bytes

    with serving(ok("a 1\n")) as exporter:
        counted = asked(Access(f"http://127.0.0.1:{exporter.port}/base/"), act)

    assert (exporter.connections, counted) == (1, (5, 20))
    assert exporter.heads[0].startswith(f"GET /base{POD} HTTP/1.1\n")


def test_a_connection_that_was_closed_meanwhile_is_opened_anew():
    """A server that hangs up between two questions costs nothing."""

    def answer(_: int, send: Send) -> bool:
        send(ok("a 1\n"))
        return False

    async def act(server):
        return [len((await server.get(POD)).body) for _ in range(3)]

    with serving(answer) as exporter:
        assert asked(Access(f"http://127.0.0.1:{exporter.port}"), act) == [4, 4, 4]


def refused(answers: list[tuple[int, str, str]]) -> list[Exception]:
    """What each answer (status, content type, body) is taken for."""

    def answer(number: int, send: Send) -> bool:
        status, kind, body = answers[number]
        send(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return True

    async def act(server):
        found = []
        for _ in answers:
            try:
                await server.get(POD)
            except (FetchError, Trouble) as error:
                found.append(error)
        return found

    with serving(answer) as exporter:
        return asked(Access(f"http://127.0.0.1:{exporter.port}"), act)


def status(code: int, message: str = "said", reason: str = "") -> tuple[int, str, str]:
    """The API server's own words."""
    value = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
    return code, "application/json", json.dumps(value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(503, "error trying to reach service: dial tcp 10.1.2.3:80: connect: connection refused"), FetchError),
        (status(404, 'pods "carts-1" not found', "NotFound"), FetchError),
        ((500, "text/plain", "oh"), FetchError),
        ((404, "text/html", "no such page"), FetchError),
        ((307, "text/html", "elsewhere"), FetchError),
        ((401, "text/plain", "the app wants a password"), FetchError),
        ((404, "application/json", "{}"), FetchError),
        ((404, "application/json", "["), FetchError),
        ((503, "text/html", "a balancer, or the app?"), Doubtful),
        ((504, "text/html", "a balancer, or the app?"), Doubtful),
        (status(403, "forbidden"), NotLetIn),
        (status(410, "too old"), Gone),
        (status(429, "slow down"), Trouble),
        ((429, "text/plain", "Too many requests"), Trouble),
        (status(500, "etcdserver: request timed out"), Trouble),
        (status(503, "apiserver is shutting down"), Trouble),
    ],
    ids=lambda value: f"{value[0]}-{value[2][:20]}" if isinstance(value, tuple) else value.__name__,
)
def test_who_failed(answer, kind):
    """A pod, which is an observation; the API server, which says nothing about the pod; or nobody can tell."""
    (error,) = refused([answer])

    assert type(error) is kind


def test_a_login_is_renewed_once(tmp_path):
    """The token's file is read anew for each request; the second refusal is told, with the way out and the exit code of a login."""
    with FakeApi(bearer="second") as api:
        api.texts[POD] = "a 1\n"

        async def act(server):
            with pytest.raises(NotLetIn) as caught:
                await server.get(POD)
            before = server.trouble
            (tmp_path / "token").write_text("second")
            return caught.value, before, (await server.get(POD)).body, server.trouble

        error, before, body, after = asked(Access(api.url, token_file=token(tmp_path, "first")), act)

    assert (body, after) == (b"a 1\n", None)
    assert "Unauthorized" in str(before)
    assert (error.refusal("x").exit_code, NotLetIn("no", 403).refusal("to look").exit_code) == (4, 3)


@pytest.mark.parametrize("trusted", [True, False])
def test_over_tls_with_a_certificate_of_ours(tmp_path, trusted):
    """Whom we trust and as whom we come stands in files; a server that nobody vouches for is not asked."""
    with FakeApi(tls=True, bearer=None) as api:
        api.texts[POD] = "a 1\n"
        user = {name: base64.b64decode(value) for name, value in api.certificate_user().items()}
        (tmp_path / "cert").write_bytes(user["client-certificate-data"])
        (tmp_path / "key").write_bytes(user["client-key-data"])
        value = json.loads(api.kubeconfig(tmp_path / "kubeconfig").read_text())
        (tmp_path / "ca").write_bytes(base64.b64decode(value["clusters"][0]["cluster"]["certificate-authority-data"]))
        api.bearer = "somebody else's"
        ca = str(tmp_path / "ca") if trusted else None

        async def act(server):
            return (await server.get(POD)).body

        access = Access(api.url, ca_file=ca, cert_file=str(tmp_path / "cert"), key_file=str(tmp_path / "key"))
        if trusted:
            assert asked(access, act) == b"a 1\n"
        else:
            with pytest.raises(Trouble, match="certificate"):
                asked(access, act)


@contextmanager
def proxy(status: str = "200 OK") -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that connects to whom it is told; its address, and what it was asked."""
    seen: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = [self.rfile.readline().decode().strip()]
            while head[-1]:
                head.append(self.rfile.readline().decode().strip())
            seen.append(head[0])
            self.request.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
            if status.startswith("200"):
                host, _, port = head[0].split()[1].rpartition(":")
                with socket.create_connection((host, int(port))) as there:
                    back = threading.Thread(target=pump, args=(there, self.request), daemon=True)
                    back.start()
                    pump(self.request, there)
                    back.join(5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes, until the end."""
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_through_a_proxy(tmp_path):
    """As the kubeconfig says; one that refuses is told with its words."""

    async def act(server):
        return (await server.get(POD)).body

    with FakeApi(tls=True, bearer=None) as api:
        api.texts[POD] = "a 1\n"
        value = json.loads(api.kubeconfig(tmp_path / "kubeconfig").read_text())
        (tmp_path / "ca").write_bytes(base64.b64decode(value["clusters"][0]["cluster"]["certificate-authority-data"]))
        with proxy() as (address, seen):
            assert asked(Access(api.url, ca_file=str(tmp_path / "ca"), proxy=address), act) == b"a 1\n"
        assert seen == [f"CONNECT {api.url.removeprefix('https://')} HTTP/1.1"]
        with proxy("407 Proxy Authentication Required") as (address, _), pytest.raises(Trouble, match="407"):
            asked(Access(api.url, ca_file=str(tmp_path / "ca"), proxy=address), act)


def test_a_server_that_is_not_there_is_trouble():
    """And it does not answer."""

    async def act(server):
        return await server.answers(0.5), server.trouble

    answers, trouble = asked(Access("http://127.0.0.1:1"), act)
    assert not answers
    assert (trouble.word, "cannot connect" in str(trouble)) == ("refused", True)


def test_a_silent_server_does_not_answer():
    """Within the time that it has."""

    async def act(server):
        return await server.answers(0.1), server.trouble and (server.trouble.word, str(server.trouble))

    with FakeApi(bearer=None) as api:
        api.stall_next()
        assert asked(Access(api.url), act) == (False, ("timeout", "no answer within 0.1 s"))
        assert asked(Access(api.url), act) == (True, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:8080",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://u:p@host",
        "ftp://h",
        "https://h/?a=b",
    ],
)
def test_what_is_no_api_server_is_not_asked(url):
    """Plain http elsewhere, the places of clouds' credentials, secrets in the address."""
    with pytest.raises(DocumentError):
        ApiServer(Access(url), 1000)


def test_a_page_follows_its_pod():
    """Its path may change between two scrapes."""
    with FakeApi(bearer=None) as api:
        api.texts |= {POD: "a 1\n", POD.replace("carts-1", "carts-2"): "a 2\n"}

        async def act(server):
            page = ApiPage(server, POD)
            first = (await page.get()).body
            page.path = POD.replace("carts-1", "carts-2")
            return first, (await page.get()).body

        assert asked(Access(api.url), act) == (b"a 1\n", b"a 2\n")
