"""Where load may be sent."""

import pytest

from tasks.load.address import address_problem


@pytest.mark.parametrize(
    "text", ["http://front-end.shop.svc:80", "https://shop.example.org", "http://127.0.0.1:8079/", "http://[::1]:8079", "http://10.0.0.7"]
)
def test_a_host_and_a_port_are_an_address(text):
    """By name or by number."""
    assert address_problem(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file:///etc/passwd", "no address"),
        ("gopher://shop:70", "no address"),
        ("shop:80", "no address"),
        ("http://", "no address"),
        ("http://shop:99999", "no address"),
        ("http://sh op", "no address"),
        ("http://shop\n.example.org", "no address"),
        ("http://me:secret@shop", "with a login"),
        ("http://shop/catalogue", "paths stand in the journeys"),
        ("http://shop?x=1", "paths stand in the journeys"),
        ("http://169.254.169.254", "metadata"),
        ("http://[::ffff:169.254.169.254]:80", "metadata"),
        ("http://[fd00:ec2::254]", "metadata"),
        ("http://metadata.google.internal.", "metadata"),
        ("http://0xA9FEA9FE", "metadata"),
        ("http://[64:ff9b::a9fe:a9fe]", "metadata"),
    ],
)
def test_everything_else_is_refused_with_a_reason(text, word):
    """Before anything is looked up or asked."""
    assert word in address_problem(text)
