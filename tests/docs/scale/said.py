"""Lines of arithmetic, and figures in a size that people read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

UNKNOWN = "not measured yet"
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_TIMES = ((3600.0, "h"), (60.0, "min"))


@dataclass(frozen=True, slots=True)
class Line:
    """One step of the arithmetic."""

    what: str
    how: str
    value: float | None
    """None: a unit cost in it has not been measured."""
    unit: str = ""

    @property
    def cells(self) -> tuple[str, str, str]:
        """For a table."""
        return self.what, self.how, figure(self.value, self.unit)


def reckoned(act: Callable[..., float], *costs: float | None) -> float | None:
    """What *act* makes of *costs*; None where one of them is not known."""
    known = [one for one in costs if one is not None]
    return act(*known) if len(known) == len(costs) else None


def figure(value: float | None, unit: str = "") -> str:
    """*value* in three digits and a readable multiple of its unit."""
    if value is None:
        return UNKNOWN
    stem, per, rest = unit.partition("/")
    if stem == "bytes":
        return _scaled(value, _BYTES, "bytes") + per + rest
    if unit in ("s", "cpu s"):
        return _scaled(value, _TIMES if value >= 120 else (), "s") + (" of a processor" if unit == "cpu s" else "")
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{_digits(value / size)} {word} {unit}".rstrip()
    return f"{_digits(value)} {unit}".rstrip()


def _scaled(value: float, steps: tuple[tuple[float, str], ...], unit: str) -> str:
    for size, name in steps:
        if value >= size:
            return f"{_digits(value / size)} {name}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
