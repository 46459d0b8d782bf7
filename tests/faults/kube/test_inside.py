"""What runs inside the cluster, run here: scripts in a shell, the guard against a fake API server, the pause on a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base.process import stat_of
from tasks.faults.kube.guard_job import GuardPlan, pod_spec
from tasks.faults.kube.inner import argv_of, look_argv, mark_of, read_inside, read_remains, scan_argv, script, sweep_argv
from tasks.faults.kube.inside.packets import attribute, message, messages, packet_id, rule
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.programs import MODULES, program
from tests.faults.kube.town import NAMESPACE, Town

ROOT = Path(__file__).resolve().parents[3]
SHELLS = [
    shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if any(Path(folder, shell[0]).exists() for folder in ("/bin", "/usr/bin"))
]
MARK = mark_of("t001")


def until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    """Wait for *condition*."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "not in time"
        time.sleep(0.02)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[list[str]], subprocess.Popen[str]]]:
    """Starts a command line of a container in one of the shells here; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(argv: list[str]) -> subprocess.Popen[str]:
        started.append(subprocess.Popen([*request.param, *argv[1:]], stdout=subprocess.PIPE, text=True, start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        try:
            os.killpg(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        one.communicate()


def told(process: subprocess.Popen[str]) -> str:
    """What it printed."""
    return process.communicate()[0]


def test_a_look_tells_what_the_scripts_need(run):
    """Of this very machine."""
    process = run(look_argv())
    inside = read_inside(0, told(process), "this machine")

    assert inside.processors == os.cpu_count()
    assert 0 < inside.largest_bytes <= inside.used_bytes


def test_hogs_are_known_by_their_mark_and_end_by_themselves(run):
    """Both the starter and what it started; another fault's mark is another one; no dead ones are left by them."""
    process = run(argv_of(script("cpu"), "2", "5", "0", "40", mark=MARK))
    until(lambda: len(read_remains(told(run(scan_argv(MARK)))).processes) == 3)

    assert read_remains(told(run(scan_argv(mark_of("t00"))))).processes == ()
    assert process.wait(5) == 0
    assert read_remains(told(run(scan_argv(MARK)))).processes == ()


@pytest.mark.parametrize("run", SHELLS[:1], indirect=True, ids=lambda shell: shell[0])
def test_memory_is_held_and_swept(run):
    """As much as was asked for, in as many processes; told to go, they go."""
    process = run(argv_of(script("memory"), "2", "12", "0", "3000", mark=MARK))

    def held() -> int:
        pids = read_remains(told(run(scan_argv(MARK)))).processes
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20 for pid in pids)

    until(lambda: held() >= 24)
    assert len(read_remains(told(run(sweep_argv(MARK, "TERM")))).processes) == 3
    assert process.wait(5) == 0


def test_programs_are_whole_and_need_the_standard_library_alone():
    """Each is one text; nothing of this project is imported in it."""
    for name in MODULES:
        text = program(name)
        code = f"import sys, types; sys.modules['__main__'].__name__ = 'elsewhere'; exec({text!r}, {{'__name__': 'elsewhere'}})"
        ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, cwd="/")

        assert ran.returncode == 0, ran.stderr
        assert "tasks." not in text


class Guarding:
    """A guard's own program, run here against the fake API server."""

    def __init__(self, town: Town, tmp_path: Path, *, seconds: float = 0.3, arming_s: float = 5.0) -> None:
        moves = KINDS["service_outage"].plan(town.aim())
        steps = tuple((step, town.kube.path_of(step.ref)) for step in moves.reverts)
        found = town.found().workload
        assert found is not None
        town.api.put({**found, "spec": {**found["spec"], "replicas": 0}})  # nobody serves, and nobody of ours is there any more
        self.town, plan = town, GuardPlan("r1", "t001", NAMESPACE, "x", steps, seconds, arming_s)
        self.name = plan.name
        tmp_path.mkdir(exist_ok=True)
        (tmp_path / "token").write_text(town.api.bearer or "")
        container = pod_spec(plan)["containers"][0]
        order = {**json.loads(container["args"][0]), "server": town.api.url, "account": str(tmp_path), "again_s": 0.05}
        self.argv = [sys.executable, "-I", *container["command"][1:], json.dumps(order)]
        self.job: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": plan.name, "namespace": NAMESPACE}}

    def start(self, **job: Any) -> subprocess.Popen[str]:
        """Its Job is there, with that specification and status."""
        self.town.guards = "never"
        self.town.api.put({**self.job, "spec": {"suspend": False, "template": {"metadata": {"labels": {}}}}, **job})
        return subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True, cwd="/")

    def replicas(self) -> int:
        """Of the target, as the server has it."""
        found = self.town.api.object("Deployment", "carts", NAMESPACE)
        assert found is not None
        return int(found["spec"]["replicas"])


