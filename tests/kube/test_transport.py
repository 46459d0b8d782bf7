"""The connection itself: trust, certificates, redirects, packed bodies."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Unavailable
from tests.kube.certificates import Authority
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.forwarder import Forwarder

SHOWN = b"Bearer first"


@pytest.fixture(scope="module")
def secure() -> Iterator[FakeApi]:
    """A server that speaks TLS."""
    with FakeApi(tls=True) as running:
        yield running


def test_a_server_with_a_known_authority_is_trusted(secure: FakeApi, tmp_path: Path):
    """By the certificate in the kubeconfig."""
    kube = Kube.connect(KubeAccess(str(secure.kubeconfig(tmp_path / "kubeconfig"))))

    assert (kube.version(), kube.server) == ("v1.36.3", secure.url)


def test_a_client_certificate_lets_in(secure: FakeApi, tmp_path: Path):
    """Without any token."""
    path = secure.kubeconfig(tmp_path / "kubeconfig", user=secure.certificate_user())

    assert Kube.connect(KubeAccess(str(path))).version() == "v1.36.3"


def test_a_server_of_another_authority_is_not_trusted(secure: FakeApi, tmp_path: Path):
    """The sentence says which setting names it; no request is sent, and no second try made."""
    cluster = {"certificate-authority-data": Authority().ca_base64}
    before = len(secure.requests)

    with pytest.raises(PreflightError, match=r"is not trusted: .*\n.*certificate-authority-data"):
        Kube.connect(KubeAccess(str(secure.kubeconfig(tmp_path / "kubeconfig", cluster=cluster))))
    assert len(secure.requests) == before


def test_a_server_of_another_name_is_not_trusted_unless_that_name_is_given(secure: FakeApi, tmp_path: Path):
    """The name in the certificate may be another than the address."""
    access = {
        name: KubeAccess(str(secure.kubeconfig(tmp_path / name, cluster={"tls-server-name": name}))) for name in ("localhost", "shop")
    }

    assert Kube.connect(access["localhost"]).version() == "v1.36.3"
    with pytest.raises(PreflightError, match=r"is not trusted: .*shop.*\n.*tls-server-name"):
        Kube.connect(access["shop"])


def test_a_client_certificate_of_another_authority_is_refused(secure: FakeApi, tmp_path: Path):
    """That is a login, not a network: exit 4, and no retries."""
    with pytest.raises(CredentialsError, match="does not take our certificate"):
        Kube.connect(KubeAccess(str(secure.kubeconfig(tmp_path / "kubeconfig", user=Authority().user()))))


def test_an_unchecked_server_is_used_where_that_is_allowed(secure: FakeApi, tmp_path: Path):
    """By the flag of the access alone."""
    cluster = {"certificate-authority-data": Authority().ca_base64, "insecure-skip-tls-verify": True}
    path = str(secure.kubeconfig(tmp_path / "kubeconfig", cluster=cluster))

    with pytest.raises(PreflightError, match="does not check"):
        Kube.connect(KubeAccess(path))
    assert Kube.connect(KubeAccess(path, insecure=True)).version() == "v1.36.3"


@pytest.mark.parametrize("password", ["", "eva:canary-77"])
def test_a_proxy_on_the_way_is_used_for_everything(secure: FakeApi, tmp_path: Path, password: str):
    """For requests and for programs; its password is neither handed over nor said."""
    secure.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
    with Forwarder(password) as proxy:
        path = secure.kubeconfig(tmp_path / "kubeconfig", cluster={"proxy-url": proxy.url})
        kube = Kube.connect(KubeAccess(str(path)))
        kube.get("/api/v1/pods")
        assert kube.execute("shop", "p", "c", ["true"], timeout_s=5).code == 0
        assert proxy.asked == [f"127.0.0.1:{secure.port}"] * 2
        if password:
            with pytest.raises(PreflightError, match="wants a password") as refused:
                kube.connection(tmp_path / "over")
            assert "canary-77" not in f"{refused.value} {kube._session.login!r}"
        else:
            assert kube.connection(tmp_path / "over").proxy == proxy.url


def test_a_proxy_that_is_not_there_is_told(secure: FakeApi, tmp_path: Path, clock: QuickClock):
    """Without its password."""
    path = secure.kubeconfig(tmp_path / "kubeconfig", cluster={"proxy-url": "http://eva:canary-77@127.0.0.1:9"})

    with pytest.raises(PreflightError, match="does not answer") as refused:
        Kube.connect(KubeAccess(str(path)), clock=clock)
    assert "canary-77" not in str(refused.value)


class Canned:
    """A server that answers every connection with the same bytes, and keeps what it was sent."""

    def __init__(self, reply: bytes) -> None:
        self.sent = b""
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.sent += connection.recv(1 << 16)
                    connection.sendall(self._reply)
        except OSError:
            return

    def access(self, api: FakeApi, path: Path) -> KubeAccess:
        """An access that leads here, with the token of *api*."""
        return KubeAccess(str(api.kubeconfig(path, cluster={"server": self.url})))

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


@pytest.fixture
def canned() -> Iterator[list[Canned]]:
    """Servers that are closed in the end."""
    made: list[Canned] = []
    yield made
    for one in made:
        one.close()


def answer(status: str, body: bytes = b"", *heads: str) -> bytes:
    """A reply's bytes."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *heads, "", ""]).encode() + body


