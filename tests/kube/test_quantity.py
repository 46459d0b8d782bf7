"""Numbers as Kubernetes writes them."""

from __future__ import annotations

import pytest

from tasks.kube.quantity import number, quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300m", 0.3),
        ("2", 2.0),
        (2, 2.0),
        ("120Mi", 120 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("100k", 1e5),
        ("129e6", 129e6),
        ("1E", 1e18),
        ("-5n", -5e-9),
        (".5", 0.5),
        ("1e99999", 1e300 * 1e300),
    ],
)
def test_a_quantity_is_a_number(text, value):
    """With its suffix, binary or decimal, or its exponent."""
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "m", "1 Mi", "1MiB", "\u0661", "1e", None, "nan", "0x1"])
def test_what_is_none_is_none(text):
    """Nothing is guessed."""
    assert quantity(text) is None
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", 0.1),
        (2, 2),
        ("1Gi", 2**30),
        ("1.5e3", 1500),
        ("250k", 250_000),
        ("5n", 5e-9),
        ("", 0),
        ("x", 0),
        ("1 Gi", 0),
        (None, 0),
        (True, 0),
    ],
)
def test_amounts_are_read_as_kubernetes_writes_them(text, value):
    """Anything else is none."""
    assert (number(text) or 0.0) == value
    assert (quantity(text) is None) == (value == 0)
