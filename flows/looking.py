"""What ``status`` tells: shops, active faults, runs under way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import TidegaugeError
from tasks.base.process import ProcessId
from tasks.faults.injector import open_faults
from tasks.recordings.standing import leftovers, standings


def look(store: Path) -> dict[str, Any]:
    """Everything that runs or is left, read anew."""
    shops = []
    for one in standings(store):
        faults = [{"id": entry.id, "kind": entry.kind, "target": entry.target} for entry in open_faults(one.state_dir)]
        shops.append({"name": one.name, "address": one.address, "active_faults": faults, "left": leftovers(one)})
    return {"shops": shops, "runs": _running(store)}


def _running(store: Path) -> list[dict[str, Any]]:
    if not store.is_dir():
        return []
    runs, found = Runs(Store(store)), []
    for run in runs.ids():
        try:
            record = runs.read(run)
        except TidegaugeError:
            continue
        if record["status"] == "running":
            alive = bool(record["process"]) and ProcessId(**record["process"]).alive()
            found.append({"run": run, "name": record["name"], "alive": alive, "finished": [stage["name"] for stage in record["stages"]]})
    return found


def text_of(value: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = []
    for shop in value["shops"]:
        lines.append(f"{shop['name']}  {shop['address'] or 'of a recording'}")
        lines += [f"  active fault {fault['id']}: {fault['kind']} on {fault['target']}" for fault in shop["active_faults"]]
        lines += [f"  left behind: {text}; `tidegauge down --run {shop['name']}` removes it" for text in shop["left"]]
    for run in value["runs"]:
        state = "runs" if run["alive"] else "died"
        lines.append(f"run {run['run']} ({run['name']}) {state}; finished: {', '.join(run['finished']) or 'nothing yet'}")
    return "\n".join(lines) or "nothing runs and nothing is left"
