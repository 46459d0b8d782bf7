"""Numbers as Kubernetes writes them."""

from __future__ import annotations

import pytest

from tasks.telemetry.kube.quantities import quantity


@pytest.mark.parametrize(
    ("text", "number"),
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
def test_a_quantity_is_a_number(text, number):
    """With its suffix, binary or decimal, or its exponent."""
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "m", "1 Mi", "1MiB", "\u0661", "1e", None, "nan", "0x1"])
def test_what_is_none_is_none(text):
    """Nothing is guessed."""
    assert quantity(text) is None
