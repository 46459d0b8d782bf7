"""Waiting until all workers have begun, no longer than there is hope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.base.clock import Clock
from tasks.base.errors import PreflightError, TidegaugeError
from tasks.load.kube.api import PodPlace
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.manifests import Crew
from tasks.load.kube.pods import PodState
from tasks.load.kube.roll import Roll

READY_S = 120.0
"""Longest wait for all workers, from the first request to the cluster."""
NONE_S = 5.0
"""A Job that has made no pod for this long is asked why."""
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for."""

    place: PodPlace
    crew: Crew
    roll: Roll
    book: Logbook
    clock: Clock

    def until_begun(self) -> None:
        """
        Return when every worker knows when the load begins.

        Raises:
            PreflightError: A pod cannot start, or it takes too long; in the cluster's own words.
            CredentialsError: The login ended.
        """
        begun_s, looked_s = self.clock.monotonic_s(), 0.0
        while self.book.begun() != set(range(self.crew.workers)):
            waited_s, pods = self.clock.monotonic_s() - begun_s, self.roll.pods()
            if self.roll.trouble is not None:
                raise self.roll.trouble
            if (why := stuck(pods)) is not None:
                raise self._failed(why)
            if len(pods) <= self.crew.workers and waited_s - looked_s > NONE_S:
                looked_s = waited_s
                if (why := self._refused()) is not None:
                    raise self._failed(why)
            if waited_s > READY_S:
                raise self._failed(f"after {waited_s:.0f} s {missing(pods, self.book.begun(), self.crew.workers)}")
            self.clock.sleep(POLL_S)

    def _failed(self, why: str) -> PreflightError:
        lines = self.book.noise().splitlines()
        said = f"; it said: {lines[-1]}" if lines else ""
        return PreflightError(f"the load does not start: {why}{said}", next_step=next_step(why, self.crew))

    def _refused(self) -> str | None:
        """What keeps the Jobs from making pods, such as a quota; None where they have made them, or nobody may know."""
        try:
            for role in ("master", "workers"):
                fields = f"involvedObject.name={self.crew.named(role)},reason=FailedCreate"
                path = f"/api/v1/namespaces/{self.crew.namespace}/events"
                for event in self.place.api.items(path, fields=fields):
                    return f"{self.crew.named(role)} may not make a pod: {event.get('message', '')}"
        except TidegaugeError:
            return None
        return None


def stuck(pods: Sequence[PodState]) -> str | None:
    """Why one of *pods* will never start; None: nothing speaks against it."""
    return next((f"{pod.name}: {pod.stuck}" for pod in pods if pod.stuck), None)


def missing(pods: Sequence[PodState], begun: set[int], workers: int) -> str:
    """Who has not begun, and why as far as the cluster says."""
    absent = [number for number in range(workers) if number not in begun]
    said = [f"{pod.name}: {pod.waiting}" for pod in pods if pod.waiting and not pod.begun]
    text = f"{len(absent)} of {workers} workers have not begun"
    return f"{text} ({'; '.join(said[:3])})" if said else text


def next_step(why: str, crew: Crew) -> str:
    """What to do about it."""
    if any(word in why for word in ("Image", "image")):
        return f"load the image {crew.image} into the cluster, or name another with load.image"
    if "quota" in why:
        return "ask for fewer workers, or for a larger ResourceQuota"
    if "Unschedulable" in why:
        return "make room on a node, or ask for fewer workers"
    return f"kubectl --namespace {crew.namespace} describe pods --selector {crew.selector}"
