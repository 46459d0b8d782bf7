"""What a ranking is made from, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NODE = "node"
"""The machine's own columns bear this service name; it is no candidate."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One service calls another."""

    caller: str
    callee: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Metrics of one recording on a regular grid."""

    time_s: NDArray[np.float64]
    """Rising times of the rows, shape ``(n_rows,)``, seconds since 1970, UTC."""
    values: NDArray[np.float64]
    """Shape ``(n_rows, n_columns)``; NaN exactly where a cell is not valid."""
    services: tuple[str, ...]
    """The service of each column."""
    metrics: tuple[str, ...]
    """The metric of each column."""
    resolution: NDArray[np.float64]
    """The smallest change of each column that matters, in its unit, shape ``(n_columns,)``."""

    @classmethod
    def of(
        cls,
        time_s: ArrayLike,
        values: ArrayLike,
        valid: ArrayLike | None,
        *,
        services: Sequence[str],
        metrics: Sequence[str],
        resolution: ArrayLike,
    ) -> Observed:
        """
        From plain arrays; *valid* None: every cell that is not NaN is.

        Raises:
            ValueError: Shapes that do not fit together.
        """
        times, cells = np.asarray(time_s, dtype=float), np.array(values, dtype=float)
        floors = np.asarray(resolution, dtype=float)
        if cells.shape != (len(times), len(services)) or len(services) != len(metrics) or floors.shape != (len(services),):
            raise ValueError(
                f"{len(times)} rows, {len(services)} services, {len(metrics)} metrics and {floors.shape} resolutions "
                f"do not fit values of shape {cells.shape}"
            )
        if valid is not None:
            cells[~np.asarray(valid, dtype=bool)] = np.nan
        return cls(times, cells, tuple(services), tuple(metrics), floors)

    @property
    def names(self) -> tuple[str, ...]:
        """``service/metric`` of each column."""
        return tuple(f"{service}/{metric}" for service, metric in zip(self.services, self.metrics, strict=True))

    @property
    def candidates(self) -> tuple[str, ...]:
        """The services that may be the cause, sorted."""
        return tuple(sorted(set(self.services) - {NODE}))

    @property
    def step_s(self) -> float:
        """Seconds between rows: the median difference; 0 with fewer than two rows."""
        return float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate and how much it looks like the cause; None: it could not be scored, and comes last."""

    name: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates from the most to the least suspect; equal scores in alphabetical order."""

    method: str
    services: tuple[Scored, ...]
    metrics: tuple[Scored, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def ordered(names: Sequence[str], scores: ArrayLike) -> tuple[Scored, ...]:
    """*names* with *scores* (NaN: could not be scored), from the highest to the lowest."""
    pairs = zip(names, np.asarray(scores, dtype=float).tolist(), strict=True)
    scored = [Scored(name, None if np.isnan(score) else score) for name, score in pairs]
    return tuple(sorted(scored, key=lambda item: (item.score is None, -(item.score or 0.0), item.name)))
