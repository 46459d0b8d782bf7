"""Processes are never mistaken for one another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.base.process import ProcessId, identify, start_child, stat_of, stop_group

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper():
    """A process that does nothing for a minute."""
    child = subprocess.Popen(SLEEP)
    yield child
    child.kill()
    child.wait()


def until(condition, limit_s=10.0):
    """Poll *condition* until it holds."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


def test_a_living_process_is_alive_and_takes_signals(sleeper):
    """Identified by pid and start time."""
    found = identify(sleeper.pid)

    assert found.alive()
    assert found.signal(signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM
    assert not found.alive()
    assert not found.signal(signal.SIGTERM)
    assert identify(sleeper.pid) is None


@pytest.mark.parametrize("ticks", [-1, 1, -100])
def test_the_same_pid_with_another_start_is_somebody_else(sleeper, ticks):
    """A recycled pid is neither alive nor signalled."""
    found = identify(sleeper.pid)
    other = ProcessId(found.pid, found.start_ticks + ticks)

    assert not other.alive()
    assert not other.signal(signal.SIGKILL)
    assert found.alive()


def test_a_really_recycled_pid_is_never_mistaken():
    """The kernel hands the pid of an ended process to a new one: the old identity is dead and cannot hurt it."""
    first = subprocess.Popen(SLEEP)
    old = identify(first.pid)
    first.kill()
    first.wait()
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    new = _child_with_pid(old.pid)
    if new is None:
        pytest.skip("the kernel does not let this user choose the next pid")
    try:
        assert new.pid == old.pid
        assert identify(new.pid).alive()
        assert not old.alive()
        assert not old.signal(signal.SIGKILL)
        assert new.poll() is None
    finally:
        new.kill()
        new.wait()


def _child_with_pid(pid):
    """A child that has *pid*, by telling the kernel which pid was the last one; None without the permission."""
    for _ in range(50):
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:  # noqa: PTH123 -- a kernel setting
                file.write(str(pid - 1))
        except OSError:
            return None
        child = subprocess.Popen(SLEEP)
        if child.pid == pid:
            return child
        child.kill()
        child.wait()
    return None


def test_a_zombie_is_not_alive():
    """It ended, though nobody has waited for it yet."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    found = identify(child.pid)
    until(lambda: stat_of(child.pid).state == "Z")

    assert not found.alive()
    assert not found.signal(signal.SIGTERM)
    child.wait()


def test_a_name_with_brackets_does_not_shift_the_fields(tmp_path):
    """The command's name in /proc is the program's own choice."""
    name = tmp_path / ") Z 1 (x"
    name.symlink_to(sys.executable)
    child = subprocess.Popen([str(name), "-c", "import time; time.sleep(60)"])
    try:
        until(lambda: b"Z" in (f := open(f"/proc/{child.pid}/comm", "rb")).read() and not f.close())  # noqa: SIM115, PTH123
        assert stat_of(child.pid).state in "RSD"
        assert stat_of(child.pid).parent == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_a_child_writes_to_its_file_in_a_session_of_its_own(tmp_path):
    """Its output is appended; a signal to our group does not reach it."""
    log = tmp_path / "log"
    log.write_text("before\n")
    child = start_child([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid(), os.getcwd())"], output=log, cwd=tmp_path)

    assert child.wait() == 0
    assert log.read_text() == f"before\nTrue {tmp_path}\n"


def test_arguments_reach_the_program_as_they_are(tmp_path):
    """No shell: metacharacters are text."""
    nasty = ["$(touch canary)", "; touch canary", "`touch canary`", "a b", "'", '"', "*", "\n", ""]
    log = tmp_path / "log"
    child = start_child([sys.executable, "-c", "import sys; print(sys.argv[1:])", *nasty], output=log, cwd=tmp_path)

    assert child.wait() == 0
    assert log.read_text() == f"{nasty}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_stopped_group_is_killed_with_its_grandchildren(tmp_path):
    """TERM first; who does not go is killed."""
    code = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.fork(), flush=True)\ntime.sleep(60)"
    log = tmp_path / "log"
    child = start_child([sys.executable, "-c", code], output=log)
    until(lambda: len(log.read_text().split()) == 2)
    grandchild = identify(max(map(int, log.read_text().split())))

    assert stop_group(child, grace_s=0.2) == -signal.SIGKILL
    until(lambda: not grandchild.alive())


def test_stopping_what_has_ended_gives_its_status(tmp_path):
    """Nothing is signalled twice."""
    child = start_child([sys.executable, "-c", "raise SystemExit(7)"], output=tmp_path / "log")
    child.wait()

    assert stop_group(child, grace_s=0.1) == 7


def test_a_tied_child_dies_with_its_parent(tmp_path):
    """The parent is killed -9; the child is gone too."""
    code = "import sys, time; from pathlib import Path; from tasks.base.process import start_child\n"
    code += "print(start_child([sys.executable, '-c', 'import time; time.sleep(60)'], output=Path(sys.argv[1])).pid, flush=True)\ntime.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    child = identify(int(parent.stdout.readline()))

    parent.kill()
    parent.wait()
    parent.stdout.close()

    until(lambda: not child.alive())
