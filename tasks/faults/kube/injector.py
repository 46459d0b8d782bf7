"""
Injecting faults into a cluster: looked at, planned, journalled, guarded, active, reverted, verified.

The order is what makes it safe: nothing is written before every reason to refuse was looked for, the plan is on disk before the
guard is sent for, and nothing acts before the guard counts. Whatever is killed, and whenever, the fault is over soon after its
stated end; the next start finds the plan, and verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError, TidegaugeError
from tasks.faults.injector import FAULT_ID, end_fault, still_active
from tasks.faults.journal import Journal, JournalEntry, boot_id
from tasks.faults.kind import FaultKind
from tasks.faults.kube.active import LATENESS_S, ActiveClusterFault
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.deciding import Decided, FaultPlace, decide
from tasks.faults.kube.ending import Ending
from tasks.faults.kube.guard_job import GuardPlan, trial_pod
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.node_pod import START_S
from tasks.faults.kube.saved import SavedPlan
from tasks.faults.kube.steps import Run
from tasks.faults.kube.taking import take
from tasks.faults.preflight import FaultRequest
from tasks.kube.safety import check_namespace


@dataclass(frozen=True, slots=True)
class ClusterInjector:
    """Injects faults into the app of one namespace."""

    api: ClusterApi
    place: FaultPlace
    state_dir: Path
    """The deployment's own folder on this machine; the journal lies below it."""
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        """Refuse namespaces that are never written to (DocumentError)."""
        check_namespace(self.place.namespace)

    @property
    def journal(self) -> Journal:
        """The journal."""
        return Journal(self.state_dir)

    def kinds(self) -> Mapping[str, FaultKind]:
        """What can be injected, by name."""
        return KINDS

    def check(self, request: FaultRequest) -> None:
        """
        See whether *request* could be injected now; nothing is written.

        Raises:
            PreflightError: With every reason why not, or what the API server says to a dry run.
            KubeError: The API server does not answer.
        """
        self._rehearsed(decide(self.api, self.place, request, inside=False))

    def dry_run(self, request: FaultRequest) -> tuple[str, ...]:
        """What would be called, in order; nothing is written; raises like :meth:`check`."""
        decided = decide(self.api, self.place, request, inside=False)
        self._rehearsed(decided)
        guard = [f"create {self._guard(decided).job}, with an account that may do nothing but the last steps below"]
        calls = [*(guard if decided.moves.reverts else []), *map(str, decided.moves.acts)]
        return (*calls, *(f"in the end: {step}" for step in decided.moves.reverts))

    def inject(self, request: FaultRequest) -> ActiveClusterFault:
        """
        Begin the fault of *request*; journalled, guarded and in effect on return.

        Raises:
            PreflightError: Refused before anything was written.
            FaultActiveError: An earlier fault could not be reverted, or this one could not after it failed to start.
            TidegaugeError: Guard or effect did not come; whatever had begun is reverted.
        """
        self._refuse_unfit(request)
        decided = decide(self.api, self.place, request, inside=True)
        self._rehearsed(decided)
        requested, journal = self.clock.wall_s(), self.journal
        plan = SavedPlan.of(request.id, self.place.run, self.api.server, decided.found, decided.moves, decided.dead)
        plan.write(journal.folder)
        self._journalled(request)
        fault = ActiveClusterFault(Ending(self.api, journal, plan, self.clock), request, decided.moves, requested)
        try:
            armed = None
            if plan.guarded:
                armed = fault.ending.watchman.send(self._guard(decided), fault.ending.stop)
                journal.append(request.id, "armed", self.clock, job=self._guard(decided).name)
            fault.begin(armed)
        except BaseException:
            fault.revert()
            raise
        return fault

    def open_faults(self) -> tuple[JournalEntry, ...]:
        """Faults that are not known to be over, oldest first."""
        return tuple(entry for entry in self.journal.read().entries.values() if entry.open)

    def revert_all(self) -> tuple[JournalEntry, ...]:
        """The emergency stop; see :func:`revert_all`."""
        return revert_all(self.api, self.state_dir, self.clock)

    def _refuse_unfit(self, request: FaultRequest) -> None:
        if not FAULT_ID.fullmatch(request.id):
            raise PreflightError(f"{request.id!r} is not a fault id (lower-case letters, digits and dashes, at most 63)")
        view = self.journal.read()
        if request.id in view.entries:
            raise PreflightError(f"there was a fault {request.id} already; an id is used once")
        for found in view.entries.values():
            if not found.open:
                continue
            if not found.over(self.clock):
                raise PreflightError(
                    f"fault {found.id} ({found.kind}) is active on {found.target}; one at a time", next_step="tidegauge faults revert --all"
                )
            entry = _ended(self.api, self.journal, found, self.clock)
            if entry.open:
                raise still_active([entry])

    def _journalled(self, request: FaultRequest) -> None:
        names = ("kind", "target", "intensity", "placebo", "duration_s")
        limit_s = self.place.arming_s + 60.0
        limits = {"until_mono_s": self.clock.monotonic_s() + limit_s, "until_wall_s": self.clock.wall_s() + limit_s}
        facts = {name: getattr(request, name) for name in names}
        nobody = {"leader": None, "signature": None, "boot": boot_id(), "place": "kubernetes"}
        self.journal.append(request.id, "planned", self.clock, **facts, **nobody, **limits)

    def _guard(self, decided: Decided) -> GuardPlan:
        place, request = self.place, decided.request
        steps = tuple((step, self.api.path_of(step.ref)) for step in decided.moves.reverts)
        seconds = request.duration_s + LATENESS_S + (START_S if decided.starts else 0.0)
        return GuardPlan(place.run, request.id, place.namespace, place.guard_image, steps, seconds, place.arming_s, decided.pull_secrets)

    def _rehearsed(self, decided: Decided) -> None:
        """Have the server say whether it would take every step: rights, quotas and admission rules are told before anything is written."""
        try:
            for step in (*decided.moves.acts, *decided.moves.reverts):
                if not isinstance(step, Run) and step.ref not in decided.new:
                    take(self.api, step, dry_run=True)
            for step in decided.moves.acts:
                if step.ref in decided.new:
                    take(self.api, step, dry_run=True)
            if decided.moves.reverts:
                self.api.create(trial_pod(self._guard(decided)), dry_run=True)
        except TidegaugeError as error:
            raise PreflightError(
                f"the fault was refused: the API server would not take it: {error.message}", next_step=error.next_step
            ) from error


