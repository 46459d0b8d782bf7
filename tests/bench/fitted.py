"""Every detector trained and scoring 100,000 rows of 200 metrics, against bare scikit-learn where it has the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.detectors.base import Rows
from tasks.detectors.registry import FLOORS, NAMES, make
from tasks.detectors.scaling import Scaler
from tests.bench import bare_models
from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.stopwatch import ROUNDS, Taken, in_turn, machine, versions

ROWS, METRICS, HIDDEN = 100_000, 200, 12
SEED = 7
LIMIT = Goal("<=", 60.0)
GOAL = Goal("<=", 1.1, "ratio")
NEAR = 0.05
"""Largest median difference of scores between two ways to take quartiles."""


@dataclass(frozen=True, slots=True)
class Data:
    """Rows in their own units, and as our detectors scale them."""

    rows: Rows
    scaled: Rows
    resolution: NDArray[np.float64]


def drawn(rng: np.random.Generator) -> Data:
    """Metrics that move together: twelve hidden causes and noise, each metric with a level and a scale of its own."""
    hidden = rng.normal(size=(ROWS, HIDDEN)).astype(np.float32)
    rows = hidden @ rng.normal(size=(HIDDEN, METRICS)).astype(np.float32) + rng.normal(size=(ROWS, METRICS)).astype(np.float32)
    rows = (rows * rng.uniform(0.5, 20, METRICS) + rng.uniform(10, 100, METRICS)).astype(np.float32)
    resolution = np.full(METRICS, 1e-3)
    return Data(rows, Scaler.learn(rows, resolution)(rows), resolution)


def whole(name: str, data: Data, *, profile: Any = "long") -> Callable[[], NDArray[np.float64]]:
    """The detector *name* with its default settings: trained on all rows, then scores of all rows."""

    def act() -> NDArray[np.float64]:
        fitted = make(name, profile=profile).fit(data.rows, resolution=data.resolution, seed=SEED)
        return fitted.score(data.rows)

    return act


def close(ours: NDArray[np.float64], theirs: NDArray[np.float64], tolerance: float) -> bool:
    """Whether all scores agree within *tolerance* of their size (of the median size where one is nearly zero)."""
    scale = np.maximum(np.abs(theirs), np.median(np.abs(theirs)))
    return bool(np.max(np.abs(ours - theirs) / scale) <= tolerance)


def against(name: str, data: Data) -> tuple[Row, Taken]:
    """
    The row of a detector that scikit-learn has as well, and what it took us.

    Both start from rows in their own units. scikit-learn's robust scaler takes its quartiles from all rows where ours takes them
    from a fifth, so results must be close there, and the same once the scaling is shared.
    """
    bare = bare_models.BARE[name]
    ours, theirs = in_turn(whole(name, data, profile=bare.profile), lambda: bare.scores(bare_models.scaled(data.rows)), rounds=ROUNDS)
    same = close(ours.result, bare.as_ours(bare.scores(data.scaled), data.scaled), bare.tolerance)
    near = float(np.median(np.abs(ours.result / bare.as_ours(theirs.result, bare_models.scaled(data.rows)) - 1)))
    peer = Peer(f"{versions('scikit-learn')}: {bare_models.SCALED}, {bare.call}", theirs.cpu, same and near <= NEAR)
    return made(f"detectors.{name}", ours.cpu, "cpu s", machine=machine(), goal=GOAL, peer=peer), ours


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time of training and scoring."""
    data = drawn(np.random.default_rng(6))
    taken: dict[str, float] = {}
    for name in (one for one in NAMES if one not in FLOORS):
        if f"detectors.{name}" not in only and "detectors.all_1e5x200" not in only:
            continue
        if name in bare_models.BARE:
            row, ours = against(name, data)
        else:
            (ours,) = in_turn(whole(name, data))
            row = made(f"detectors.{name}", ours.cpu, "cpu s", machine=machine(), sound=bool(np.isfinite(ours.result).all()))
        taken[name] = ours.cpu
        if f"detectors.{name}" in only:
            yield row
    if "detectors.all_1e5x200" in only:
        (kmeans,) = in_turn(whole("kmeans", data))  # in the long profile its windows are five times as long as above
        total = sum({**taken, "kmeans": kmeans.cpu}.values())
        yield made("detectors.all_1e5x200", total, "cpu s", machine=machine(), goal=LIMIT, sound=bool(np.isfinite(kmeans.result).all()))
