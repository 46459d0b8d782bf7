"""Looks after the workers: tells each loss once, and has a hung one replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Literal

from tasks.base.clock import Clock
from tasks.base.errors import PreflightError, TidegaugeError
from tasks.kube.errors import NotFound
from tasks.load.kube.api import PodPlace
from tasks.load.kube.logbook import Life, Logbook
from tasks.load.kube.losses import SILENCE_S, Sighting, verdict
from tasks.load.kube.roll import Roll
from tasks.load.status import Restart

FUTILE = 3
"""Losses of one worker in a row without one logged second, after which the load is given up."""
ABSENT_S = 300.0
"""A lost worker that logs nothing for this long will not come back."""


@dataclass(slots=True)
class Absence:
    """Of a worker that was lost, until it logs a second again."""

    since_s: float
    times: int


@dataclass(slots=True)
class Watchman:
    """Asked every second or so from one thread; what takes time is done in others."""

    place: PodPlace
    roll: Roll
    book: Logbook
    clock: Clock
    told: list[Restart] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)
    """Processes (by ``id``) whose loss was told."""
    _found: dict[int, Literal["dead", "hung"]] = field(default_factory=dict)
    """What a look at a silent process (by ``id``) has found."""
    _looks: dict[int, Thread] = field(default_factory=dict)
    """By worker."""
    _absences: dict[int, Absence] = field(default_factory=dict)
    """By worker."""
    _asked_s: float | None = None

    def look(self) -> Restart | None:
        """
        A worker that was lost since the last look; None: all is well.

        Raises:
            PreflightError: A worker does not come back, or is lost again and again before it has logged one second.
        """
        now = self.clock.monotonic_s()
        held_up = self._asked_s is None or now - self._asked_s > SILENCE_S / 2  # we were not there ourselves: let the readers catch up
        self._asked_s = now
        for number in range(self.book.workers):
            lives = self.book.lives_of(number)
            for earlier in lives[:-1]:
                if id(earlier) not in self._known:
                    return self._tell(number, earlier, "dead")
            if not lives or id(life := lives[-1]) in self._known:
                self._check_absence(number, now)
                continue
            if life.last_second is not None:
                self._absences.pop(number, None)
            if (why := self._judge(number, life, now, held_up=held_up)) is not None:
                return self._tell(number, life, why)
        return None

    def _judge(self, number: int, life: Life, now: float, *, held_up: bool) -> Literal["dead", "hung"] | None:
        if id(life) in self._found:
            return self._found[id(life)]
        match self.verdict(life, now):
            case "dead":
                return "dead"
            case "silent" if not held_up:
                self._aside(number, lambda: self._examine(life))
        return None

    def verdict(self, life: Life, now: float) -> Literal["well", "silent", "dead"]:
        """What is to be thought of a process *now*, on the monotonic clock."""
        return verdict(Sighting(self.roll.find(life.pod.uid), life.place, now - life.heard_s, life.ended))

    def _tell(self, number: int, life: Life, why: Literal["dead", "hung"]) -> Restart:
        self._known.add(id(life))
        pod = self.roll.find(life.pod.uid)
        before = self._absences.get(number)
        times = 1 if before is None or life.last_second is not None else before.times + 1
        self._absences[number] = Absence(self.clock.monotonic_s(), times)
        restart = Restart(
            self.clock.wall_s(), why, None if pod is None else pod.exit_code, life.last_second, who=f"worker {number} of the load"
        )
        self.told.append(restart)
        if times > FUTILE:
            raise PreflightError(
                f"worker {number} of the load keeps dying{self._said()}", next_step=f"see {self.book.out / 'generator.log'}"
            )
        return restart

    def _check_absence(self, number: int, now: float) -> None:
        absence = self._absences.get(number)
        if absence is not None and now - absence.since_s > ABSENT_S:
            reasons = [pod.stuck or pod.waiting for pod in self.roll.pods() if pod.worker == number]
            why = next((f": {reason}" for reason in reasons if reason), "")
            raise PreflightError(
                f"worker {number} of the load did not come back in {ABSENT_S:.0f} s{why}",
                next_step=f"kubectl --namespace {self.place.namespace} describe pods --selector {self.roll.selector}",
            )

    def _said(self) -> str:
        lines = self.book.noise().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _examine(self, life: Life) -> None:
        """Is it the worker that is silent, or the way to it?"""
        heard_s = life.heard_s
        try:
            self.roll.catch_up(life.pod.uid)
            if life.heard_s != heard_s:
                self.roll.read_anew(life.pod.uid)
            else:
                self._found[id(life)] = "hung"
                self.place.api.delete(self.place.ref("Pod", life.pod.name), grace_s=0)
        except NotFound:
            if self.roll.find(life.pod.uid) is None:  # else its kubelet was started anew, and has not found it yet
                self._found[id(life)] = "dead"
        except TidegaugeError:
            return  # nobody can say now; the next look asks again

    def _aside(self, number: int, act: Callable[[], None]) -> None:
        """Do it in a thread, unless that worker's is still at it."""
        busy = self._looks.get(number)
        if busy is None or not busy.is_alive():
            self._looks[number] = Thread(target=act, name=f"look at worker {number}", daemon=True)
            self._looks[number].start()
