"""The data certificate in sentences, for terminals and messages; from its JSON form alone, so that nothing heavy is loaded for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sentences(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """One line a subject; what was not looked at is not mentioned."""
    told = certificate
    scrapes = f"{told['scrapes_found']:,} scrapes found, {told['scrapes_expected']:,} expected, {told['scrapes_failed']:,} failed"
    odd = {"counter resets": "counter_resets", "duplicates": "duplicates", "late": "out_of_order", "not finite": "non_finite"}
    found = [
        f"{told['samples']:,} samples of {told['series']:,} series: {told['samples_found']:,} found, {told['samples_expected']:,} expected",
        f"{told['targets']} targets: {scrapes}",
        ", ".join(f"{told[name]:,} {words}" for words, name in odd.items()),
    ]
    if duration := told.get("scrape_duration_s"):
        found.append(f"a scrape took {duration[0] * 1000:.0f} ms (median), {duration[1] * 1000:.0f} ms at most")
    if told.get("stale"):
        found.append(f"{told['stale']:,} marks with which the server ended a series")
    if told.get("own_stamps"):
        found.append(f"{told['own_stamps']:,} series bring their own time stamps: how many samples they should have nobody knows")
    for name, count in (told.get("left_out") or {}).items():
        found.append(f"native histogram {name} was not kept ({count} chunks)")
    return (*found, *_cadence(told.get("cadence") or {}), *_rounds(told.get("rounds") or {}), *_server(told.get("server") or {}))


def _cadence(cadence: Mapping[str, Any]) -> list[str]:
    return [
        f"{job}: the kubelet looked at {one['containers']} containers every {one['median_gap_s']:g} s (median), 95 of 100 times after "
        f"{one['p95_gap_s']:g} s or sooner; a rate window of {one['recommended_rate_window_s']:g} s or more is advised, and an onset is "
        f"known to {one['onset_uncertainty_s']:g} s"
        for job, one in cadence.items()
    ]


def _rounds(rounds: Mapping[str, Any]) -> list[str]:
    """What the longest round says of the times, and what is to be done where rounds could not be kept."""
    if not rounds.get("rounds"):
        return []
    late, left_out = rounds["late"], rounds["left_out"]
    took = f"{rounds['usual_s']:g} s (median), {rounds['longest_s']:g} s at most, over {rounds['connections']} connections"
    found = [f"a round of {rounds['targets']:,} targets took {took}; its samples have the time at which it began"]
    if late:
        longer, needed_s = f"longer than the interval of {rounds['interval_s']:g} s", rounds["needed_s"]
        what, do = (
            (f"a round takes {needed_s:.1f} s, {longer}", "raise interval_s")
            if needed_s
            else (f"rounds were {longer} since silent targets took the time", "lower timeout_s, raise interval_s")
        )
        counted = f"{late:,} of {rounds['rounds']:,} rounds, {left_out:,} scrapes left out"
        found.append(f"warning: {what} ({counted}): {do} or use a Prometheus")
    return found


def _server(server: Mapping[str, Any]) -> list[str]:
    if not server:
        return []
    kept = "keeps by size alone, or does not say" if server["retention_s"] is None else f"keeps {server['retention_s'] / 3600:g} h"
    found = [
        f"from {server['server']}, Prometheus {server['version']}, by {server['way']} ({server['why']}); it {kept}",
        f"its clock was {server['clock_offset_s']:+.3f} s off this machine's, give or take {server['clock_error_s']:.3f} s",
    ]
    if server["retries"] or server["halved"]:
        found.append(f"{server['retries']} questions were asked again, {server['halved']} windows had to be halved")
    found += [f"it warned: {text} ({count} times)" for text, count in server["warnings"].items()]
    return found + _watched(server.get("watched") or {})


def _watched(watched: Mapping[str, Any]) -> list[str]:
    if not watched:
        return []
    left = f"; left to it: {', '.join(watched['left_to_the_server'])}" if watched["left_to_the_server"] else ""
    found = [f"{watched['samples']:,} samples of {watched['series']:,} series by {watched['by']}, not from the Prometheus{left}"]
    return found + ([f"the watches may not see {', '.join(watched['not_allowed'])}"] if watched["not_allowed"] else [])
