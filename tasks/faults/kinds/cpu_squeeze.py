"""A service that gets too little processor time, as under a tight CPU limit."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Column, Kind, Spawn, mode

PERIOD_S = 0.1
MOST = 0.98


def act(aim: Aim, intensity: float, placebo: bool) -> Act:
    """Stop the service for *intensity* of every 100 ms, at most 98 ms."""
    share = min(intensity, MOST)
    return Spawn("duty_cycle", (str(aim.main.start_ticks), str(PERIOD_S), f"{share:.4f}", mode(placebo)), inside=False)


KIND = Kind(
    name="cpu_squeeze",
    summary="stops and continues all processes of the service ten times a second",
    full_strength="stopped for 98 ms of every 100 ms; at intensity x for 100 x ms",
    placebo="the same duty-cycle process sends SIGCONT only",
    witnesses=(Column("{target}/scrape_duration_s", "up"), Column("{target}/cpu_cores", "down")),
    moves=("{target}/cpu_cores", "{target}/latency_p95_s", "{caller}/latency_p95_s"),
    default_intensity=0.9,
    act=act,
)
