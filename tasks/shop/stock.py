"""The socks and customers that a new shop starts with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent / "data"


def socks() -> list[dict[str, Any]]:
    """Ten socks; one of them costs more than payment allows."""
    return _read("socks.json")


def customers() -> list[dict[str, Any]]:
    """The published logins of the demonstration: they guard nothing."""
    return _read("customers.json")


def _read(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((_FOLDER / name).read_bytes())
    return found