def test_a_redirect_is_not_followed(api: FakeApi, canned: list[Canned], tmp_path: Path):
    """The token would go with it."""
    other = Canned(answer("200 OK", b"{}"))
    first = Canned(answer("302 Found", b"", f"Location: {other.url}/version"))
    canned += [first, other]

    with pytest.raises(PreflightError, match="redirects are not followed"):
        Kube.connect(first.access(api, tmp_path / "kubeconfig"))
    assert (SHOWN in first.sent, other.sent) == (True, b"")


def test_a_packed_reply_is_unpacked(api: FakeApi, canned: list[Canned], tmp_path: Path):
    """Servers pack what is long."""
    canned.append(Canned(answer("200 OK", gzip.compress(b'{"gitVersion": "v1"}'), "Content-Encoding: gzip")))

    assert Kube.connect(canned[0].access(api, tmp_path / "kubeconfig")).version() == "v1"


def test_a_packed_reply_in_pieces_is_unpacked(api: FakeApi, canned: list[Canned], tmp_path: Path):
    """The kubelet's metrics come so."""
    packed = gzip.compress(b'{"gitVersion": "v1"}')
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    pieces = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (packed[:7], packed[7:], b""))
    canned.append(Canned(head.encode() + pieces))

    assert Kube.connect(canned[0].access(api, tmp_path / "kubeconfig")).version() == "v1"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        answer("200 OK", b"no gzip", "Content-Encoding: gzip"),
    ],
)
def test_a_reply_that_is_none_is_no_reply(api: FakeApi, canned: list[Canned], tmp_path: Path, clock: QuickClock, reply: bytes):
    """Nothing of the library's errors leaks."""
    canned.append(Canned(reply))

    with pytest.raises(PreflightError, match="does not answer"):
        Kube.connect(canned[0].access(api, tmp_path / "kubeconfig"), clock=clock)


def test_a_reply_without_end_is_given_up(api: FakeApi, kube: Kube, monkeypatch):
    """By its length, since it comes in time."""
    from tasks.kube import transport

    monkeypatch.setattr(transport, "LARGEST_BYTES", 1000)
    api.texts["/api/v1/nodes/n/proxy/metrics"] = "x" * 5000

    with pytest.raises(Unavailable, match="a reply of more than"):
        kube.text("/api/v1/nodes/n/proxy/metrics")


def test_an_address_without_a_server_name_gets_none(api: FakeApi, tmp_path: Path):
    """Plain HTTP on loopback, as through `kubectl proxy`, knows no names."""
    path = api.kubeconfig(tmp_path / "kubeconfig", cluster={"tls-server-name": "localhost"})

    assert Kube.connect(KubeAccess(str(path))).version() == "v1.36.3"


def test_what_a_certificate_holds_is_not_left_on_disk(secure: FakeApi, tmp_path: Path, monkeypatch):
    """The library wants files: they are gone when the connection stands."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    user = secure.certificate_user()
    Kube.connect(KubeAccess(str(secure.kubeconfig(tmp_path / "kubeconfig", user=user)))).version()

    assert list((tmp_path / "scratch").iterdir()) == []
    assert base64.b64decode(user["client-key-data"]).startswith(b"-----BEGIN PRIVATE KEY")
