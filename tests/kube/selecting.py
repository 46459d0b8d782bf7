"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from typing import Any

_SET = re.compile(r"(?P<key>[^\s!=,]+)\s+(?P<word>in|notin)\s+\((?P<values>[^)]*)\)")


def selects(labels: str, fields: str, item: dict[str, Any]) -> bool:
    """Whether both selectors take *item*; empty ones take everything."""
    there = item["metadata"].get("labels") or {}
    return all(_label(one, there) for one in _parts(labels)) and all(_field(one, item) for one in _parts(fields))


def _parts(selector: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return [one.strip() for one in re.split(r",(?![^(]*\))", selector) if one.strip()]


def _label(part: str, labels: dict[str, str]) -> bool:
    found = _SET.fullmatch(part)
    if found is not None:
        values = {one.strip() for one in found["values"].split(",")}
        inside = labels.get(found["key"]) in values
        return inside if found["word"] == "in" else not inside
    key, same, value = _compared(part)
    if same is None:
        return key[1:] not in labels if key.startswith("!") else key in labels
    return (labels.get(key) == value) == same


def _field(part: str, item: dict[str, Any]) -> bool:
    key, same, value = _compared(part)
    place: Any = item
    for step in key.split("."):
        place = place.get(step) if isinstance(place, dict) else None
    return ((place or "") == value) == (same is not False)


def _compared(part: str) -> tuple[str, bool | None, str]:
    """Key, whether it must be equal, and the value; None where there is nothing to compare."""
    for sign, same in (("!=", False), ("==", True), ("=", True)):
        if sign in part:
            key, _, value = part.partition(sign)
            return key.strip(), same, value.strip()
    return part, None, ""
