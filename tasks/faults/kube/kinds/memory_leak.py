"""A service that holds more and more memory, up to being killed for it."""

from __future__ import annotations

import math

from tasks.faults.kind import RAMP_SHARE, Column
from tasks.faults.kube.hogs import MIB, affordable, centiseconds, hogs, room_bytes
from tasks.faults.kube.inner import Inside
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.target import Object, limit_of

BEYOND = 1.1
MOST_PROCESSES = 64


def plan(aim: ClusterAim) -> Moves:
    """Fill *intensity* of the room below the limit within 60 % of the duration; at 1 pass the limit by a tenth."""

    def arguments(container: Object, inside: Inside) -> tuple[str, ...]:
        level = affordable(0 if aim.placebo else level_bytes(container, inside, aim.intensity), inside, aim.found.target.name)
        processes, each = parts(level, inside)
        return str(processes), str(each), centiseconds(aim.duration_s * RAMP_SHARE), centiseconds(aim.duration_s)

    return hogs(aim, "memory", arguments)


def level_bytes(container: Object, inside: Inside, intensity: float) -> int:
    """What is held in the end."""
    limit = limit_of(container, "memory")
    if intensity < 1 or limit is None:
        return round(intensity * room_bytes(container, inside))
    return round(BEYOND * limit)


def parts(level_mib: int, inside: Inside) -> tuple[int, int]:
    """
    How many processes hold how many MiB each.

    The kernel kills the largest process of a container that is full (all of them on newer nodes). So that this is the
    service and no helper of ours, each part stays below half of the largest process.
    """
    each = max(1, inside.largest_bytes // 2 // MIB)
    processes = min(MOST_PROCESSES, max(1, math.ceil(level_mib / each)))
    return processes, math.ceil(level_mib / processes)


KIND = ClusterKind(
    name="memory_leak",
    summary="holds more and more memory inside the target's container",
    full_strength="passes the memory limit, so that the container is killed (OOMKilled) and restarted; at intensity x it fills x of the"
    " room below the limit and holds it (without a limit: x of 256 MiB)",
    placebo="the same processes hold nothing",
    witnesses=(
        Column("{target}/memory_working_set_bytes", "up"),
        Column("{target}/restarts", "up", returns=False),
        Column("{target}/oom_kills", "up", returns=False),
    ),
    moves=("{target}/memory_working_set_bytes", "{target}/memory_rss_bytes", "{target}/restarts", "{caller}/error_ratio"),
    default_intensity=1.0,
    restarts_target=True,
    need="script",
    plan=plan,
)
