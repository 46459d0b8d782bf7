"""What a revert does follows from what is left; what an actuator may do follows from its leash and its deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.base.process import ProcessId, identify, stat_of
from tasks.faults.actuators.bond import LATE, UNGUARDED
from tasks.faults.catalogue import KINDS, columns_of, kinds_for, witness_names
from tasks.faults.config import TrialEntry
from tasks.faults.journal import JournalEntry
from tasks.faults.kind import Aim, SetRule, Spawn
from tasks.faults.kinds.memory_leak import level_bytes
from tasks.faults.leash import GuardEnd
from tasks.faults.processes import Signature, group_members, successors
from tasks.faults.revert import ClearRule, Signal, Situation, plan_revert
from tests.faults.small_shop import ROOT, until

ENTRY = JournalEntry("t01", "pause", "orders", 1.0, False, 8.0, "boot", None, None)
ONE, TWO = ProcessId(11, 1), ProcessId(12, 1)


def test_nothing_left_means_nothing_to_do():
    """An empty plan is what verified means."""
    assert plan_revert(ENTRY, Situation(), polite=True) == ()


def test_actuators_go_first_then_the_stopped_go_on_then_the_rule_falls():
    """Politely at first, then not."""
    found = Situation((ONE,), (TWO,), "active")

    assert plan_revert(ENTRY, found, polite=True) == (Signal(ONE, 15), Signal(TWO, 18), ClearRule("orders", "t01"))
    assert plan_revert(ENTRY, found, polite=False)[0] == Signal(ONE, 9)


def test_an_unknown_rule_is_not_taken_for_none():
    """Silence of the proxy leaves something to do."""
    assert plan_revert(ENTRY, Situation(rule="unknown"), polite=True) == (ClearRule("orders", "t01"),)


@pytest.mark.parametrize("program", ["duty_cycle", "cpu_hog", "memory_leak", "crash"])
@pytest.mark.parametrize("case", ["unguarded", "late by monotonic time", "late by wall time"])
def test_an_actuator_without_a_right_to_act_does_nothing(tmp_path: Path, program: str, case: str):
    """No guard at the other end of the leash, or a deadline that has passed: it ends without touching the target."""
    target = subprocess.Popen(["sleep", "60"], process_group=0)
    me = identify(target.pid)
    assert me is not None
    guard = None if case == "unguarded" else GuardEnd(tmp_path, "t01", None)
    mono = time.monotonic() + (-1 if "monotonic" in case else 60)
    wall = time.time() + (-1 if "wall" in case else 60)
    own = {"duty_cycle": [str(me.start_ticks), "0.1", "1.0", "act"], "cpu_hog": ["2", "act"], "memory_leak": ["1000", "1"]}
    arguments = own.get(program, [str(me.start_ticks), "1.0", "act"])
    argv = [sys.executable, "-m", f"tasks.faults.actuators.{program}", str(tmp_path), "t01", repr(mono), repr(wall), str(target.pid)]
    try:
        code = subprocess.run([*argv, *arguments], cwd=ROOT, timeout=10, check=False).returncode

        assert code == (UNGUARDED if case == "unguarded" else LATE)
        assert me.alive()
        assert stat_of(target.pid).state == "S"  # type: ignore[union-attr]
    finally:
        if guard is not None:
            guard.close()
        target.kill()
        target.wait()


@pytest.mark.parametrize("first", ["guard", "actuator"])
def test_the_kernel_lets_the_target_go_when_either_end_of_the_leash_is_killed(tmp_path: Path, first: str):
    """Nobody has to be left to send SIGCONT."""
    target = subprocess.Popen(["sleep", "60"], process_group=0)
    holders = []
    code = """
import os, sys, time
from pathlib import Path
from tasks.faults.leash import GuardEnd
from tasks.faults.pipes import leash_path, let_go_when_closed
if sys.argv[2] == "guard":
    end = GuardEnd(Path(sys.argv[1]), "t01", int(sys.argv[3]))
