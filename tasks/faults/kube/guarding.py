"""A guard in the cluster: sent for, waited for, looked after, sent away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.guard_job import CONTAINER, GuardPlan, account, job, owned_refs
from tasks.faults.kube.naming import fault_selector
from tasks.faults.kube.sayings import Saying, ended, said, sayings, stuck
from tasks.faults.kube.target import Object, name_of
from tasks.kube.errors import KubeError, NotFound
from tasks.kube.refs import ObjectRef

POLL_S = 0.2
NO_POD_S = 15.0
"""A Job that has made no pod for so long will make none."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A guard counts; it did not yet at ``not_before_s``."""

    not_before_s: float
    """By our monotonic clock."""


@dataclass(frozen=True, slots=True)
class Watchman:
    """The guard of one fault, from outside."""

    api: ClusterApi
    job: ObjectRef
    run: str
    fault: str
    clock: Clock

    def send(self, plan: GuardPlan, stop: Callable[[], object]) -> Armed:
        """
        Make the guard, and wait until it counts.

        Args:
            plan: What it is told.
            stop: Called all the time.

        Raises:
            TidegaugeError: It does not start; why is said.
            KubeError: The API server says no.
        """
        made = self.api.create(job(plan))
        for manifest in account(plan, str(made["metadata"]["uid"])):
            self.api.create(manifest)
        self.api.patch(self.job, {"spec": {"suspend": False}})
        begun_s = not_before_s = self.clock.monotonic_s()
        while True:
            asked_s = self.clock.monotonic_s()
            pods = self.pods()
            if pods and said(self.heard(pods), "armed") is not None:
                return Armed(not_before_s)
            not_before_s = asked_s
            self._hope(pods, asked_s - begun_s, plan.arming_s)
            stop()
            self.clock.sleep(POLL_S)

    def _hope(self, pods: list[Object], waited_s: float, limit_s: float) -> None:
        why = next(filter(None, map(stuck, pods)), "")
        if not why and not pods and waited_s > NO_POD_S:
            why = "its Job makes no pod"
        if not why and waited_s > limit_s:
            troubles = said(self.heard(pods), "not armed")
            why = "; ".join(troubles.facts.get("troubles", ())) if troubles else f"it said nothing within {limit_s:g} s"
        if why:
            raise TidegaugeError(
                f"fault {self.fault} was not begun, since its guard was not armed: {why}",
                next_step=f"kubectl --namespace {self.job.namespace} describe job {self.job.name}",
            )

    def pods(self) -> list[Object]:
        """Its pods, newest last."""
        labels = f"{fault_selector(self.run, self.fault)},job-name={self.job.name}"
        found = self.api.items(f"/api/v1/namespaces/{self.job.namespace}/pods", labels=labels)
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))

    def heard(self, pods: list[Object] | None = None) -> tuple[Saying, ...]:
        """What it has said so far."""
        heard: list[Saying] = []
        for pod in self.pods() if pods is None else pods:
            heard += logged(self.api, ObjectRef("v1", "Pod", self.job.namespace, name_of(pod)), CONTAINER)
        return tuple(heard)

    def trouble(self) -> str:
        """Why it does not guard any more; empty while it does."""
        found = self.api.find(self.job)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return "its guard is gone"
        status = found.get("status", {})
        if status.get("failed"):
            return "its guard has failed"
        return "its guard has ended" if status.get("succeeded") else ""

    def dismiss(self, stop: Callable[[], object], limit_s: float) -> tuple[str, ...]:
        """
        Send it away and remove everything of it; what is still there after *limit_s*.

        It is suspended first: a guard that is merely ended would undo the fault once more on its way out.
        """
        end_s = self.clock.monotonic_s() + limit_s
        if not all(map(ended, self.pods())):
            with suppress(NotFound):  # somebody has removed it: its pod is on its way out, and undoes the fault once more
                self.api.patch(self.job, {"spec": {"suspend": True}})
        while not all(map(ended, self.pods())) and self.clock.monotonic_s() < end_s:
            stop()
            self.clock.sleep(POLL_S)
        self.api.delete(self.job)
        while left := self.left():
            if self.clock.monotonic_s() > end_s:
                break
            stop()
            self.clock.sleep(POLL_S)
        return left

    def left(self) -> tuple[str, ...]:
        """What of it is still there."""
        refs = (self.job, *owned_refs(self.job))
        return (*(str(ref) for ref in refs if self.api.find(ref) is not None), *(f"pod/{name_of(pod)}" for pod in self.pods()))


def logged(api: ClusterApi, pod: ObjectRef, container: str) -> tuple[Saying, ...]:
    """What a program of ours has said; nothing while its container has not begun, or when the pod is gone."""
    try:
        return sayings(api.log(str(pod.namespace), pod.name, container))
    except KubeError as error:
        if error.status in (400, 404):
            return ()
        raise


def as_json(found: tuple[Saying, ...]) -> list[dict[str, Any]]:
    """For a proof."""
    return [{"said": one.word, "wall_s": one.wall_s, **one.facts} for one in found]
