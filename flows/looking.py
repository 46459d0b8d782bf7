"""What ``status`` tells: shops, active faults, runs under way."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.document import Experiment
from tasks.artifacts.runs import Runs, unclosed
from tasks.artifacts.store import Store
from tasks.base.errors import TidegaugeError
from tasks.faults.injector import open_faults
from tasks.recordings.board import read_board
from tasks.recordings.length import planned_s
from tasks.recordings.standing import leftovers, standings


def look(store: Path) -> dict[str, Any]:
    """Everything that runs or is left, read anew."""
    shops = []
    for one in standings(store):
        faults = [{"id": entry.id, "kind": entry.kind, "target": entry.target} for entry in open_faults(one.state_dir)]
        shops.append(
            {
                "name": one.name,
                "address": one.address,
                "active_faults": faults,
                "left": leftovers(one),
                "recording": read_board(one.state_dir) if one.recording else None,
            }
        )
    return {"shops": shops, "runs": _running(store)}


def _running(store: Path) -> list[dict[str, Any]]:
    if not store.is_dir():
        return []
    runs, found = Runs(Store(store)), []
    for run in runs.ids():
        try:
            record = runs.look(run)
        except TidegaugeError:
            continue
        alive = record["status"] == "running"
        if alive or unclosed(record):
            finished = [stage["name"] for stage in record["stages"]]
            found.append(
                {"run": run, "name": record["name"], "alive": alive, "finished": finished, "to_record": _to_record(record, finished)}
            )
    return found


def _to_record(record: Mapping[str, Any], finished: list[str]) -> list[dict[str, Any]]:
    """Recordings that are not finished, with their planned seconds from deployment to teardown, in their order; an import has none."""
    if record["extent"] == "import":
        return []
    document = Experiment.model_validate_json(json.dumps(record["document"]))
    return [
        {"name": entry.name, "planned_s": round(planned_s(entry, document.faults), 1)}
        for entry in document.recorded
        if f"record:{entry.name}" not in finished
    ]


def text_of(value: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = []
    for shop in value["shops"]:
        lines.append(f"{shop['name']}  {shop['address'] or 'of a recording'}")
        lines += _recording_lines(shop["recording"])
        lines += [f"  active fault {fault['id']}: {fault['kind']} on {fault['target']}" for fault in shop["active_faults"]]
        lines += [f"  left behind: {text}; `tidegauge down --run {shop['name']}` removes it" for text in shop["left"]]
    for run in value["runs"]:
        state = "runs" if run["alive"] else "died"
        lines.append(f"run {run['run']} ({run['name']}) {state}; finished: {', '.join(run['finished']) or 'nothing yet'}")
        lines += [f"  to record: {one['name']}, about {one['planned_s']:.0f} s" for one in run["to_record"] if run["alive"]]
    return "\n".join(lines) or "nothing runs and nothing is left"


def _recording_lines(said: Mapping[str, Any] | None) -> list[str]:
    """What a recording says of itself; a figure that is not there yet is left out."""
    if said is None:
        return []
    left_s = None if said["measured_s"] is None else max(0.0, said["planned_s"] - said["measured_s"])
    lines = [f"  {said['name']} ({said['role']}): {said['text']}" + ("" if left_s is None else f"; about {left_s:.0f} s left")]
    if (load := said["load"]) is not None and load["second"] is not None:
        lines.append(f"  load: {load['users_present']} of {load['users_planned']:g} users, {load['requests_per_s']:.0f} requests a second")
    if (seen := said["telemetry"]) is not None:
        lost = f", {seen['failed']} failed scrapes, {seen['missed_ticks']} missed seconds" if seen["failed"] or seen["missed_ticks"] else ""
        lines.append(f"  samples: {seen['samples']} of {seen['series']} series{lost}")
    if (fault := said["next_fault"]) is not None:
        in_s = fault["planned_at_s"] - time.time()
        lines.append(f"  next fault: {fault['id']}, {fault['kind']} on {fault['target']}, " + (f"in {in_s:.0f} s" if in_s > 0 else "due"))
    return lines
