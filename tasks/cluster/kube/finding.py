"""One line of what was found out about a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what mends it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str
    fix: str = ""
    """One command or one thing to do."""
    more: str = ""
    """Lines that help with it: a Role in YAML."""
