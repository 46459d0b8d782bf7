"""
How long to wait before a request is sent again, and when to give up: a decision, no waiting.

Not stamina: the server's own Retry-After is the wait, whether it fits into what is left decides at once, and the waiting is
done by the injected clock, so that a storm of thirty seconds takes a test none.
"""

from __future__ import annotations

import email.utils
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

FIRST_S = 0.1
LONGEST_S = 5.0
NOT_DONE = frozenset({429, 503})
"""Statuses with which the server says that it did not begin: also what must not be done twice may be sent again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """All tries of one request together take at most *total_s* seconds, the last one's own time limit aside."""

    total_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def wait_s(self, tries: int, spent_s: float, asked_s: float | None) -> float | None:
        """
        Seconds to wait before the next try; None: give up.

        Args:
            tries: How many there were, from 1.
            spent_s: Seconds since the first began.
            asked_s: The server's Retry-After; None: it does not say, then the wait doubles, with a random part.
        """
        wait_s = asked_s if asked_s is not None else min(LONGEST_S, FIRST_S * 2.0 ** (tries - 1)) * self.rng.uniform(0.5, 1.0)
        return wait_s if spent_s + wait_s < self.total_s else None


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds in a reply's Retry-After, given as a number or as a date; None where there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError):
        return None
