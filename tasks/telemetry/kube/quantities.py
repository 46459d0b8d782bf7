"""Kubernetes' own way to write numbers: ``250m`` cores, ``120Mi`` bytes."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(text: object) -> float | None:
    """The number that *text* stands for; None where it is none."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    if found[2] is not None:
        return float(f"{found[1]}e{found[2]}")
    number, suffix = float(found[1]), found[3] or ""
    return number * 2.0 ** _BINARY[suffix] if suffix in _BINARY else number * 10.0 ** _DECIMAL[suffix]
