"""What whoever records faults may know of whoever injects them: the same for processes of this machine and for a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tasks.base.clock import Clock, SystemClock
from tasks.faults.catalogue import KINDS
from tasks.faults.injector import FaultReceipt, inject, open_faults, revert_all
from tasks.faults.journal import JournalEntry
from tasks.faults.kind import FaultKind, SetRule
from tasks.faults.preflight import FaultRequest, check
from tasks.faults.surface import FaultSurface


class ActiveFaultView(Protocol):
    """A fault that has begun."""

    def entry(self) -> JournalEntry:
        """What the journal says now."""
        ...

    def wait(self, stop: Callable[[], bool] | None = None) -> FaultReceipt:
        """Wait for the stated end, or until *stop*, which is called all the time, says so; reverted and verified on return."""
        ...

    def revert(self) -> FaultReceipt:
        """End it now; nothing to do when it is over."""
        ...


class FaultInjector(Protocol):
    """Injects faults into one deployment; one at a time."""

    def kinds(self) -> Mapping[str, FaultKind]:
        """What can be injected, by name."""
        ...

    def check(self, request: FaultRequest) -> None:
        """See whether *request* could be injected now; nothing is written or started. Raises PreflightError with every reason why not."""
        ...

    def dry_run(self, request: FaultRequest) -> tuple[str, ...]:
        """What would be done, in order, as sentences; raises like :meth:`check`."""
        ...

    def inject(self, request: FaultRequest) -> ActiveFaultView:
        """
        Begin the fault of *request*; journalled, guarded and in effect on return.

        Raises:
            PreflightError: Refused before anything was written or started.
            FaultActiveError: An earlier fault, or this one, could not be reverted.
            TidegaugeError: It did not start; whatever had begun is reverted.
        """
        ...

    def open_faults(self) -> tuple[JournalEntry, ...]:
        """Faults that are not known to be over, oldest first."""
        ...

    def revert_all(self) -> tuple[JournalEntry, ...]:
        """End every open fault; those that were open. Raises FaultActiveError when one could not be verified to be over."""
        ...


@dataclass(frozen=True, slots=True)
class LocalInjector:
    """Injects faults into processes of this machine."""

    surface: FaultSurface
    clock: Clock = field(default_factory=SystemClock)

    def kinds(self) -> Mapping[str, FaultKind]:
        """See :class:`FaultInjector`."""
        return KINDS

    def check(self, request: FaultRequest) -> None:
        """See :class:`FaultInjector`."""
        check(self.surface, request)

    def dry_run(self, request: FaultRequest) -> tuple[str, ...]:
        """See :class:`FaultInjector`."""
        act = check(self.surface, request).act
        if isinstance(act, SetRule):
            does = (
                f"have the proxy hold requests to {request.target} for {act.delay_ms:g} ms, and answer {act.error_ratio:.0%} with an error"
            )
        else:
            does = f"start {act.program} {' '.join(act.arguments)} {'inside' if act.inside else 'beside'} {request.target}"
        return ("start a guard", does, "in the end: end it, and see that nothing of it is left")

    def inject(self, request: FaultRequest) -> ActiveFaultView:
        """See :class:`FaultInjector`."""
        return inject(self.surface, request, clock=self.clock)

    def open_faults(self) -> tuple[JournalEntry, ...]:
        """See :class:`FaultInjector`."""
        return open_faults(self.surface.state_dir)

    def revert_all(self) -> tuple[JournalEntry, ...]:
        """See :class:`FaultInjector`."""
        return revert_all(self.surface.state_dir, clock=self.clock)
