"""A service that can be reached only slowly: a bad network between it and its callers."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Kind, ProxyRatio, SetRule

FULL_MS = 500.0


def act(aim: Aim, intensity: float, placebo: bool) -> Act:  # noqa: ARG001 -- every kind has the same signature
    """Hold every request for *intensity* of half a second."""
    return SetRule(delay_ms=0.0 if placebo else intensity * FULL_MS, error_ratio=0.0)


KIND = Kind(
    name="latency",
    summary="the proxy in front of the service holds every request back",
    full_strength="500 ms for every request; less in proportion",
    placebo="a rule of 0 ms",
    # The target's own histogram does not see the delay, so the witness is the time that requests were really held, by the
    # proxy's clock. Whether anybody suffers is asked of the callers and of the users, separately.
    witnesses=(ProxyRatio("{target}/proxy_hold_mean_s", "proxy_held_seconds_total", "proxy_requests_total", 0.001),),
    moves=("{caller}/latency_p95_s", "{caller}/latency_mean_s"),
    default_intensity=0.5,
    act=act,
)
