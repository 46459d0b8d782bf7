"""When each virtual user sets out: fixed times at a constant pace, spread evenly over the users."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Pace:
    """Intended starts at ``phase_s + k * period_s`` seconds after the load began, k = 0, 1, 2, ..."""

    period_s: float
    phase_s: float

    def start_s(self, turn: int) -> float:
        """Intended start of journey number *turn*."""
        return self.phase_s + turn * self.period_s

    def first(self, since_s: float) -> int:
        """The first turn that is not before *since_s*."""
        return max(0, math.ceil((since_s - self.phase_s) / self.period_s - 1e-9))

    def following(self, turn: int, started_s: float) -> int:
        """
        The turn after *turn*, which really started at *started_s*.

        Turns whose time had come by then are left out: a user who was held up makes one late journey, which carries the
        whole lag, and does not come back as a burst.
        """
        return max(turn + 1, math.floor((started_s - self.phase_s) / self.period_s + 1e-9) + 1)


def pace_of(slot: int, rate_per_s: float, seed: int) -> Pace:
    """
    The pace of the user in *slot*: *rate_per_s* journeys per second.

    Phases follow the golden ratio from a start given by *seed*, so that any number of neighbouring slots is spread evenly.
    """
    first = random.Random(f"{seed}:phase").random()  # noqa: S311 -- not a secret
    return Pace(1.0 / rate_per_s, ((first + slot * GOLDEN) % 1.0) / rate_per_s)


def share_of(users: int, number: int, workers: int) -> int:
    """How many of *users* worker *number* (from 0) of *workers* has: those in the slots number, number + workers and so on."""
    return (users + workers - 1 - number) // workers


def choices_of(slot: int, turn: int, seed: int) -> random.Random:
    """Random choices of one journey: the same for the same seed, whatever happened before."""
    return random.Random(f"{seed}:{slot}:{turn}")  # noqa: S311 -- not a secret


def next_change(last_s: float, now_s: float, offset_s: float) -> float:
    """
    When users may change after *last_s*: the next whole second of the load, which began at *offset_s*.

    After a hold-up of more than a second (*now_s* is far later) it is the second under way: what was missed is not made up.
    """
    following = math.floor(last_s - offset_s + 1e-6) + 1
    return offset_s + max(following, math.floor(now_s - offset_s))


@dataclass(slots=True)
class Slots:
    """Numbers for the users at work: each takes the lowest free one."""

    free: list[int] = field(default_factory=list)
    used: int = 0

    def take(self) -> int:
        """The lowest free number."""
        if self.free:
            return heapq.heappop(self.free)
        self.used += 1
        return self.used - 1

    def give_back(self, slot: int) -> None:
        """The user in *slot* has left."""
        heapq.heappush(self.free, slot)
