"""Which addresses may be asked."""

from __future__ import annotations

import pytest

from tasks.base.errors import DocumentError
from tasks.telemetry.targets import Target, address_of


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
