"""
Ending a fault in a cluster: undo, look, send the guard away, wait until the target serves again, keep the proof.

Every part may be done again by anybody who has the plan: the one who began, the next start, the emergency stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.faults.journal import Journal, JournalEntry
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.guard_job import job_ref
from tasks.faults.kube.guarding import Watchman, as_json
from tasks.faults.kube.looking import look
from tasks.faults.kube.remains import Inspection, close_node_pods, inspect, problems_of, scan, sweep
from tasks.faults.kube.saved import SavedPlan, write_proof
from tasks.faults.kube.sayings import said
from tasks.faults.kube.taking import undo
from tasks.faults.kube.target import pod_ready
from tasks.kube.refs import ObjectRef

PATIENCE_S = 60.0
"""So long the undoing is tried again."""
POLITE_TRIES = 6
AGAIN_S = 0.5
READY_SLACK_S = 60.0
DISMISS_S = 60.0


def nobody() -> None:
    """For whoever need not be kept alive meanwhile."""


@dataclass(slots=True)
class Ending:
    """The end of one fault."""

    api: ClusterApi
    journal: Journal
    plan: SavedPlan
    clock: Clock
    stop: Callable[[], object] = nobody
    """Called all the time."""
    patience_s: float = PATIENCE_S

    @property
    def watchman(self) -> Watchman:
        """The fault's guard."""
        job = job_ref(self.plan.run, self.plan.fault, self.plan.namespace)
        return Watchman(self.api, job, self.plan.run, self.plan.fault, self.clock)

    def end(self, why: str, *, by: str = "injector", ended_wall_s: float | None = None) -> JournalEntry:
        """
        End the fault, and say in the journal how that went; the entry as it is then.

        Args:
            why: What is the reason.
            by: Whose doing it is.
            ended_wall_s: When it ended by itself; None: it did not, or nobody knows.

        Raises:
            StorageError: The journal cannot be written.
        """
        entry = self._entry()
        self.journal.append(entry.id, "revert_requested", self.clock, by=by, why=why)
        found, logs = self._undone(entry)
        if found.left:
            return self._unverified(found.left)
        self.journal.append(entry.id, "reverted", self.clock, at_wall_s=ended_wall_s or self._guards_word(entry))
        if left := [*self._guard_left(logs), *self._not_ready()]:
            return self._unverified(left)
        write_proof(self.journal.folder, self.plan, found, logs)
        self.journal.append(entry.id, "verified", self.clock, gone=found.gone)
        return self._entry()

    def _entry(self) -> JournalEntry:
        entry = self.journal.entry(self.plan.fault)
        if entry is None:
            raise TidegaugeError(f"fault {self.plan.fault} vanished from {self.journal.path}")
        return entry

    def _unverified(self, left: list[str]) -> JournalEntry:
        self.journal.append(self.plan.fault, "unverified", self.clock, left=left)
        return self._entry()

    def _undone(self, entry: JournalEntry) -> tuple[Inspection, dict[str, Any]]:
        """Undo until a look finds nothing left, or patience is over."""
        end_s, tries, logs = self.clock.monotonic_s() + self.patience_s, 0, dict[str, Any]()
        while True:
            try:
                found = self._once(entry, tries, logs)
            except TidegaugeError as error:
                found = Inspection(left=[problems_of(error)])
            if not found.left or self.clock.monotonic_s() >= end_s:
                return found, logs
            tries += 1
            self.stop()
            self.clock.sleep(AGAIN_S)

    def _once(self, entry: JournalEntry, tries: int, logs: dict[str, Any]) -> Inspection:
        plan = self.plan
        ours = {ObjectRef.of(manifest) for manifest in plan.starts}
        troubles = undo(self.api, [step for step in plan.reverts if step.ref not in ours]) if entry.acted else []
        for run in plan.runs if entry.acted else ():
            remains = scan(self.api, run)
            if remains is not None and remains.processes:
                sweep(self.api, run, "TERM" if tries < POLITE_TRIES else "KILL")
        left, said_there = close_node_pods(self.api, plan, self.clock, self.stop) if entry.acted else ([], {})
        logs.update({name: lines for name, lines in said_there.items() if lines})
        found = inspect(self.api, plan)
        found.left += [*left, *troubles]
        return found

    def _guards_word(self, entry: JournalEntry) -> float | None:
        """When the guard undid the fault, by our clock; None: it did not, we did."""
        heard = self.watchman.heard() if self.plan.guarded else ()
        word, armed, seen_s = said(heard, "reverted"), said(heard, "armed"), entry.wall_s("armed")
        if word is None:
            return None
        ahead_s = 0.0 if armed is None or seen_s is None else seen_s - armed.wall_s
        return min(self.clock.wall_s(), word.wall_s + ahead_s)

    def _not_ready(self) -> list[str]:
        """Wait until the target serves again; why it does not."""
        end_s = self.clock.monotonic_s() + self.plan.target.ready_s + READY_SLACK_S
        while True:
            try:
                found = look(self.api, self.plan.namespace, self.plan.target)
                if found.ready or found.workload is None:  # what is gone serves no more, and not because of the fault
                    return []
                why = f"{found.ref} does not serve as before: {sum(map(pod_ready, found.pods))} of {found.replicas} pods are ready"
            except TidegaugeError as error:
                why = problems_of(error)
            if self.clock.monotonic_s() >= end_s:
                return [why]
            self.stop()
            self.clock.sleep(AGAIN_S)

    def _guard_left(self, logs: dict[str, Any]) -> list[str]:
        """Keep what the guard said, send it away; what is left of it."""
        if not self.plan.guarded:
            return []
        try:
            logs["guard"] = as_json(self.watchman.heard())
            return list(self.watchman.dismiss(self.stop, DISMISS_S))
        except TidegaugeError as error:
            return [problems_of(error)]