def words(process: subprocess.Popen[str]) -> list[str]:
    """What it said, until its end."""
    return [json.loads(line)["said"] for line in process.communicate(timeout=20)[0].splitlines()]


def first_word(process: subprocess.Popen[str]) -> str:
    """What it says first."""
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["said"])


def test_a_guard_undoes_the_fault_when_its_time_is_over(town: Town, tmp_path: Path):
    """It has tried without effect that it could, and waited."""
    guard = Guarding(town, tmp_path)
    process = guard.start()
    assert first_word(process) == "armed"
    assert [seen.asked("dryRun") for seen in town.api.asked("/scale", "PATCH")] == ["All"]

    assert words(process) == ["reverting", "reverted"]
    assert process.returncode == 0
    assert guard.replicas() == 1


def test_a_guard_that_may_not_undo_is_not_armed(town: Town, tmp_path: Path):
    """Why is said; it goes on trying while somebody waits for it."""
    guard = Guarding(town, tmp_path)
    town.api.fail_next(403, times=1, path="/scale", message="forbidden")
    process = guard.start()

    assert words(process) == ["not armed", "armed", "reverting", "reverted"]


def test_a_guard_tries_again_until_the_server_is_well(town: Town, tmp_path: Path):
    """A server that is away or unwell at the very end."""
    guard = Guarding(town, tmp_path)
    process = guard.start()
    assert first_word(process) == "armed"
    town.api.fail_next(500, times=1, path="/scale")

    assert words(process) == ["reverting", "not reverted", "reverted"]
    assert guard.replicas() == 1


def test_a_guard_that_is_told_to_end_undoes_the_fault_first(town: Town, tmp_path: Path):
    """Evicted from its node, say."""
    guard = Guarding(town, tmp_path, seconds=60)
    process = guard.start()
    assert first_word(process) == "armed"
    process.terminate()

    assert words(process) == ["reverting", "reverted"]
    assert guard.replicas() == 1


def test_a_guard_that_is_sent_away_leaves_all_as_it_is(town: Town, tmp_path: Path):
    """Its Job is suspended: whoever sent for it has seen that nothing is left."""
    guard = Guarding(town, tmp_path, seconds=60)
    process = guard.start()
    assert first_word(process) == "armed"
    town.api.put({**guard.job, "spec": {"suspend": True}})
    process.terminate()

    assert words(process) == ["stood down"]
    assert guard.replicas() == 0


@pytest.mark.parametrize("status", [{"failed": 1}, {"startTime": "2001-01-01T00:00:00Z"}], ids=["another failed", "long expected"])
def test_a_guard_that_comes_in_place_of_another_undoes_at_once(town: Town, tmp_path: Path, status: dict[str, Any]):
    """How long the fault has lasted is not known to it."""
    guard = Guarding(town, tmp_path, seconds=60)
    process = guard.start(status=status)

    assert words(process) == ["reverting", "reverted"]
    assert guard.replicas() == 1


def test_what_is_gone_needs_no_undoing(town: Town, tmp_path: Path):
    """The target was removed meanwhile."""
    guard = Guarding(town, tmp_path)
    town.api.remove("Deployment", "carts", NAMESPACE)

    assert words(guard.start()) == ["armed", "reverting", "reverted"]


ORDER = {"ports": [8080], "mark": MARK, "placebo": False, "seconds": 60.0}


