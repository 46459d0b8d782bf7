"""Amounts of a target's limits: read as they must be there, and written."""

from __future__ import annotations

import math

from tasks.kube.quantity import quantity


def amount(text: str | int | float) -> float:
    """
    The number that *text* stands for: cores, or bytes.

    Raises:
        ValueError: It is no amount.
    """
    found = quantity(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount")
    return float(found)


def millicores(cores: float) -> str:
    """*cores* in whole thousandths, at least one: ``30m``."""
    return f"{max(1, math.floor(cores * 1000 + 0.5))}m"
