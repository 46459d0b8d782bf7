"""
Ending a fault: see what of it is left, plan the smallest steps, take them, look again.

The fault counts as reverted when nothing is left to plan: no actuator lives, no process of the service is stopped, and the
proxy has no rule of it. Everything is read from the journal entry, ``/proc`` and the proxy's socket.
"""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.base.clock import Clock
from tasks.base.process import ProcessId
from tasks.faults.journal import Journal, JournalEntry
from tasks.faults.processes import actuators_of, group_members, is_stopped, successors
from tasks.faults.rule_socket import ProxyAbsent, ProxySilent, RuleSocket

PATIENCE_S = 6.0
POLITE_TRIES = 12
PAUSE_S = 0.05
CALM_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Situation:
    """What of a fault is left at one moment."""

    actuators: tuple[ProcessId, ...] = ()
    stopped: tuple[ProcessId, ...] = ()
    """Processes of the service that stand still."""
    rule: Literal["none", "active", "unknown"] = "none"
    trouble: str = ""
    """Why the rule is unknown."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Send *signum* to *process*."""

    process: ProcessId
    signum: int

    def __str__(self) -> str:
        return f"{signal.Signals(self.signum).name} to process {self.process.pid}"


@dataclass(frozen=True, slots=True)
class ClearRule:
    """End the proxy's rule of *fault* for *service*."""

    service: str
    fault: str

    def __str__(self) -> str:
        return f"clear the proxy's rule for {self.service}"


Step = Signal | ClearRule


@dataclass(frozen=True, slots=True)
class Reverted:
    """How a revert went: verified, or what is still left after every try."""

    verified: bool
    tries: int
    left: tuple[str, ...] = ()


def plan_revert(entry: JournalEntry, found: Situation, *, polite: bool) -> tuple[Step, ...]:
    """
    The steps that end what *found* shows, actuators first; empty when the fault is over.

    Args:
        entry: The fault.
        found: What is left of it.
        polite: Whether actuators may still clean up by themselves (SIGTERM), or are killed.
    """
    end = signal.SIGTERM if polite else signal.SIGKILL
    steps: list[Step] = [Signal(process, end) for process in found.actuators]
    steps += [Signal(process, signal.SIGCONT) for process in found.stopped]
    if found.rule != "none":
        steps.append(ClearRule(entry.target, entry.id))
    return tuple(steps)


def observe(entry: JournalEntry, state_dir: Path, clock: Clock) -> Situation:
    """What is left of *entry*, from the process table and the proxy; nothing is changed."""
    actuators = set(actuators_of(Journal(state_dir).folder, entry.id))
    if entry.actuator is not None and entry.actuator.alive():
        actuators.add(entry.actuator)
    leaders = {leader for leader in (entry.leader, *successors(entry.signature)) if leader is not None}
    stopped = tuple(process for process in group_members(leaders) if is_stopped(process) and process not in actuators)
    rule, trouble = _rule(entry, state_dir, clock)
    return Situation(tuple(sorted(actuators, key=lambda process: process.pid)), stopped, rule, trouble)


def _rule(entry: JournalEntry, state_dir: Path, clock: Clock) -> tuple[Literal["none", "active", "unknown"], str]:
    if entry.events["planned"].get("rule") is None:
        return "none", ""
    try:
        rule = RuleSocket(state_dir / "proxy.sock").services().get(entry.target, {}).get("rule")
    except ProxyAbsent:
        return "none", ""  # rules live in the proxy's memory alone
    except ProxySilent as error:
        # The proxy looks at both clocks before each use of a rule: one whose end has passed cannot act, whoever is asleep.
        return ("none", "") if entry.over(clock) else ("unknown", str(error))
    return ("active" if rule is not None and rule["fault"] == entry.id else "none"), ""


def take(step: Step, state_dir: Path) -> None:
    """Do one step; a process or a proxy that is gone meanwhile is no trouble, and what failed is seen at the next look."""
    if isinstance(step, Signal):
        try:
            step.process.signal(step.signum)
        except PermissionError:
            return
        return
    try:
        RuleSocket(state_dir / "proxy.sock").clear(step.service, step.fault)
    except (ProxyAbsent, ProxySilent):
        return


def revert(entry: JournalEntry, state_dir: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> Reverted:
    """
    End the fault of *entry* and look whether it is over; try again for *patience_s*.

    Actuators are asked first and killed when they do not go within half a second. After steps were taken, several looks in a
    row, unevenly apart, must find nothing: guard and injector may both be at it, and whoever stops a service again and again
    must not slip between the other's step and our look. Never raises: what cannot be done is named in the result.
    """
    end, tries, calm = clock.monotonic_s() + patience_s, 0, 0
    while True:
        found = observe(entry, state_dir, clock)
        steps = plan_revert(entry, found, polite=tries < POLITE_TRIES)
        calm = 0 if steps else calm + 1
        if calm >= (CALM_LOOKS if tries else 1):
            return Reverted(verified=True, tries=tries)
        if clock.monotonic_s() >= end:
            return Reverted(verified=False, tries=tries, left=(*map(str, steps), *filter(None, [found.trouble])))
        for step in steps:
            take(step, state_dir)
        tries += bool(steps)
        clock.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311 -- out of step with others, no secret
