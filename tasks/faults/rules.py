"""What the proxy does to one service's traffic, and until when: a rule ends by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

LONGEST_DELAY_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Delay every request by *delay_ms* and answer a share *error_ratio* of them without forwarding.

    The rule holds while both clocks are before their limits: ``CLOCK_MONOTONIC`` stands still while the machine sleeps,
    wall time may be set back, so whichever passes first ends it.
    """

    fault: str
    delay_ms: float
    error_ratio: float
    until_mono_s: float
    until_wall_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.delay_ms <= LONGEST_DELAY_MS:
            raise ValueError(f"delay_ms must be between 0 and {LONGEST_DELAY_MS:.0f}, not {self.delay_ms}")
        if not 0 <= self.error_ratio <= 1:
            raise ValueError(f"error_ratio must be between 0 and 1, not {self.error_ratio}")

    def holds(self, mono_s: float, wall_s: float) -> bool:
        """Whether the rule still applies."""
        return mono_s < self.until_mono_s and wall_s < self.until_wall_s

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read a rule from a request on the proxy's socket.

        Raises:
            ValueError: A field is missing, is not a number, or is out of range.
        """
        try:
            numbers = {key: float(value[key]) for key in ("delay_ms", "error_ratio", "until_mono_s", "until_wall_s")}
            return cls(fault=str(value["fault"]), **numbers)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a rule: {error!r}") from error


@dataclass(slots=True)
class Counters:
    """What went through one service's listener since the proxy started; only ever grows."""

    requests: int = 0
    delayed: int = 0
    errors_injected: int = 0
    held_s: float = 0.0
    """Seconds that requests were really held, by the clock."""
    answered_s: float = 0.0
    """Seconds from the first byte of a request to the first byte of its answer, summed."""
    upstream_failures: int = 0
    """Requests answered 502 or cut, because the service could not be reached or broke off."""
    open: int = 0
    """Client connections that are open now (the only number that may fall)."""
