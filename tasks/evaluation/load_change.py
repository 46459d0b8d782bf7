"""Load changes: which rows look at one, and the false alarms there beside those under steady load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.alarms import Alarm
from tasks.evaluation.exposure import FalseAlarms, averaged, false_alarms, ratio
from tasks.evaluation.truth import Truth

SHARE = 0.05
"""A smaller share of the most users ever planned is no change of load, and neither is less than one user."""
HORIZON_S = 60
"""Users that move by less within a minute are a slow drift: no window of a detector sees it."""
_ROUNDED = 0.001
"""Users are planned to three decimals; a ramp just as fast as the limit counts in full."""


@dataclass(frozen=True, slots=True)
class PlannedUsers:
    """The users that were planned in each second of one recording, as the load generator wrote them down."""

    second: NDArray[np.int64]
    """Seconds since 1970 (UTC) in succession, shape ``(n,)``: a value covers [second, second + 1)."""
    users: NDArray[np.float64]
    """Mean of each second, shape ``(n,)``."""

    def moving(self) -> NDArray[np.int64]:
        """
        The seconds of ramps and steps, ascending.

        A change is 5 % of the most users ever planned here, and at least one user. A second counts when users move in it at a
        pace of such a change a minute or faster, and lie that far apart within a minute around it. So a step counts, and a ramp
        of that pace from end to end; noise, single users of many, and the drift of a whole day do not.
        """
        if not len(self.users):
            return self.second
        change = max(1.0, SHARE * float(self.users.max()))
        moved = np.abs(np.diff(self.users, prepend=self.users[0]))
        near = np.lib.stride_tricks.sliding_window_view(np.pad(self.users, HORIZON_S, mode="edge"), 2 * HORIZON_S + 1)
        apart = near.max(axis=1) - near.min(axis=1)
        counted: NDArray[np.int64] = self.second[(moved >= change / HORIZON_S - _ROUNDED) & (apart >= change - _ROUNDED)]
        return counted


def rows_of_change(time_s: NDArray[np.float64], planned: Sequence[PlannedUsers | None], reach_s: float) -> NDArray[np.bool_] | None:
    """
    Which rows look at a ramp or a step of the load: row t looks at (t - *reach_s*, t].

    Args:
        time_s: Rising times of the rows, shape ``(n_rows,)``.
        planned: The load of each recording that the rows are from; None: nobody kept it.
        reach_s: How long a change may show.

    Returns:
        Shape ``(n_rows,)``; None where the load of any recording is not known.
    """
    known = [one.moving() for one in planned if one is not None]
    if len(known) < len(planned):
        return None
    seconds = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *known]))
    after = np.searchsorted(seconds, time_s, side="left")
    before = np.searchsorted(seconds, time_s - reach_s - 1.0, side="right")
    return np.asarray(after > before)


@dataclass(frozen=True, slots=True)
class LoadChange:
    """False alarms of quiet time, parted by what the load did."""

    changing: FalseAlarms
    """On rows that look at a ramp or a step."""
    steady: FalseAlarms
    """On all others."""

    @classmethod
    def of(cls, truth: Truth, raised: Sequence[Alarm], *, block_s: float) -> Self | None:
        """From the alarms *raised*; None where the load is not known. Each part is laid end to end and cut into blocks of its own."""
        if truth.load_changing is None:
            return None
        quiet = truth.exposed() & ~truth.degraded
        return cls(
            false_alarms(truth, raised, block_s=block_s, rows=quiet & truth.load_changing),
            false_alarms(truth, raised, block_s=block_s, rows=quiet & ~truth.load_changing),
        )

    @classmethod
    def averaged(cls, counts: Sequence[Self | None]) -> Self | None:
        """The mean over seeds, all of the same rows; None where the load is not known."""
        known = [count for count in counts if count is not None]
        return cls(averaged([one.changing for one in known]), averaged([one.steady for one in known])) if known else None

    @property
    def ratio(self) -> float | None:
        """The rate while the load changes over that under steady load; None where one is undefined or the second is 0."""
        return ratio(self.changing, self.steady)


def public_part(found: LoadChange | None) -> dict[str, Any]:
    """Its part of a row of the run's public object; all None where the load is not known."""
    return {
        "load_changing_s": found and found.changing.exposure_s,
        "load_steady_s": found and found.steady.exposure_s,
        "false_alarms_load_changing_per_day": found and found.changing.per_day,
        "false_alarms_load_steady_per_day": found and found.steady.per_day,
        "load_change_ratio": found and found.ratio,
    }
