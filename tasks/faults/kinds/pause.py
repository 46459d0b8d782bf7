"""A service that stands still: a long collection of garbage, a frozen disk, a debugger."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Column, Kind, Spawn, mode

PERIOD_S = 1.0


def act(aim: Aim, intensity: float, placebo: bool) -> Act:
    """Stop the service for *intensity* of every second; at 1 for the whole time."""
    return Spawn("duty_cycle", (str(aim.main.start_ticks), str(PERIOD_S), f"{intensity:.4f}", mode(placebo)), inside=False)


KIND = Kind(
    name="pause",
    summary="stops all processes of the service (SIGSTOP)",
    full_strength="stopped for the whole duration; at intensity x for x of every second",
    placebo="the same process sends SIGCONT only",
    witnesses=(Column("{target}/up", "down"), Column("{target}/scrape_duration_s", "up")),
    moves=("{target}/request_rate_per_s", "{caller}/latency_p95_s", "{caller}/error_ratio"),
    default_intensity=1.0,
    act=act,
)
