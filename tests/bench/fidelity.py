"""Whether the load is the load that was planned: completed over planned journeys, shape by shape, against the real shop."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, LoadConfig, Ramp, Shape, Steps
from tasks.load.history import LoadHistory, finish, read_history
from tasks.load.runner import LoadRun
from tests.bench.demo_shop import demo_shop
from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import machine

LENGTH_S = 40.0
LEAST_FINE = 0.5
"""Share of the seconds that must not be degraded; with fewer the figure says nothing."""
GOAL = Goal("within", 0.02)
SHAPES: Mapping[str, tuple[Shape, float]] = {
    # the shape, and the second of its curve at which the measurement begins
    "constant": (Constant(shape="constant", users=12), 0.0),
    "steps": (Steps(shape="steps", users=(5, 12, 8), step_s=13.0), 0.0),
    "ramp": (Ramp(shape="ramp", from_users=2, to_users=16, duration_s=30.0), 0.0),
    "day-night": (DayNight(shape="day-night", night_users=4, day_users=16, period_s=40.0), 0.0),
    "flash-crowd": (FlashCrowd(shape="flash-crowd", users=5, peak_users=18, at_s=10.0, rise_s=3.0, hold_s=10.0, fall_s=5.0), 0.0),
    "csv": (Csv(shape="csv", file="load/steps.csv"), 100.0),
}


def walked(shape: Shape, offset_s: float, host: str, out: Path) -> LoadHistory:
    """
    The load as it was, from *offset_s* of the curve on.

    Raises:
        OSError: The generator died.
    """
    load = LoadRun.start(LoadConfig(users=shape), host=host, seed=3, out=out, duration_s=LENGTH_S, offset_s=offset_s)
    return ended(load, out, LENGTH_S)


def ended(load: LoadRun, out: Path, length_s: float) -> LoadHistory:
    """
    What became of *load*, which writes into *out*, once its *length_s* are over.

    Raises:
        OSError: The generator died.
    """
    try:
        deadline_s = time.monotonic() + length_s + 30
        while not load.status().finished:
            if load.keep() is not None or time.monotonic() > deadline_s:
                raise OSError(f"the load generator did not come to its end, see {out}")
            time.sleep(0.5)
    finally:
        load.stop()
    finish(out)
    return read_history(out)


def row_of(name: str, history: LoadHistory) -> Row:
    """Completed over planned journeys of the seconds that are not degraded; failures in them make the figure unsound."""
    fine = ~history.degraded
    planned, completed = history.journeys_planned[fine].sum(), history.journeys_completed[fine].sum()
    failed = int(history.failures[fine].sum())
    print(
        f"  {name}: {completed} of {planned:.1f} journeys in {fine.sum()} s, {(~fine).sum()} s degraded, {failed} failed requests",
        file=sys.stderr,
    )
    sound = bool(fine.mean() >= LEAST_FINE) and failed == 0
    return made(name, float(completed / planned) if planned else None, "ratio", machine=machine(), goal=GOAL, sound=sound)


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Every shipped shape for forty seconds, one after the other; counts, so one walk each."""
    with demo_shop() as (deployed, folder):
        for shape, (settings, offset_s) in SHAPES.items():
            name = f"load.fidelity.{shape}"
            if name in only:
                yield row_of(name, walked(settings, offset_s, deployed.address, folder / shape))
