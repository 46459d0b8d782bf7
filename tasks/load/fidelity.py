"""
Which seconds of a load are *degraded*, and why: the generator or the machine fell short, so they measure neither shop nor fault.

A shop that is slow or failing never makes a second degraded: users who wait for it lag, and their journeys are missing, but the
generator did its part. What counts is whether the users were there, and whether those who were free could run in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

USERS_SHORT = "users-short"
GENERATOR_CPU = "generator-cpu"
GENERATOR_MEMORY = "generator-memory"
GENERATOR_LATE = "generator-late"
GENERATOR_MISSING = "generator-missing"
GENERATOR_RESTARTED = "generator-restarted"
STEAL = "steal"
OTHER_LOAD = "other-load"
CLOCK_JUMP = "clock-jump"
REASONS = (
    *(USERS_SHORT, GENERATOR_CPU, GENERATOR_MEMORY, GENERATOR_LATE, GENERATOR_MISSING, GENERATOR_RESTARTED),
    *(STEAL, OTHER_LOAD, CLOCK_JUMP),
)
"""All reasons, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What still counts as a second in which all did their part."""

    cpu_ratio: float = 0.7
    """Generator's share of one core."""
    rss_bytes: int = 1 << 30
    """Generator's resident size."""
    late_s: float = 0.25
    """How late a free user, or the log itself, may be."""
    users_short_ratio: float = 0.02
    """Share of the planned users that may be missing."""
    steal_ratio: float = 0.1
    """Share of the machine's time taken by others on the host."""
    other_load_ratio: float = 0.25
    """Share of the machine's time used by processes that are not part of the experiment."""
    clock_jump_s: float = 0.5
    """Step of the wall clock against the monotonic one, either way."""


@dataclass(frozen=True, slots=True)
class Generator:
    """What the generator logged; all arrays of shape ``(n,)``, one row a second, none left out between the first and the last."""

    second: NDArray[np.int64]
    users_planned: NDArray[np.float64]
    users_present: NDArray[np.int32]
    cpu_ratio: NDArray[np.float64]
    rss_bytes: NDArray[np.int64]
    late_s: NDArray[np.float64]
    missing: NDArray[np.bool_]
    """No log has the second."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine did, by *second* (rising, any choice of seconds); NaN: not known, which is no reason."""

    second: NDArray[np.int64]
    steal_ratio: NDArray[np.float64]
    other_load_ratio: NDArray[np.float64]
    clock_jump_s: NDArray[np.float64]


def reasons(
    generator: Generator, limits: Limits, *, restarts: Iterable[tuple[int, int]] = (), machine: Machine | None = None
) -> tuple[tuple[str, ...], ...]:
    """
    Why each second is degraded; an empty tuple: it is fine.

    Args:
        generator: What was logged.
        limits: What is tolerated.
        restarts: First and last second (both included) of each change from one generator to the next.
        machine: What the machine did, when known.
    """
    flags = _generator_flags(generator, limits)
    for first, last in restarts:
        flags[GENERATOR_RESTARTED] |= (generator.second >= first) & (generator.second <= last)
    if machine is not None:
        flags |= _machine_flags(generator.second, machine, limits)
    table = np.array([flags.get(name, np.zeros(len(generator.second), dtype=bool)) for name in REASONS])
    return tuple(tuple(REASONS[index] for index in np.flatnonzero(column)) for column in table.T)


def _generator_flags(generator: Generator, limits: Limits) -> dict[str, NDArray[np.bool_]]:
    there = ~generator.missing
    return {
        USERS_SHORT: users_short(generator.users_planned, generator.users_present, limits.users_short_ratio),
        GENERATOR_CPU: there & (generator.cpu_ratio > limits.cpu_ratio),
        GENERATOR_MEMORY: there & (generator.rss_bytes > limits.rss_bytes),
        GENERATOR_LATE: there & (generator.late_s > limits.late_s),
        GENERATOR_MISSING: generator.missing,
        GENERATOR_RESTARTED: np.zeros(len(generator.second), dtype=bool),
    }


def users_short(planned: NDArray[np.float64], present: NDArray[np.int32], tolerance_ratio: float) -> NDArray[np.bool_]:
    """
    Whether fewer users were present than planned, shape ``(n,)``.

    Users are whole and change on whole seconds, so the smallest plan of a second and its neighbours, rounded down, is asked for.
    """
    if not len(planned):
        return np.zeros(0, dtype=bool)
    around = np.pad(planned, 1, mode="edge")
    least = np.floor(np.minimum(np.minimum(around[:-2], around[1:-1]), around[2:]))
    return np.asarray(present < np.floor(least * (1 - tolerance_ratio) + 1e-9), dtype=bool)


def _machine_flags(second: NDArray[np.int64], machine: Machine, limits: Limits) -> dict[str, NDArray[np.bool_]]:
    measures = (
        (STEAL, machine.steal_ratio, limits.steal_ratio),
        (OTHER_LOAD, machine.other_load_ratio, limits.other_load_ratio),
        (CLOCK_JUMP, np.abs(machine.clock_jump_s), limits.clock_jump_s),
    )
    return {name: np.isin(second, machine.second[np.nan_to_num(values, nan=-np.inf) > limit]) for name, values, limit in measures}