def test_a_rule_carries_its_own_end():
    """The kernel stops to apply it a second after the stated end, whoever is gone by then."""
    found = rule({**ORDER, "mode": "drop", "ratio": 0.25}, 8080, 1_700_000_000.2)

    assert found[found.index("--datestop") + 1] == "2023-11-14T22:13:22"
    assert found[found.index("--probability") + 1] == "0.250000"
    assert found[found.index("--comment") + 1] == MARK
    assert found[-1] == "DROP"


def test_a_rule_that_holds_is_bypassed_when_nobody_reads():
    """And one that pretends is for an address that nobody has."""
    held = rule({**ORDER, "mode": "hold", "delay_ms": 5}, 8080, 1.0)
    fake = rule({**ORDER, "mode": "reset", "ratio": 1.0, "placebo": True}, 8080, 1.0)

    assert held[-4:] == ["NFQUEUE", "--queue-num", "17", "--queue-bypass"]
    assert fake[fake.index("-s") + 1] == "192.0.2.1"
    assert fake[-3:] == ["REJECT", "--reject-with", "tcp-reset"]


def test_messages_to_the_packet_queue_are_read_back():
    """Numbers of packets among other attributes, several messages in one piece."""
    packet = b"\0\0\0\0" + attribute(3, b"\1\2\3\4") + attribute(1, b"\0\0\1\2\x08\0\1")
    body = message(0, packet[4:])

    assert [kind for kind, _ in messages(body + body)] == [0x300, 0x300]
    assert [packet_id(one) for _, one in messages(body + body)] == [258, 258]


PAUSING = """
import sys
import tasks.faults.kube.inside.pause as pause
from tasks.faults.kube.inside.node import main
pause.members = lambda *_: [int(sys.argv[1])]
sys.exit(main({"mode": "pause", "container": "x", "ratio": float(sys.argv[2]), "seconds": float(sys.argv[3]), "placebo": sys.argv[4] == "1"}))
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that can be held."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def pausing(target: subprocess.Popen[bytes], ratio: float = 1.0, seconds: float = 30.0, *, placebo: bool = False) -> subprocess.Popen[str]:
    """The program on the node, told to hold it."""
    argv = [sys.executable, "-c", PAUSING, str(target.pid), str(ratio), str(seconds), str(int(placebo))]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def state(process: subprocess.Popen[bytes]) -> str:
    """The letter of its state; ``t``: held as by a debugger."""
    found = stat_of(process.pid)
    return "" if found is None else found.state


def test_a_pause_ends_at_its_stated_end(sleeper):
    """Held meanwhile; let go, and said so, at the end."""
    process = pausing(sleeper, seconds=1.0)
    assert first_word(process) == "effective"
    until(lambda: state(sleeper) == "t", 1)

    assert words(process) == ["over"]
    assert process.returncode == 0
    until(lambda: state(sleeper) == "S", 1)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_a_pause_ends_with_its_program(sleeper, signum: signal.Signals):
    """However that ends: the kernel lets the target go."""
    process = pausing(sleeper)
    assert first_word(process) == "effective"
    process.send_signal(signum)
    process.wait(10)

    until(lambda: state(sleeper) == "S", 3)
    assert process.stdout is not None
    process.stdout.close()


def test_a_pause_of_half_of_every_second_comes_and_goes(sleeper):
    """Both states are seen again and again."""
    process = pausing(sleeper, 0.5)
    assert first_word(process) == "effective"
    for letter in "St":
        until(lambda letter=letter: state(sleeper) == letter, 3)
    process.terminate()

    assert words(process) == ["over"]
    until(lambda: state(sleeper) == "S", 1)


def test_a_pause_that_pretends_holds_nobody(sleeper):
    """The same program looks at the same process."""
    process = pausing(sleeper, seconds=0.3, placebo=True)
    assert first_word(process) == "effective"

    assert state(sleeper) == "S"
    assert words(process) == ["over"]


def test_who_dies_while_held_is_given_back_to_its_parent(sleeper):
    """Nobody waits for it in vain until the fault is over."""
    process = pausing(sleeper)
    assert first_word(process) == "effective"
    sleeper.kill()

    assert sleeper.wait(3) == -signal.SIGKILL
    process.terminate()
    process.communicate()
