"""
The target of a fault as the API shows it, and what has to be true of it before anything is written.

Objects are dicts as the API shows them; nothing here asks the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.faults.kube.amounts import amount
from tasks.kube.refs import ObjectRef

Object = Mapping[str, Any]
KINDS = ("Deployment", "StatefulSet")
"""What a target can be, in the order in which it is looked for; a DaemonSet is not: it is its node's, and has no number of pods."""
COUNTS = {
    "Deployment": ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"),
    "StatefulSet": ("replicas", "updatedReplicas", "readyReplicas"),
}
"""What of the status is the wanted number when nothing is left to be done."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service as the experiment declares it: the Deployment or StatefulSet of the same name."""

    name: str
    replicas: int | None = 1
    """How many pods it has: a fault never touches more. None: as many as its workload asks for."""
    entry: bool = False
    """Whether users come in through it; such a service is never a target."""
    container: str | None = None
    """The container that is meant; None: the pod's first."""
    ready_s: float = 30.0
    """Longest expected time from start to ready."""


@dataclass(frozen=True, slots=True)
class Found:
    """A target as it stands now."""

    target: Target
    namespace: str
    workload: Object | None
    """The Deployment or StatefulSet; None: there is none."""
    pods: tuple[Object, ...] = ()
    """The living pods that its selector matches, by name."""
    services: tuple[Object, ...] = ()
    """The Services that lead to those pods."""

    @property
    def ref(self) -> ObjectRef:
        """The workload; where there is none, the Deployment that it would be."""
        return ObjectRef("apps/v1", KINDS[0] if self.workload is None else kind_of(self.workload), self.namespace, self.target.name)

    @property
    def stateful(self) -> bool:
        """Whether it is a StatefulSet."""
        return self.workload is not None and kind_of(self.workload) == "StatefulSet"

    @property
    def replicas(self) -> int:
        """Pods that the workload asks for."""
        return int((self.workload or {}).get("spec", {}).get("replicas", 1))

    @property
    def ready(self) -> bool:
        """Whether the workload is at rest: every pod is of its latest form, serves, and has the limits that it should."""
        if self.workload is None or not at_rest(self.workload) or len(self.pods) != self.replicas:
            return False
        return all(pod_ready(pod) and in_force(self, pod) == limit_of(self.container(pod), "cpu") for pod in self.pods)

    def container(self, pod: Object) -> Object:
        """
        The container that is meant.

        Raises:
            ValueError: The pod has none of that name.
        """
        every: list[Object] = pod["spec"]["containers"]
        wanted = self.target.container
        for one in every:
            if wanted is None or one["name"] == wanted:
                return one
        raise ValueError(f"pod {name_of(pod)} has no container {wanted!r}, only {', '.join(one['name'] for one in every)}")


def kind_of(found: Object) -> str:
    """The object's kind."""
    return str(found["kind"])


def name_of(found: Object) -> str:
    """The object's name."""
    return str(found["metadata"]["name"])


def uid_of(found: Object) -> str:
    """What no other object ever has."""
    return str(found["metadata"].get("uid", ""))


def pod_ref(pod: Object) -> ObjectRef:
    """The pod's address."""
    return ObjectRef("v1", "Pod", pod["metadata"]["namespace"], name_of(pod))


def living(pod: Object) -> bool:
    """Whether it has not ended and is not being removed."""
    return not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")


def pod_ready(pod: Object) -> bool:
    """Whether it serves."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return living(pod) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def at_rest(workload: Object) -> bool:
    """Whether what the workload asks for is what there is."""
    wanted, status = int(workload["spec"].get("replicas", 1)), workload.get("status", {})
    seen = int(status.get("observedGeneration", 0)) >= int(workload["metadata"].get("generation", 0))
    return seen and all(int(status.get(name, 0)) == wanted for name in COUNTS[kind_of(workload)])


def owned(pod: Object, workload: Object) -> bool:
    """Whether the pod belongs to the workload: to the StatefulSet itself, to a Deployment by the ReplicaSet that controls it."""
    form = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
    owners = pod["metadata"].get("ownerReferences") or ()
    name = name_of(workload)
    wanted = ("StatefulSet", name) if kind_of(workload) == "StatefulSet" else ("ReplicaSet", f"{name}-{form}")
    return any(one.get("controller") and (one["kind"], one["name"]) == wanted for one in owners)


def running_id(pod: Object, container: str) -> str | None:
    """The runtime's id of the pod's *container*, another one after each restart; None while it does not run."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if status["name"] == container and "running" in (status.get("state") or {}) and status.get("containerID"):
            return str(status["containerID"]).rpartition("//")[2]
    return None


def limit_of(container: Object, resource: str) -> float | None:
    """The container's limit of ``cpu`` (cores) or ``memory`` (bytes); None: it has none."""
    text = ((container.get("resources") or {}).get("limits") or {}).get(resource)
    return None if text is None else amount(text)


def in_force(found: Found, pod: Object) -> float | None:
    """The CPU limit (cores) that the kubelet says is in force; where it says nothing, what is asked for."""
    container = found.container(pod)
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if status["name"] == container["name"] and "resources" in status:
            return limit_of(status, "cpu")
    return limit_of(container, "cpu")


def target_problems(found: Found) -> list[str]:
    """Every reason not to touch *found*, as sentences; empty when it is exactly what was declared, and at rest."""
    target, workload = found.target, found.workload
    if target.entry:
        return [f"{target.name} is the entry service; faults never hit it"]
    if workload is None:
        return [f"there is no {' or '.join(KINDS)} {target.name} in {found.namespace}"]
    if not (workload["spec"].get("selector") or {}).get("matchLabels"):
        return [f"the {kind_of(workload)} {target.name} does not select its pods by labels"]
    strangers = [name_of(pod) for pod in found.pods if not owned(pod, workload)]
    wanted = found.replicas if target.replicas is None else target.replicas
    problems = [f"pod {name} matches the selector of {target.name} and is not its" for name in strangers]
    if not found.pods:
        problems.append(f"the selector of {target.name} matches no pod: nothing would be hit")
    elif len(found.pods) != wanted or found.replicas != wanted:
        counts = f"{found.replicas} asked for, {len(found.pods)} found, {wanted} declared"
        problems.append(f"the number of pods of {target.name} is not the declared one: {counts}")
    problems += _container_problems(found)
    if not problems and not found.ready:
        problems.append(f"{target.name} is not at rest: {sum(map(pod_ready, found.pods))} of {found.replicas} pods serve")
    return problems


def _container_problems(found: Found) -> list[str]:
    try:
        for pod in found.pods:
            found.container(pod)
    except ValueError as error:
        return [str(error)]
    return []
