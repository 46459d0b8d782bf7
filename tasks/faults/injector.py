"""
Injecting a fault: planned, journalled, guarded, active, reverted, verified.

The order is what makes it safe: the plan is on disk before the guard starts, the guard is armed before anything acts, and
what acts carries its own end. Whatever is killed, and whenever, the fault is over soon after its stated end.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import FaultActiveError, PreflightError, TidegaugeError
from tasks.faults.guard import ARMED_S, close
from tasks.faults.journal import Journal, JournalEntry, boot_id, process_json
from tasks.faults.kind import SetRule, Spawn
from tasks.faults.preflight import Checked, FaultRequest, check
from tasks.faults.processes import Signature
from tasks.faults.revert import revert
from tasks.faults.rule_socket import RuleSocket
from tasks.faults.rules import Rule
from tasks.faults.surface import FaultSurface

PYTHON = sys.executable
POLL_S = 0.02
START_LIMIT_S = 12.0
GUARD_LATENESS_S = 3.0
STATED_END = "its stated end"
FAULT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class FaultReceipt:
    """What really happened, in wall times (seconds since 1970, UTC)."""

    id: str
    kind: str
    target: str
    intensity: float
    placebo: bool
    duration_s: float
    requested: float
    acknowledged: float | None
    revert_requested: float | None
    reverted: float | None
    verified: bool
    note: str = ""
    """Why it ended, when that was not its stated end."""


def inject(surface: FaultSurface, request: FaultRequest, *, clock: Clock | None = None) -> ActiveFault:
    """
    Begin the fault of *request*; journalled, guarded and in effect on return.

    Raises:
        PreflightError: Refused before anything was written or started: unknown kind or service, the entry service, a
            target that is not running, a process or port that is not the deployment's, another fault still active.
        FaultActiveError: An earlier fault could not be reverted, or this one could not after it failed to start.
        TidegaugeError: Guard or actuator did not start; whatever had begun is reverted.
    """
    clock = clock or SystemClock()
    if not FAULT_ID.fullmatch(request.id):
        raise PreflightError(f"{request.id!r} is not a fault id (lower-case letters, digits and dashes, at most 63)")
    journal = Journal(surface.state_dir)
    _refuse_while_open(journal, request, clock)
    checked = check(surface, request)
    requested = clock.wall_s()
    _plan(journal, request, checked, clock)
    fault = ActiveFault(journal, request, requested, clock)
    try:
        surface.spawn_guard([PYTHON, "-m", "tasks.faults.guard", str(surface.state_dir), request.id])
        fault.await_event("armed", START_LIMIT_S, "its guard was not armed")
        _begin(surface, fault, checked)
    except BaseException:
        fault.revert()
        raise
    return fault


def _plan(journal: Journal, request: FaultRequest, checked: Checked, clock: Clock) -> None:
    act = checked.act
    signature = Signature.of(checked.main.pid)
    journal.append(
        request.id,
        "planned",
        clock,
        kind=request.kind,
        target=request.target,
        intensity=request.intensity,
        placebo=request.placebo,
        duration_s=request.duration_s,
        boot=boot_id(),
        leader=process_json(checked.main),
        signature=None if signature is None else {"session": signature.session, "command": signature.command},
        program=act.program if isinstance(act, Spawn) else None,
        rule={"delay_ms": act.delay_ms, "error_ratio": act.error_ratio} if isinstance(act, SetRule) else None,
        until_mono_s=clock.monotonic_s() + ARMED_S,
        until_wall_s=clock.wall_s() + ARMED_S,
    )


def _begin(surface: FaultSurface, fault: ActiveFault, checked: Checked) -> None:
    journal, request, clock, act = fault.journal, fault.request, fault.clock, checked.act
    until_mono_s, until_wall_s = clock.monotonic_s() + request.duration_s, clock.wall_s() + request.duration_s
    journal.append(request.id, "acting", clock, until_mono_s=until_mono_s, until_wall_s=until_wall_s)
    if isinstance(act, SetRule):
        rule = Rule(request.id, act.delay_ms, act.error_ratio, until_mono_s, until_wall_s)
        RuleSocket(surface.proxy_socket).set(request.target, rule)
        journal.append(request.id, "acknowledged", clock)
        return
    argv = actuator_argv(journal, request.id, act, checked.main.pid, (until_mono_s, until_wall_s))
    started = surface.spawn_actuator(request.target, argv) if act.inside else surface.spawn_guard(argv)
    journal.append(request.id, "spawned", clock, actuator=process_json(started))
    entry = fault.await_event("effective", START_LIMIT_S, "its actuator did not start")
    journal.append(request.id, "acknowledged", clock, at_wall_s=entry.wall_s("effective"))


def actuator_argv(journal: Journal, fault: str, act: Spawn, group: int, until: tuple[float, float]) -> list[str]:
    """The command line of an actuator; *until* is its deadline on the monotonic and on the wall clock."""
    program = f"tasks.faults.actuators.{act.program}"
    return [PYTHON, "-m", program, str(journal.folder), fault, repr(until[0]), repr(until[1]), str(group), *act.arguments]


def _refuse_while_open(journal: Journal, request: FaultRequest, clock: Clock) -> None:
    view = journal.read()
    if request.id in view.entries:
        raise PreflightError(f"there was a fault {request.id} already; an id is used once")
    for found in view.entries.values():
        due = found.open and "unverified" not in found.events and found.over(clock)
        entry = end_fault(journal, found, clock) if due else found  # due: its guard is about to end it, or is late
        if entry.open and ("unverified" in entry.events or entry.over(clock)):
            raise still_active([entry])
        if entry.open:
            raise PreflightError(
                f"fault {entry.id} ({entry.kind}) is active on {entry.target}; one at a time", next_step="tidegauge faults revert --all"
            )


def still_active(entries: Sequence[JournalEntry]) -> FaultActiveError:
    """The error that names faults which are not verified to be over."""
    named = "; ".join(f"{e.id} ({e.kind} on {e.target})" + _left(e) for e in entries)
    return FaultActiveError(f"THE FAULT MAY STILL BE ACTIVE: {named}", next_step="tidegauge faults revert --all")


def _left(entry: JournalEntry) -> str:
    left = entry.events.get("unverified", {}).get("left", ())
    return f", not done: {', '.join(left)}" if left else ""


class ActiveFault:
    """A fault that has begun."""

    def __init__(self, journal: Journal, request: FaultRequest, requested: float, clock: Clock) -> None:
        self.journal = journal
        self.request = request
        self.requested = requested
        self.clock = clock
        self._size = -1
        self._entry: JournalEntry | None = None

    def entry(self) -> JournalEntry:
        """What the journal says now (read again when it has grown)."""
        size = self.journal.size()
        if self._entry is None or size != self._size:
            self._size, self._entry = size, self.journal.entry(self.request.id)
        if self._entry is None:
            raise TidegaugeError(f"fault {self.request.id} vanished from {self.journal.path}")
        return self._entry

    def await_event(self, event: str, limit_s: float, otherwise: str) -> JournalEntry:
        """
        The entry once *event* is journalled.

        Raises:
            TidegaugeError: It was not within *limit_s*; the message is *otherwise*.
        """
        end = self.clock.monotonic_s() + limit_s
        while self.clock.monotonic_s() < end:
            entry = self.entry()
            if event in entry.events:
                return entry
            if not entry.open:
                break
            self.clock.sleep(POLL_S)
        raise TidegaugeError(f"fault {self.request.id} ({self.request.kind} on {self.request.target}): {otherwise}")

    def wait(self, stop: Callable[[], bool] | None = None) -> FaultReceipt:
        """
        Wait for the stated end, or until *stop* says so; reverted and verified on return.

        Raises:
            FaultActiveError: It could not be verified that the fault is over.
        """
        while not (stop is not None and stop()):
            entry = self.entry()
            if not entry.open:
                return receipt_of(entry, self.requested)
            if entry.over(self.clock) or entry.guard is None or not entry.guard.alive():
                break
            self.clock.sleep(POLL_S * 2.5)
        return self.revert()

    def revert(self) -> FaultReceipt:
        """
        End the fault now (at once when its guard lives, otherwise by ourselves); nothing to do when it is over.

        Raises:
            FaultActiveError: It could not be verified that the fault is over.
        """
        entry = end_fault(self.journal, self.entry(), self.clock)
        if entry.open:
            raise still_active([entry])
        return receipt_of(entry, self.requested)


def receipt_of(entry: JournalEntry, requested: float) -> FaultReceipt:
    """What the journal knows of a fault that was *requested* then (wall time)."""
    why = str(entry.events.get("revert_requested", {}).get("why", ""))
    return FaultReceipt(
        **{name: getattr(entry, name) for name in ("id", "kind", "target", "intensity", "placebo", "duration_s")},
        requested=requested,
        acknowledged=entry.wall_s("acknowledged"),
        revert_requested=entry.wall_s("revert_requested"),
        reverted=entry.wall_s("reverted"),
        verified=not entry.open,
        note="" if why == STATED_END else why,
    )


def end_fault(journal: Journal, entry: JournalEntry, clock: Clock) -> JournalEntry:
    """
    End *entry*: by its guard while that lives and is quick, then by ourselves; the entry as it is afterwards.

    A fault in a cluster is left as it is: whoever has the way to that cluster must end it.
    """
    if entry.place != "processes":
        return entry
    if entry.open and entry.guard is not None:
        if not entry.over(clock):
            entry.guard.signal(15)
        end = clock.monotonic_s() + GUARD_LATENESS_S
        while entry.open and entry.guard is not None and entry.guard.alive() and clock.monotonic_s() < end:
            clock.sleep(POLL_S)
            entry = journal.entry(entry.id) or entry
        entry = journal.entry(entry.id) or entry
    if not entry.open:
        return entry
    journal.append(entry.id, "revert_requested", clock, by="injector", why="its guard was gone or late")
    close(journal, entry, revert(entry, journal.state_dir, clock), clock)
    return journal.entry(entry.id) or entry


def open_faults(state_dir: Path) -> tuple[JournalEntry, ...]:
    """Faults of the deployment in *state_dir* that are not known to be over, oldest first."""
    return tuple(entry for entry in Journal(state_dir).read().entries.values() if entry.open)


def revert_all(state_dir: Path, *, clock: Clock | None = None) -> tuple[JournalEntry, ...]:
    """
    The emergency stop: end every open fault; needs neither the runner nor the supervisor.

    Returns:
        The faults that were open, as they are now (verified to be over).

    Raises:
        FaultActiveError: At least one could not be verified; every one was tried.
    """
    clock, journal = clock or SystemClock(), Journal(state_dir)
    ended = tuple(end_fault(journal, entry, clock) for entry in open_faults(state_dir))
    if left := [entry for entry in ended if entry.open]:
        raise still_active(left)
    return ended
