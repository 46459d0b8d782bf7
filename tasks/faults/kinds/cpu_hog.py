"""A service that shares its processors with something greedy inside its own container."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Column, Kind, Spawn, mode

WORKERS_PER_PROCESSOR = 4


def act(aim: Aim, intensity: float, placebo: bool) -> Act:
    """Busy workers in the service's group, four for each processor at full strength."""
    workers = max(1, round(intensity * WORKERS_PER_PROCESSOR * aim.processors))
    return Spawn("cpu_hog", (str(workers), mode(placebo)), inside=True)


KIND = Kind(
    name="cpu_hog",
    summary="runs busy processes inside the service's process group",
    full_strength="four busy processes for each processor; less in proportion, at least one",
    placebo="the same processes in the same group, asleep",
    witnesses=(Column("{target}/cpu_cores", "up"),),
    moves=("{target}/latency_p95_s", "{caller}/latency_p95_s", "node/cpu_cores"),
    default_intensity=1.0,
    act=act,
)