def revert_all(api: ClusterApi, state_dir: Path, clock: Clock | None = None) -> tuple[JournalEntry, ...]:
    """
    The emergency stop: end every open fault; needs nothing but the journal and the cluster.

    Returns:
        The faults that were open, as they are now (verified to be over).

    Raises:
        FaultActiveError: At least one could not be verified; every one was tried.
    """
    clock, journal = clock or SystemClock(), Journal(state_dir)
    found = [entry for entry in journal.read().entries.values() if entry.open]
    ended = tuple(_ended(api, journal, entry, clock) for entry in found)
    if left := [entry for entry in ended if entry.open]:
        raise still_active(left)
    return ended


def gone_all(state_dir: Path, what: str, clock: Clock | None = None) -> tuple[JournalEntry, ...]:
    """Close every open fault of a deployment whose cluster is known to be gone, as *what* says; those that were open."""
    clock, journal = clock or SystemClock(), Journal(state_dir)
    found = [entry for entry in journal.read().entries.values() if entry.open]
    for entry in found:
        journal.append(entry.id, "revert_requested", clock, by="nobody", why=f"{what} is gone")
        journal.append(entry.id, "reverted", clock)
        journal.append(entry.id, "verified", clock, gone=[what])
    return tuple(journal.entry(entry.id) or entry for entry in found)


def _ended(api: ClusterApi, journal: Journal, entry: JournalEntry, clock: Clock) -> JournalEntry:
    """End one fault of an earlier process; the entry as it is then."""
    if entry.place == "processes":
        return end_fault(journal, entry, clock)
    try:
        plan = SavedPlan.read(journal.folder, entry.id)
    except TidegaugeError as error:
        journal.append(entry.id, "unverified", clock, left=[error.message])
        return journal.entry(entry.id) or entry
    if plan.server != api.server:
        left = f"it is in another cluster, at {plan.server}; if that is gone for good, remove {journal.folder}"
        journal.append(entry.id, "unverified", clock, left=[left])
        return journal.entry(entry.id) or entry
    return Ending(api, journal, plan, clock).end("those who began it were gone")
