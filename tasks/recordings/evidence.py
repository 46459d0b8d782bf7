"""The series that speak about a trial: its witnesses, its users, its callers, from the recording itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tasks.base.trials import Trial
from tasks.faults.catalogue import KINDS, columns_of
from tasks.faults.kind import Column, Direction, FaultKind, ProxyRatio, Witness
from tasks.faults.witness import Evidence, Indicator
from tasks.features.grid import Grid, lay, place
from tasks.features.matrix import Matrix
from tasks.load.history import LoadHistory
from tasks.recordings.live import Window
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

LATENCY = "latency_p95_s"
CALLER_METRICS = ("error_ratio", LATENCY)
P95_WINDOW_S = 5
ERROR_RESOLUTION = 0.01
ACHIEVED_RESOLUTION = 0.1
"""Journeys start in bursts: a smaller dip of the five-second share is how twenty users happen to fall."""
LATENCY_RESOLUTION = (0.001, 0.15)
"""Absolute in seconds, and as a share of the reference."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording, or the last minutes of one, on its grid, with what only the harness sees."""

    matrix: Matrix
    series: Sequence[Series]
    samples: Samples | Window
    callers: dict[str, tuple[str, ...]]
    """Who calls a service directly."""
    history: LoadHistory | None = None
    """None while the recording goes on."""
    kinds: Mapping[str, FaultKind] = field(default_factory=lambda: KINDS)
    """What can be done where the app runs."""

    def evidence(self, trial: Trial) -> Evidence:
        """What is known of *trial*; columns that the recording does not have are left out, and stand-ins where it has better."""
        known = self.kinds[trial.kind].witnesses
        stand_ins = [one for one in known if isinstance(one, Column) and one.stand_in]
        proper = [found for one in known if one not in stand_ins for found in self._witnesses(one, trial.target)]
        witnesses = proper or [found for one in stand_ins for found in self._witnesses(one, trial.target)]
        callers = [
            replace(one, lasting=metric == LATENCY)
            for caller in self.callers.get(trial.target, ())
            for metric in CALLER_METRICS
            if (one := self._column(f"{caller}/{metric}", "up")) is not None
        ]
        return Evidence(witnesses, [*self._users(), *callers], callers)

    def _witnesses(self, witness: Witness, target: str) -> Iterator[Indicator]:
        """The columns that *witness* means, or the one ratio; nothing where the recording does not have them."""
        if isinstance(witness, Column):
            names = columns_of(witness, target, self.matrix.names)
            found = [self._column(name, witness.direction, witness.returns) for name in names]
        else:
            found = [self._ratio(witness, witness.name.format(target=target), target)]
        yield from (one for one in found if one is not None)

    def _column(self, name: str, direction: Direction, returns: bool = True) -> Indicator | None:
        if not self.matrix.has(name):
            return None
        column = self.matrix.columns[self.matrix.names.index(name)]
        values = self.matrix.column(name).astype(np.float64)
        return Indicator(
            name,
            self.matrix.time_s,
            values,
            np.isfinite(values),
            column.floor_abs,
            direction,
            returns,
            column.floor_ratio,
        )

    def _ratio(self, witness: ProxyRatio, name: str, target: str) -> Indicator | None:
        above = self._growth(witness.numerator, target)
        below = self._growth(witness.denominator, target)
        if above is None or below is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(below > 0, above / below, np.nan)
        valid = np.isfinite(values)
        return Indicator(name, self.matrix.time_s, values, valid, witness.resolution, witness.direction, witness.returns)

    def _growth(self, name: str, target: str) -> NDArray[np.float64] | None:
        """How much a harness counter of *target* grew over the last two rows, at each row; NaN where it is not known."""
        found = next((s.id for s in self.series if s.role == "harness" and s.name == name and s.labels.get("service") == target), None)
        if found is None:
            return None
        first, last = np.searchsorted(self.samples.series, [found, found + 1])
        if last - first < 2:
            return None
        times, values = self.samples.time_ms[first:last] / 1000, self.samples.value[first:last]
        grid = Grid(self.matrix.time_s - self.matrix.step_s / 2, self.matrix.step_s)
        level = lay(values[None, :], place(times, grid, float(np.median(np.diff(times)))))[0]
        growth = np.full(len(level), np.nan)
        growth[2:] = level[2:] - level[:-2]
        growth[growth < 0] = np.nan
        return growth

    def _users(self) -> list[Indicator]:
        history = self.history
        if history is None:
            return []
        found = [
            self._by_second("load/error_ratio", history, history.error_ratio(), ERROR_RESOLUTION, 0.0, "up"),
            self._by_second(
                "load/achieved_ratio", history, history.achieved_over_planned(window_s=P95_WINDOW_S), ACHIEVED_RESOLUTION, 0.0, "down"
            ),
        ]
        quantiles = history.endpoint_quantile(0.95, window_s=P95_WINDOW_S)
        for column, endpoint in enumerate(history.endpoints):
            one = self._by_second(f"load/{endpoint} p95", history, quantiles[:, column], *LATENCY_RESOLUTION, "up")
            found.append(replace(one, lasting=True))
        return found

    @staticmethod
    def _by_second(
        name: str, history: LoadHistory, values: NDArray[np.float64], floor_abs: float, floor_ratio: float, direction: Direction
    ) -> Indicator:
        """A row is known once its second is over."""
        over_s = (history.second + 1.0).astype(np.float64)
        return Indicator(name, over_s, values, np.isfinite(values), floor_abs, direction, True, floor_ratio)


def callers_of(edges: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Direct callers of each service."""
    found: dict[str, list[str]] = {}
    for caller, callee in edges:
        found.setdefault(callee, []).append(caller)
    return {callee: tuple(callers) for callee, callers in found.items()}
