"""A service whose requests fail on the way: a broken gateway between it and its callers."""

from __future__ import annotations

from tasks.faults.kind import Act, Aim, Kind, ProxyRatio, SetRule


def act(aim: Aim, intensity: float, placebo: bool) -> Act:  # noqa: ARG001 -- every kind has the same signature
    """Answer *intensity* of the requests with status 500, without the service."""
    return SetRule(delay_ms=0.0, error_ratio=0.0 if placebo else intensity)


KIND = Kind(
    name="http_errors",
    summary="the proxy in front of the service answers requests with status 500 itself",
    full_strength="every request; less in proportion, drawn for each request",
    placebo="a rule of 0 %",
    witnesses=(ProxyRatio("{target}/proxy_error_ratio", "proxy_errors_injected_total", "proxy_requests_total", 0.003),),
    moves=("{caller}/error_ratio", "{target}/request_rate_per_s"),
    default_intensity=0.5,
    act=act,
)
