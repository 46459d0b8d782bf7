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


@dataclass(frozen=True, slots=True)
class Target:
    """A service as the experiment declares it: the Deployment of the same name."""

    name: str
    replicas: int = 1
    """How many pods it has: a fault never touches more."""
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
    deployment: Object | None
    pods: tuple[Object, ...] = ()
    """The living pods that the Deployment's selector matches, by name."""
    services: tuple[Object, ...] = ()
    """The Services that lead to those pods."""

    @property
    def ref(self) -> ObjectRef:
        """The Deployment."""
        return ObjectRef("apps/v1", "Deployment", self.namespace, self.target.name)

    @property
    def replicas(self) -> int:
        """Pods that the Deployment asks for."""
        return int((self.deployment or {}).get("spec", {}).get("replicas", 1))

    @property
    def ready(self) -> bool:
        """Whether the Deployment is at rest: every pod is of its latest form, serves, and has the limits that it should."""
        if self.deployment is None or not at_rest(self.deployment) or len(self.pods) != self.replicas:
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


def at_rest(deployment: Object) -> bool:
    """Whether what the Deployment asks for is what there is."""
    wanted, status = int(deployment["spec"].get("replicas", 1)), deployment.get("status", {})
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return seen and all(int(status.get(name, 0)) == wanted for name in counts)


def owned(pod: Object, deployment: Object) -> bool:
    """Whether the pod belongs to the Deployment, by the ReplicaSet that controls it."""
    form = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
    owners = pod["metadata"].get("ownerReferences") or ()
    wanted = f"{name_of(deployment)}-{form}"
    return any(one.get("controller") and one["kind"] == "ReplicaSet" and one["name"] == wanted for one in owners)


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
    target, deployment = found.target, found.deployment
    if target.entry:
        return [f"{target.name} is the entry service; faults never hit it"]
    if deployment is None:
        return [f"there is no Deployment {target.name} in {found.namespace}"]
    if not (deployment["spec"].get("selector") or {}).get("matchLabels"):
        return [f"the Deployment {target.name} does not select its pods by labels"]
    strangers = [name_of(pod) for pod in found.pods if not owned(pod, deployment)]
    problems = [f"pod {name} matches the selector of {target.name} and is not its" for name in strangers]
    if not found.pods:
        problems.append(f"the selector of {target.name} matches no pod: nothing would be hit")
    elif len(found.pods) != target.replicas or found.replicas != target.replicas:
        counts = f"{found.replicas} asked for, {len(found.pods)} found, {target.replicas} declared"
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
