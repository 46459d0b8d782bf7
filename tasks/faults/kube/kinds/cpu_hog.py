"""A service that shares its processors with something greedy inside its own container."""

from __future__ import annotations

import math

from tasks.faults.kind import Column
from tasks.faults.kube.hogs import centiseconds, hogs
from tasks.faults.kube.inner import Inside
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.target import Object, limit_of

PROCESSES_PER_PROCESSOR = 4
LONGEST_BUSY_S = 9.0


def plan(aim: ClusterAim) -> Moves:
    """Busy processes, four for each processor that the container may use; asleep in a placebo."""

    def arguments(container: Object, inside: Inside) -> tuple[str, ...]:
        usable = math.ceil(min(limit_of(container, "cpu") or inside.processors, inside.processors))
        busy_s, asleep_s = (0.0, 1) if aim.placebo else turn(aim.intensity)
        return str(usable * PROCESSES_PER_PROCESSOR), centiseconds(busy_s), str(asleep_s), centiseconds(aim.duration_s)

    return hogs(aim, "cpu", arguments)


def turn(intensity: float) -> tuple[float, int]:
    """Seconds busy and seconds asleep of one turn: *intensity* of the time busy, since not every ``sleep`` knows fractions."""
    if intensity >= 1:
        return 1.0, 0
    return min(LONGEST_BUSY_S, max(0.01, intensity / (1 - intensity))), 1


KIND = ClusterKind(
    name="cpu_hog",
    summary="runs busy shells inside the target's container",
    full_strength="four busy processes for each processor that it may use, all the time; at intensity x busy for x of the time",
    placebo="the same processes, asleep",
    witnesses=(Column("{target}/cpu_cores", "up"), Column("{target}/throttled_ratio", "up")),
    moves=("{target}/cpu_cores", "{target}/throttled_ratio", "{target}/latency_p95_s", "{caller}/latency_p95_s"),
    default_intensity=1.0,
    need="script",
    plan=plan,
)
