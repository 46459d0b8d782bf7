"""A service whose container is nearly full: something in it holds memory, below the limit."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.hogs import affordable, centiseconds, hogs, room_bytes
from tasks.faults.kube.inner import Inside
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.target import Object

SHARE = 0.9
"""Of the room below the limit: the rest is left to the service."""


def plan(aim: ClusterAim) -> Moves:
    """Hold *intensity* of nine tenths of the room at once; nothing in a placebo."""

    def arguments(container: Object, inside: Inside) -> tuple[str, ...]:
        level = 0 if aim.placebo else round(aim.intensity * SHARE * room_bytes(container, inside))
        return "1", str(affordable(level, inside, aim.found.target.name)), "0", centiseconds(aim.duration_s)

    return hogs(aim, "memory", arguments)


KIND = ClusterKind(
    name="memory_hog",
    summary="holds memory inside the target's container, below its limit",
    full_strength="nine tenths of the room below the memory limit (without a limit: 230 MiB); less in proportion",
    placebo="the same processes hold nothing",
    witnesses=(Column("{target}/memory_working_set_bytes", "up"), Column("{target}/memory_rss_bytes", "up")),
    moves=("{target}/memory_working_set_bytes", "{target}/memory_rss_bytes"),
    default_intensity=0.8,
    need="script",
    plan=plan,
)
