"""Amounts as Kubernetes writes them: ``250m`` of a core, ``120Mi`` of memory, ``1e3``."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,5})?", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(text: object) -> Decimal | None:
    """The number that *text* means (cores, bytes, pieces), exactly; None when it is no quantity."""
    found = _FORM.fullmatch(str(text)) if isinstance(text, str | int | float) and not isinstance(text, bool) else None
    if found is None or len(found["number"]) > 30:
        return None
    digits, unit = Decimal(found["number"]), found["unit"] or ""
    if unit in _BINARY:
        return digits * (1 << _BINARY[unit])
    return digits.scaleb(_DECIMAL[unit] if unit in _DECIMAL else int(unit[1:]))


def number(text: object) -> float | None:
    """The same as a float, which may be infinite."""
    found = quantity(text)
    return None if found is None else float(found)