else:
    handle = os.open(leash_path(sys.argv[1], "t01"), os.O_WRONLY | os.O_NONBLOCK)
    let_go_when_closed(handle, int(sys.argv[3]))
print("go", flush=True)
time.sleep(60)
"""
    try:
        for role in ("guard", "actuator"):
            argv = [sys.executable, "-c", code, str(tmp_path), role, str(target.pid)]
            holders.append(subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE))
            assert holders[-1].stdout.readline() == b"go\n"  # type: ignore[union-attr]
        os.kill(target.pid, signal.SIGSTOP)
        until(lambda: stat_of(target.pid).state == "T")  # type: ignore[union-attr]
        holders[first == "actuator"].kill()
        until(lambda: stat_of(target.pid).state == "S", 2)  # type: ignore[union-attr]
    finally:
        for child in (*holders, target):
            child.kill()
            child.communicate()


def test_a_group_whose_number_was_given_away_has_no_members():
    """The leader's start time decides whose group it is."""
    leader = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        mine = ProcessId(leader.pid, stat_of(leader.pid).start_ticks)  # type: ignore[union-attr]
        assert mine in group_members([mine])
        assert group_members([ProcessId(mine.pid, mine.start_ticks + 1)]) == ()
    finally:
        leader.kill()
        leader.wait()


def test_a_restarted_service_is_found_by_what_it_has_in_common():
    """Session, command line and environment; a stranger with another environment is not it."""
    argv = ["sleep", "61.7"]
    children = [subprocess.Popen(argv, process_group=0, env={**os.environ, "PORT": port}) for port in ("1", "1", "2")]
    try:
        until(lambda: len(successors(Signature.of(children[0].pid))) == 3)
        found = {process.pid for process in successors(Signature.of(children[0].pid), environment_of=children[0].pid)}
        assert found == {children[0].pid, children[1].pid}
        assert successors(None) == ()
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_every_kind_of_the_document_is_in_the_catalogue():
    """One list, named twice; each kind has a witness, a placebo, and acts the same way in a placebo."""
    names = TrialEntry.model_json_schema()["properties"]["kind"]["enum"]
    aim = Aim("orders", ONE, 50 << 20, 200 << 20, 2, 8.0)

    assert set(names) == set(kinds_for("local")) | set(kinds_for("kubernetes"))
    for name, kind in KINDS.items():
        assert witness_names(name, "orders")[0].startswith("orders/")
        real, fake = kind.act(aim, 0.5, False), kind.act(aim, 0.5, True)
        assert type(real) is type(fake)
        assert real != fake
        if isinstance(real, Spawn) and isinstance(fake, Spawn):
            assert (real.program, real.inside) == (fake.program, fake.inside)
        else:
            assert fake == SetRule(0.0, 0.0)


def test_a_witness_may_be_a_column_of_whoever_has_it():
    """The owner of a queue is not its consumer."""
    witness, _, other = kinds_for("kubernetes")["queue_not_consumed"].witnesses
    columns = ("shipping/queue_depth", "queue-master/up", "queue-master/queue_depth_max", "shipping/up")

    assert columns_of(witness, "queue-master", columns) == ("shipping/queue_depth",)
    assert columns_of(other, "queue-master", columns) == ("queue-master/up",)


def test_a_leak_fills_the_room_below_the_limit_and_at_full_strength_passes_it():
    """More intensity holds more; only full strength is beyond the limit, whatever the service uses."""
    aim = Aim("orders", ONE, 60 << 20, 160 << 20, 2, 8.0)
    levels = [level_bytes(aim, intensity) for intensity in (0.02, 0.1, 0.5, 0.99, 1.0)]

    assert levels == sorted(levels)
    assert aim.used_bytes + levels[-2] < (160 << 20) < levels[-1]
    assert level_bytes(Aim("orders", ONE, 60 << 20, None, 2, 8.0), 0.5) == 128 << 20
