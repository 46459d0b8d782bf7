"""From raw samples to the grid: our scatter against pandas' pivot, on 4.32 million samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.features.grid import Grid, lay, place
from tasks.features.source import blocks
from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.stopwatch import in_turn, machine, versions

TARGETS = 20
SERIES = 1000
SCRAPES = 4320
STEP_S = 5.0
START_S = 1_790_000_000.0
GOAL = Goal(">=", 15, "ratio")
CALL = 'frame.assign(row=(frame.time_ms - first_ms + 2500) // 5000).pivot(index="row", columns="series", values="value")'


@dataclass(frozen=True, slots=True)
class Raw:
    """Samples in order of (series, time)."""

    series: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]


def recorded(rng: np.random.Generator) -> Raw:
    """1,000 series of 20 targets, scraped every 5 s with 0.3 s of jitter; one scrape in a hundred failed."""
    each = SERIES // TARGETS
    series, times = [], []
    for target in range(TARGETS):
        moments = (START_S + STEP_S * np.arange(SCRAPES) + rng.uniform(-0.3, 0.3, SCRAPES))[rng.random(SCRAPES) >= 0.01]
        times.append(np.tile(np.rint(moments * 1000).astype(np.int64), each))
        series.append(np.repeat(np.arange(target * each, (target + 1) * each, dtype=np.int32), len(moments)))
    number, time_ms = np.concatenate(series), np.concatenate(times)
    return Raw(number, time_ms, rng.normal(size=len(number)))


def scattered(raw: Raw) -> NDArray[np.float64]:
    """The grid as the product makes it: dense blocks of series scraped together, each laid on the rows; ``(n, series)``."""
    owners = {number: (f"target-{number * TARGETS // SERIES}", "service", "gauge") for number in range(SERIES)}
    grid = Grid.between(START_S, START_S + STEP_S * (SCRAPES - 1), STEP_S)
    table = np.full((SERIES, SCRAPES), np.nan)
    for block in blocks(raw, owners):
        table[list(block.ids)] = lay(block.values, place(block.time_s, grid, STEP_S))
    return table.T


def pivoted(raw: Raw) -> pd.DataFrame:
    """The same by pandas."""
    frame = pd.DataFrame({"series": raw.series, "time_ms": raw.time_ms, "value": raw.value})
    row = (frame.time_ms - int(START_S * 1000) + int(STEP_S * 500)) // int(STEP_S * 1000)
    return frame.assign(row=row).pivot(index="row", columns="series", values="value")


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time of both; each cell must be the same number, or missing in both."""
    raw = recorded(np.random.default_rng(1))
    ours, theirs = in_turn(lambda: scattered(raw), lambda: pivoted(raw), rounds=5)
    same = np.array_equal(ours.result, theirs.result.reindex(range(SCRAPES)).to_numpy(), equal_nan=True)
    peer = Peer(f"{versions('pandas')}: {CALL}", theirs.cpu, same)
    yield made("matrix.pivot", ours.cpu, "cpu s", machine=machine(), goal=GOAL, peer=peer)
