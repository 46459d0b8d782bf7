"""A service that dies, and dies again when it comes back."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Column, Kind, Spawn, mode


def act(aim: Aim, intensity: float, placebo: bool) -> Act:
    """Kill the main process, and its successors for *intensity* of the duration."""
    return Spawn("crash", (str(aim.main.start_ticks), f"{intensity:.4f}", mode(placebo)), inside=False)


KIND = Kind(
    name="crash",
    summary="kills the service (SIGKILL), and again when it comes back",
    full_strength="killed whenever it comes back, until the end; at intensity x during the first x of the duration",
    placebo="the same process sends signal 0",
    witnesses=(Column("{target}/up", "down"), Column("{target}/restarts", "up", returns=False)),
    moves=("{target}/restarts", "{target}/request_rate_per_s", "{caller}/error_ratio"),
    default_intensity=1.0,
    act=act,
    restarts_target=True,
)
