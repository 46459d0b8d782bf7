"""A service that holds more and more memory, up to being killed for it."""

from __future__ import annotations

from tasks.faults.kind import RAMP_SHARE, Act, Aim, Column, Kind, Spawn

UNLIMITED_BYTES = 256 << 20
BEYOND = 1.1


def act(aim: Aim, intensity: float, placebo: bool) -> Act:
    """Fill *intensity* of the room below the memory limit within 60 % of the duration; at 1 pass the limit by a tenth."""
    level = 0 if placebo else level_bytes(aim, intensity)
    return Spawn("memory_leak", (str(level), f"{aim.duration_s * RAMP_SHARE:.3f}"), inside=True)


def level_bytes(aim: Aim, intensity: float) -> int:
    """What the helper holds in the end; without a limit, full strength is 256 MiB."""
    if aim.memory_limit_bytes is None:
        return int(intensity * UNLIMITED_BYTES)
    room = max(0, aim.memory_limit_bytes - aim.used_bytes)
    return int(intensity * room) if intensity < 1 else int(BEYOND * aim.memory_limit_bytes)


KIND = Kind(
    name="memory_leak",
    summary="a helper in the service's process group holds more and more memory",
    full_strength="passes the memory limit, so that the service is killed (OOMKilled) and restarted; at intensity x the helper"
    " fills x of the room below the limit and holds it (without a limit: x of 256 MiB)",
    placebo="the same helper holds nothing",
    witnesses=(Column("{target}/memory_working_set_bytes", "up"), Column("{target}/restarts", "up", returns=False)),
    moves=("{target}/memory_rss_bytes", "{target}/restarts", "{caller}/error_ratio"),
    default_intensity=1.0,
    act=act,
    restarts_target=True,
)
