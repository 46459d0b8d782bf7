"""Amounts as Kubernetes writes them: ``100m`` of a core, ``1Gi`` of memory."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(text: object) -> Decimal | None:
    """The number that *text* means (cores, bytes, pieces); None when it is no quantity."""
    found = _FORM.fullmatch(str(text)) if isinstance(text, str | int | float) and not isinstance(text, bool) else None
    if found is None or len(found["number"]) > 30:
        return None
    number, unit = Decimal(found["number"]), found["unit"] or ""
    if unit in _BINARY:
        return number * (1 << _BINARY[unit])
    exponent = _DECIMAL.get(unit) if unit in _DECIMAL else int(unit[1:] or 0)
    return number.scaleb(exponent or 0)


def amount(text: object) -> float:
    """The same as a float; 0 where there is none."""
    found = quantity(text)
    return 0.0 if found is None else float(found)
