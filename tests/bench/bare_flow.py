"""What our flow costs on top of Prefect: a whole run with every stage cached, against a flow of as many empty tasks."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.stopwatch import clean_environment, command, in_turn, machine, versions
from tests.conftest import ROOT

GOAL = Goal("<=", 1.15, "ratio")
ROUNDS = 7
PROGRAM = Path(sys.executable).with_name("tidegauge")


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Wall time of whole processes in turn, on one server; each must have run as many tasks as the other."""
    from flows.temporary import temporary_server
    from tests.stored_run import stored_run

    with tempfile.TemporaryDirectory() as home:
        root = Path(home)
        store = stored_run(root / "store")
        os.environ |= {"PREFECT_HOME": str(root / "prefect"), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        with temporary_server(root) as server:
            server.wait()
            env = {**clean_environment(root), "PREFECT_API_URL": server.url, "DO_NOT_TRACK": "1"}
            run = [str(PROGRAM), "run", "configs/quick.yaml", "--require-cached", "--json", "--store", str(store.root)]
            ours_act = command(run, cwd=ROOT, env=env)
            stages = json.loads(ours_act())["stages"]
            quiet = {**env, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
            bare = command([sys.executable, "-m", "tests.bench.empty_tasks", str(len(stages))], cwd=ROOT, env=quiet)
            bare()
            ours, theirs = in_turn(ours_act, bare, rounds=ROUNDS)
    outcomes = [stage["outcome"] for stage in json.loads(ours.result)["stages"]]
    agrees = outcomes == ["cached"] * len(stages) and int(theirs.result) == len(stages)
    peer = Peer(
        f"{versions('prefect')}: a @flow that calls {len(stages)} empty @tasks, in a fresh process on the same server", theirs.wall, agrees
    )
    yield made("prefect.overhead", ours.wall, "s", machine=machine(), goal=GOAL, peer=peer)
