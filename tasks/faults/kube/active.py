"""A fault in a cluster, from its first step to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.base.errors import TidegaugeError
from tasks.faults.injector import STATED_END, FaultReceipt, receipt_of, still_active
from tasks.faults.journal import JournalEntry
from tasks.faults.kube.ending import Ending
from tasks.faults.kube.guarding import Armed, logged
from tasks.faults.kube.kind import Moves, Sight
from tasks.faults.kube.looking import look
from tasks.faults.kube.node_pod import CONTAINER, START_S
from tasks.faults.kube.remains import scan
from tasks.faults.kube.sayings import ended, said, stuck
from tasks.faults.kube.steps import Create, Patch, Run
from tasks.faults.kube.taking import Running, take
from tasks.faults.preflight import FaultRequest
from tasks.kube.errors import KubeError
from tasks.kube.refs import ObjectRef

LATENESS_S = 4.0
"""So much later than we do the guard undoes a fault: in this time every first step has to be taken."""
EFFECT_S = 30.0
SELF_S = 4.0
"""What ends by itself may take so much longer."""
POLL_S = 0.5
EFFECT_POLL_S = 0.25
GUARD_LOOK_S = 2.0


@dataclass(slots=True)
class ActiveClusterFault:
    """A fault that has been planned, and begins or has begun."""

    ending: Ending
    request: FaultRequest
    moves: Moves
    requested: float
    until_s: float = 0.0
    """Its stated end by our monotonic clock."""
    _began_s: float = 0.0
    _looked_s: float = 0.0
    _running: list[Running] = field(default_factory=list)
    _ahead_s: dict[ObjectRef, float] = field(default_factory=dict)
    """How far our clock is ahead of those of the nodes, by pods of ours there; at most a poll more than it is."""
    _over_wall_s: dict[ObjectRef, float] = field(default_factory=dict)
    """When they said that it was over, by our clock."""

    def entry(self) -> JournalEntry:
        """What the journal says now."""
        entry = self.ending.journal.entry(self.request.id)
        if entry is None:
            raise TidegaugeError(f"fault {self.request.id} vanished from {self.ending.journal.path}")
        return entry

    def begin(self, armed: Armed | None) -> None:
        """
        Take the steps, and wait until they are in effect.

        Raises:
            TidegaugeError: A step failed, or there was no effect in time; what has begun is for the caller to revert.
        """
        clock, journal, duration_s = self.ending.clock, self.ending.journal, self.request.duration_s
        self._began_s = clock.monotonic_s()
        late_s = START_S if self.ending.plan.starts else 0.0
        limits = {"until_mono_s": self._began_s + late_s + duration_s, "until_wall_s": clock.wall_s() + late_s + duration_s}
        journal.append(self.request.id, "acting", clock, **limits)
        for step in self.moves.acts:
            if isinstance(step, Run):
                self._running.append(Running(step, self.ending.api, clock, duration_s))
                self._running[-1].start()
            else:
                take(self.ending.api, step)
        if armed is not None and clock.monotonic_s() - armed.not_before_s > LATENESS_S and not self.ending.plan.starts:
            raise self._failed(f"the API server was too slow: its guard would end it before its time ({LATENESS_S:g} s)")
        self._await_effect(EFFECT_S + late_s)
        journal.append(self.request.id, "acknowledged", clock)
        self.until_s = (clock.monotonic_s() if self.ending.plan.starts else self._began_s) + duration_s

    def _await_effect(self, limit_s: float) -> None:
        end_s = self.ending.clock.monotonic_s() + limit_s
        while not self._in_effect():
            if self.ending.clock.monotonic_s() >= end_s:
                raise self._failed(f"no effect was seen within {limit_s:g} s")
            self.ending.stop()
            self.ending.clock.sleep(EFFECT_POLL_S)

    def _in_effect(self) -> bool:
        api, plan = self.ending.api, self.ending.plan
        if plan.starts:
            return all(map(self._says_effective, map(ObjectRef.of, plan.starts)))
        if self._running:
            return all(map(self._acts, self._running))
        refs = [step.ref for step in self.moves.acts if isinstance(step, Patch | Create)]
        found = look(api, plan.namespace, plan.target)
        return self.moves.effect(Sight(found, {ref: api.find(ref) for ref in refs}))

    def _says_effective(self, ref: ObjectRef) -> bool:
        heard = logged(self.ending.api, ref, CONTAINER)
        over = said(heard, "over")
        if over is not None and said(heard, "effective") is None:
            raise self._failed(str(over.facts.get("why", "")))
        if (effective := said(heard, "effective")) is not None:
            self._ahead_s.setdefault(ref, self.ending.clock.wall_s() - effective.wall_s)
            return True
        pod = self.ending.api.find(ref)
        if why := f"{ref} is gone" if pod is None else stuck(pod):
            raise self._failed(why)
        return False

    def _acts(self, running: Running) -> bool:
        if running.trouble or running.code not in (None, 0):
            raise self._failed(running.trouble or f"its processes in {running.step.pod} ended at once (code {running.code})")
        remains = scan(self.ending.api, running.step)
        return remains is not None and len(remains.processes) >= running.step.processes

    def _failed(self, why: str) -> TidegaugeError:
        request = self.request
        return TidegaugeError(f"fault {request.id} ({request.kind} on {request.target}): {why}")

    def wait(self, stop: Callable[[], bool] | None = None) -> FaultReceipt:
        """
        Wait for the stated end, or until *stop* says so; reverted and verified on return. *stop* is called all the time.

        Raises:
            FaultActiveError: It could not be verified that the fault is over.
        """
        why = None
        while why is None and not (stop is not None and stop()):
            try:
                why = self._over()
            except KubeError:
                why = None  # the API server is away: the stated end still comes
                if self.ending.clock.monotonic_s() >= self.until_s:
                    why = STATED_END
            if why is None:
                left_s = self.until_s - self.ending.clock.monotonic_s()
                self.ending.clock.sleep(min(POLL_S, left_s) if left_s > 0 else POLL_S)
        if stop is not None:
            self.ending.stop = stop
        return self._end(why or "it was asked to")

    def revert(self) -> FaultReceipt:
        """
        End the fault now; nothing to do when it is over.

        Raises:
            FaultActiveError: It could not be verified that the fault is over.
        """
        return self._end("it was asked to")

    def _end(self, why: str) -> FaultReceipt:
        entry = self.entry()
        if entry.open:
            alone = [*self._over_wall_s.values(), *(one.ended_wall_s for one in self._running if one.code is not None)]
            entry = self.ending.end(why, ended_wall_s=max(filter(None, alone), default=None))
        if entry.open:
            raise still_active([entry])
        return receipt_of(entry, self.requested)

    def _over(self) -> str | None:
        """Why it is time to end it; None: it is not."""
        now_s, alone = self.ending.clock.monotonic_s(), bool(self._running or self.ending.plan.starts)
        if self._ended_alone():
            return STATED_END if now_s >= self.until_s - SELF_S / 2 else "it ended before its time"
        if now_s >= self.until_s + (SELF_S if alone else 0.0):
            return STATED_END
        if now_s - self._looked_s >= GUARD_LOOK_S:
            self._looked_s = now_s
            if self.ending.plan.guarded and (trouble := self.ending.watchman.trouble()):
                return trouble
            self._again(now_s - self._began_s)
        return None

    def _ended_alone(self) -> bool:
        starts = self.ending.plan.starts
        if self._running:
            return all(one.code is not None for one in self._running)
        return bool(starts) and all(map(self._says_over, map(ObjectRef.of, starts)))

    def _says_over(self, ref: ObjectRef) -> bool:
        over = said(logged(self.ending.api, ref, CONTAINER), "over")
        if over is not None:
            self._over_wall_s.setdefault(ref, min(self.ending.clock.wall_s(), over.wall_s + self._ahead_s.get(ref, 0.0)))
            return True
        return ended(self.ending.api.find(ref))

    def _again(self, since_s: float) -> None:
        """Strike once more when the target is whole again, where the kind does that."""
        if self.moves.again is None or since_s >= self.moves.again_s:
            return
        found = look(self.ending.api, self.ending.plan.namespace, self.ending.plan.target)
        if found.ready:
            for step in self.moves.again(found):
                take(self.ending.api, step)
