"""Two runs side by side: their tables, and what differs between their documents."""

from collections.abc import Iterator, Mapping
from typing import Any

FIGURES = ("events_detected", "impact_events", "false_alarms_per_day", "time_in_alarm_ratio", "delay_median_s", "auc_pr", "vus_pr")


def compared(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the detectors of both runs (None where a run has no such detector), and each setting that differs."""
    tables = [{row["name"]: row for row in record["detectors"]} for record in (first, second)]
    names = list(dict.fromkeys([*tables[0], *tables[1]]))
    rows = [{"detector": name, **{figure: [table.get(name, {}).get(figure) for table in tables] for figure in FIGURES}} for name in names]
    settings = [{"setting": path, "values": [was, now]} for path, was, now in differences(first["document"], second["document"])]
    same = sorted(
        name.removeprefix("record:")
        for name, ref in first["artifacts"].items()
        if name.startswith("record:") and second["artifacts"].get(name) == ref
    )
    return {"runs": [first["run"], second["run"]], "settings": settings, "same_recordings": same, "detectors": rows}


def differences(was: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted path and both values of everything that differs between two JSON values."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in sorted({*was, *now}):
            yield from differences(was.get(name), now.get(name), f"{path}.{name}" if path else str(name))
    elif was != now:
        yield path, was, now


def text_of(value: Mapping[str, Any]) -> str:
    """The comparison for a terminal."""
    lines = [f"{value['runs'][0]}  against  {value['runs'][1]}"]
    shared = ", ".join(value["same_recordings"]) or "none; differences may be those of the recordings"
    lines.append(f"same recordings: {shared}")
    lines += [f"  {one['setting']}: {one['values'][0]} -> {one['values'][1]}" for one in value["settings"]] or ["  same settings"]
    for row in value["detectors"]:
        found, events = row["events_detected"], row["impact_events"]
        sides = [
            f"{_shown(found[side])}/{_shown(events[side])} found, {_shown(row['false_alarms_per_day'][side])} false/day" for side in (0, 1)
        ]
        lines.append(f"{row['detector']:18} {sides[0]:34} {sides[1]}")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
