"""Which addresses may be asked."""

from __future__ import annotations

import pytest

from tasks.base.errors import DocumentError
from tasks.telemetry.targets import Target, address_of, api_server, below


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://user:secret@127.0.0.1/metrics",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/metrics",
        "http://example.com/metrics",
        "http://10.0.0.7:9090/metrics",
        "http://127.0.0.1.example.com/",
        "http://0.0.0.0:80/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\r\nX: y",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/#part",
        "http:///metrics",
        "//127.0.0.1/metrics",
        "",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """Anything but plain http(s) to this machine needs a named host; link-local ones are refused even then."""
    with pytest.raises(DocumentError) as caught:
        address_of(url, hosts=("169.254.169.254", "fe80::1"))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:8080/metrics", "127.0.0.1:8080", "/metrics"),
        ("http://localhost", "localhost:80", "/"),
        ("https://[::1]:9/a?b=c", "[::1]:9", "/a?b=c"),
        ("http://prometheus.lab:9090/x", "prometheus.lab:9090", "/x"),
    ],
)
def test_loopback_and_named_hosts_are_taken(url: str, authority: str, path: str) -> None:
    """The pieces of the address are what a request needs."""
    address = address_of(url, hosts=("prometheus.lab",))

    assert (address.authority, address.path) == (authority, path)


def test_a_target_has_a_known_role() -> None:
    """A role that nobody knows is named in the message."""
    with pytest.raises(DocumentError, match="'cluster'"):
        Target.from_json({"name": "a", "role": "cluster", "url": "http://127.0.0.1"})


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7:8080",
        "http://kubernetes.lab",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://user:secret@10.0.0.7:6443",
        "https://10.0.0.7:6443/?token=secret",
        "https://10.0.0.7:6443/#x",
        "https://10.0.0.7:99999",
        "ftp://10.0.0.7",
        "",
    ],
)
def test_what_is_no_api_server_is_refused(url: str) -> None:
    """Plain http away from this machine, clouds' credentials, secrets in the address; no secret is told."""
    with pytest.raises(DocumentError) as caught:
        api_server(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://10.0.0.7:6443", "/api/v1/pods"),
        ("https://kubernetes.lab/k8s/clusters/c-1/", "/k8s/clusters/c-1/api/v1/pods"),
        ("http://127.0.0.1:8001", "/api/v1/pods"),
        ("https://[2001:db8::1]:6443", "/api/v1/pods"),
    ],
)
def test_the_api_server_of_a_kubeconfig_may_be_elsewhere(url: str, path: str) -> None:
    """It alone: everything that is asked is a path below it."""
    assert below(api_server(url), "/api/v1/pods") == path


@pytest.mark.parametrize(
    "path",
    [
        "/api/../../secrets",
        "/api/%2e%2e/x",
        "/api/..%2fx",
        "//evil/x",
        "api/v1",
        "",
        "/api/v1#x",
        "/api/v1 x",
        "/api\r\nHost: evil",
        "/api/\\x",
        "/api/%5c..",
        "/a/./b",
        "/\u00e4",
    ],
)
def test_nothing_leads_away_from_the_api_server(path: str) -> None:
    """Parts of it come from annotations that an app's author wrote."""
    with pytest.raises(DocumentError):
        below(api_server("https://10.0.0.7:6443"), path)


def test_a_query_is_part_of_a_path() -> None:
    """Whatever is in it."""
    assert below(api_server("https://h/base"), "/x/proxy/m?a=../b") == "/base/x/proxy/m?a=../b"
