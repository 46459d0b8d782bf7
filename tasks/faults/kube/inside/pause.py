"""A container's processes, held as by a debugger: the kernel lets them go when the debugger is gone, however it ended."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tasks.faults.kube.inside.processes import LIBC, called, members

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
LOOK_S = 0.05
AGAIN_S = 0.5


class Pause:
    """The container's processes, held as by a debugger: by a child of ours, so that its end is their release."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.child = 0
        if not members(order["container"]):
            raise LookupError("no process of the container is on this node")

    def begin(self) -> None:
        """Hold for the first time."""
        self.began_s = time.monotonic()
        self.hold()

    def hold(self) -> None:
        """Start the child that holds, and wait until it does."""
        ready, told = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            LIBC.prctl(1, signal.SIGKILL)  # ends with us
            holder(self.order, told)
        os.close(told)
        word = os.read(ready, 200)
        os.close(ready)
        if word != b"held":
            raise OSError(f"the processes could not be held: {word.decode() or 'no reason was given'}")

    def release(self) -> None:
        """End the child: the kernel lets go."""
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = 0

    def turn(self, until_s: float) -> None:
        """Hold for the wanted share of every second."""
        held = (time.monotonic() - self.began_s) % 1.0 < self.order["ratio"] or self.order["ratio"] >= 1
        if held and not self.child:
            self.hold()
        elif not held:
            self.release()
        time.sleep(max(0.0, min(0.02, until_s - time.monotonic())))

    def end(self) -> list[str]:
        """Release; those that somebody still holds."""
        self.release()
        return [f"process {pid} is held by {tracer}" for pid in members(self.order["container"]) if (tracer := tracer_of(pid))]


def holder(order: dict[str, Any], told: int) -> None:
    """In the child: take every thread, new ones as well, and wait to be killed; what died under our hands is given back."""
    taken: set[int] = set()
    word, looked_s = b"held", 0.0
    try:
        while True:
            if time.monotonic() - looked_s > AGAIN_S:
                looked_s = time.monotonic()
                for thread in threads(members(order["container"])):
                    if not order["placebo"] and thread not in taken and take(thread):
                        taken.add(thread)
            if word:
                os.write(told, word)
                word = b""
            ended = True
            while ended:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG | WALL)
                except ChildProcessError:
                    break
                ended = pid != 0
                if ended and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
                    taken.discard(pid)
            time.sleep(LOOK_S)
    except OSError as error:
        os.write(told, str(error).encode()[:200])
    finally:
        os._exit(1)


def take(thread: int) -> bool:
    """Hold one thread; False: it has gone meanwhile."""
    try:
        called(LIBC.ptrace(PTRACE_SEIZE, thread, None, None), f"hold thread {thread}")
        called(LIBC.ptrace(PTRACE_INTERRUPT, thread, None, None), f"hold thread {thread}")
    except ProcessLookupError:
        return False
    return True


def threads(pids: list[int]) -> list[int]:
    """Every thread of *pids*, dead ones aside."""
    found = []
    for pid in pids:
        try:
            found += [int(name) for name in os.listdir(f"/proc/{pid}/task") if state_of(pid, name) not in "ZX"]  # noqa: PTH208
        except OSError:
            continue
    return found


def state_of(pid: int, thread: str) -> str:
    """The letter of a thread's state."""
    with open(f"/proc/{pid}/task/{thread}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0]


def tracer_of(pid: int) -> int:
    """Who holds a process; 0: nobody."""
    try:
        with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
            return next((int(line.split()[1]) for line in file if line.startswith("TracerPid:")), 0)
    except OSError:
        return 0
