"""One line of ``doctor``."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and one command that mends it."""

    name: str
    state: State
    text: str
    fix: str = ""
    more: str = ""
    """Lines that help with it: a Role in YAML."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)
