"""Amounts as Kubernetes writes them: ``250m``, ``0.5``, ``128Mi``, ``1e3``."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

_UNITS = {
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
    "": Decimal(1),
}


def amount(text: str | int | float) -> float:
    """
    The number that *text* stands for: cores, or bytes.

    Raises:
        ValueError: It is no amount.
    """
    word = str(text).strip()
    unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if unit and word.endswith(unit)), "")
    try:
        found = Decimal(word.removesuffix(unit) if unit else word) * _UNITS[unit]
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no amount") from error
    if not found.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return float(found)


def millicores(cores: float) -> str:
    """*cores* in whole thousandths, at least one: ``30m``."""
    return f"{max(1, math.floor(cores * 1000 + 0.5))}m"
