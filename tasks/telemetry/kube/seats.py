"""
Which replica of its workload a pod is: numbers that outlive the pods that have them.

A Deployment's pods come and go under names of their own; what is recorded is "replica 1 of carts". A pod keeps its number as
long as it lives. Its successor takes it over once it runs and the predecessor was asked to go, or is gone. While a rollout has
a pod more than is wanted, that one waits: its counters are taken over whole with the seat, so that nothing is counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.telemetry.kube.pods import PodView

Seats = Mapping[int, str]
"""The uid of the pod that has each number, or had it last."""
_ORDINAL = re.compile(r"-(\d{1,6})$")


def seated(seats: Seats, pods: Sequence[PodView], wanted: int | None) -> dict[int, str]:
    """
    Who has which number of one workload now.

    Args:
        seats: Who had it so far.
        pods: All pods of the workload that there are.
        wanted: How many there should be; None: nobody says, so that none is too many.
    """
    known = {pod.uid: pod for pod in pods}
    found = dict(seats)
    waiting = [pod for pod in pods if not pod.leaving and pod.uid not in found.values()]
    for pod in sorted(waiting, key=lambda one: (not one.running, one.created_s, one.name)):
        number = _ordinal(pod) if pod.kind == "StatefulSet" else _lowest(found, known, wanted, pod)
        if number is not None and _free(known.get(found.get(number, "")), pod):
            found[number] = pod.uid
    return found


def empty(seats: Seats, pods: Sequence[PodView], wanted: int | None) -> dict[int, bool]:
    """
    Numbers that nobody has now; each with whether somebody should.

    The first one always should: that somebody scaled the workload to nothing is no reason to call it well.
    """
    known = {pod.uid for pod in pods}
    alive = sum(uid in known for uid in seats.values())
    missing = max(1 if wanted is None else wanted, 1) - alive
    numbers = [number for number in sorted(seats) if seats[number] not in known]
    return {number: place < missing for place, number in enumerate(numbers)}


def _free(holder: PodView | None, pod: PodView) -> bool:
    """Whether *pod* may take a seat from *holder*, who is None when it is gone."""
    return holder is None or (holder.leaving and pod.running)


def _ordinal(pod: PodView) -> int | None:
    """The number that a StatefulSet gave the pod."""
    found = _ORDINAL.search(pod.name)
    return None if found is None else int(found[1])


def _lowest(seats: Seats, known: Mapping[str, PodView], wanted: int | None, pod: PodView) -> int | None:
    """The lowest number that *pod* may have; None: it has to wait."""
    limit = len(seats) + 1 if wanted is None else wanted
    alive = sum(uid in known and not known[uid].leaving for uid in seats.values())
    if alive >= limit:
        return None
    return next((number for number in range(limit) if _free(known.get(seats.get(number, "")), pod)), None)


@dataclass(frozen=True, slots=True)
class Change:
    """A seat changed hands."""

    workload: str
    number: int
    pod: PodView
    before: str | None
    """Uid of the predecessor; None: the seat is new."""


@dataclass(slots=True)
class Seating:
    """The seats of all workloads."""

    seats: dict[str, dict[int, str]] = field(default_factory=dict)
    pods: dict[str, tuple[PodView, ...]] = field(default_factory=dict)
    """The pods that there are, by workload."""
    generations: dict[tuple[str, int], int] = field(default_factory=dict)
    """How many pods have had each seat so far."""

    def took(self, workload: str, number: int, uid: str) -> None:
        """The pod *uid* has that seat from now on."""
        self.seats.setdefault(workload, {})[number] = uid
        self.generations[workload, number] = self.generations.get((workload, number), 0) + 1

    def update(self, workload: str, members: Sequence[PodView], wanted: int | None) -> tuple[Change, ...]:
        """Let the pods of *workload* sit down, of which *members* are there; the seats that changed hands."""
        self.pods[workload] = tuple(members)
        before, known = self.seats.get(workload, {}), {pod.uid: pod for pod in members}
        after = seated(before, members, wanted)
        changes = [
            Change(workload, number, known[uid], before.get(number)) for number, uid in sorted(after.items()) if before.get(number) != uid
        ]
        for change in changes:
            self.took(workload, change.number, change.pod.uid)
        return tuple(changes)

    def holders(self) -> dict[tuple[str, int], PodView]:
        """The pods that have a number now."""
        known = {pod.uid: pod for members in self.pods.values() for pod in members}
        return {
            (workload, number): known[uid]
            for workload, seats in self.seats.items()
            for number, uid in sorted(seats.items())
            if uid in known
        }

    def empty(self, wanted: Mapping[str, int]) -> dict[tuple[str, int], bool]:
        """Seats that nobody has now; each with whether somebody should."""
        return {
            (workload, number): missing
            for workload, seats in self.seats.items()
            for number, missing in empty(seats, self.pods.get(workload, ()), wanted.get(workload)).items()
        }
