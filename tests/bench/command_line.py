"""How soon the command line answers: help, check, plan, and an evaluation in which nothing changed."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import clean_environment, command, in_turn, machine
from tests.conftest import ROOT
from tests.stored_run import stored_run

COMMANDS = {
    "cli.help.wall": ("--help",),
    "cli.check.wall": ("check", "configs/demo.yaml"),
    "cli.plan.wall": ("plan", "configs/demo.yaml"),
}
GOAL = Goal("<", 0.5)
NOOP_GOAL = Goal("<=", 0.4)
ROUNDS = 9
PROGRAM = Path(sys.executable).with_name("tidegauge")


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Wall time of whole processes, the first one of each not counted."""
    with tempfile.TemporaryDirectory() as home:
        env = clean_environment(Path(home))
        chosen = [name for name in COMMANDS if name in only]
        acts = [command([str(PROGRAM), *COMMANDS[name]], cwd=ROOT, env=env) for name in chosen]
        for act in acts:
            act()
        for name, taken in zip(chosen, in_turn(*acts, rounds=ROUNDS), strict=True):
            yield made(name, taken.wall, "s", machine=machine(), goal=GOAL)
        if "evaluate.noop.wall" in only:
            yield unchanged(Path(home), env)


def unchanged(home: Path, env: dict[str, str]) -> Row:
    """``tidegauge evaluate --run latest`` on a stored run; what it says must be the run's own figures, all stages cached."""
    store = stored_run(home / "store")
    act = command([str(PROGRAM), "evaluate", "--run", "latest", "--json", "--store", str(store.root)], cwd=ROOT, env=env)
    act()
    (taken,) = in_turn(act, rounds=ROUNDS)
    said = json.loads(taken.result)
    record = json.loads(next((store.root / "runs").glob("*.json")).read_text())
    sound = said["detectors"] == record["detectors"] and {stage["outcome"] for stage in said["stages"]} == {"cached"}
    return made("evaluate.noop.wall", taken.wall, "s", machine=machine(), goal=NOOP_GOAL, sound=sound)
