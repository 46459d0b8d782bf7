"""
The guard of a fault as Kubernetes objects: a Job with an account of its own that may do what the undoing needs, and nothing else.

The Job is made suspended and owns the account, so that whatever becomes of us, everything goes with it. It is let run before
the fault begins; suspending it again sends the guard away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.faults.kube.naming import fault_labels, fault_name
from tasks.faults.kube.programs import program
from tasks.faults.kube.steps import Delete, Patch, Undo
from tasks.kube.permission import Permission, needed
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import bindings, roles

CONTAINER = "guard"
LAST_TRY_S = 600
AGAIN_S = 1.0
KEPT_S = 3600
"""A guard that has undone its fault is kept so long, for whoever asks what happened."""
NOBODY = 65534
PATCHES = {"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json"}


@dataclass(frozen=True, slots=True)
class GuardPlan:
    """What a guard is told."""

    run: str
    fault: str
    namespace: str
    image: str
    """Has python3."""
    steps: tuple[tuple[Undo, str], ...]
    """What it does, each with the REST path of the object."""
    seconds: float
    """From being armed to the undoing."""
    arming_s: float
    """Longest time from its start to being armed."""
    pull_secrets: tuple[str, ...] = ()
    """Names of what opens the image's registry."""

    @property
    def name(self) -> str:
        """Of all its objects."""
        return fault_name(self.run, self.fault)

    @property
    def job(self) -> ObjectRef:
        """The Job."""
        return job_ref(self.run, self.fault, self.namespace)

    @property
    def job_path(self) -> str:
        """Its REST path."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{self.name}"


def job_ref(run: str, fault: str, namespace: str) -> ObjectRef:
    """The Job of a fault's guard."""
    return ObjectRef("batch/v1", "Job", namespace, fault_name(run, fault))


def owned_refs(job: ObjectRef) -> tuple[ObjectRef, ...]:
    """What goes with the Job."""
    rbac = "rbac.authorization.k8s.io/v1"
    return tuple(
        ObjectRef(version, kind, job.namespace, job.name)
        for version, kind in (("v1", "ServiceAccount"), (rbac, "Role"), (rbac, "RoleBinding"))
    )


def step_order(step: Undo, path: str) -> dict[str, Any]:
    """A step as the guard is told."""
    if isinstance(step, Patch):
        full = path + (f"/{step.subresource}" if step.subresource else "")
        return {"what": str(step), "method": "PATCH", "path": full, "type": PATCHES[step.how], "body": step.body}
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    if step.grace_s is not None:
        options["gracePeriodSeconds"] = step.grace_s
    return {"what": str(step), "method": "DELETE", "path": path, "type": "application/json", "body": options}


def permissions(plan: GuardPlan) -> tuple[Permission, ...]:
    """What the guard may do: the steps, each to its one object, and look at its own Job."""
    orders = [step_order(step, path) for step, path in plan.steps if not (isinstance(step, Delete) and step.pretend)]
    found = [needed(order["method"], order["path"]) for order in orders]
    return tuple(one for one in (*found, needed("GET", plan.job_path)) if one is not None)


def job(plan: GuardPlan) -> dict[str, Any]:
    """The Job, suspended."""
    labels = dict(fault_labels(plan.run, plan.fault))
    template = {"metadata": {"labels": labels}, "spec": pod_spec(plan)}
    spec = {
        "suspend": True,
        "backoffLimit": 3,
        "activeDeadlineSeconds": round(plan.arming_s + plan.seconds) + LAST_TRY_S,
        "ttlSecondsAfterFinished": KEPT_S,
        "template": template,
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(plan), "spec": spec}


def trial_pod(plan: GuardPlan) -> dict[str, Any]:
    """A pod like the Job's, to ask the server whether it would be let in: a Job is always let in, its pods are not."""
    spec = {**pod_spec(plan), "serviceAccountName": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(plan), "spec": spec}


def pod_spec(plan: GuardPlan) -> dict[str, Any]:
    """The guard's pod: nobody in particular, with no rights on its node."""
    order = {
        "job": plan.job_path,
        "seconds": plan.seconds,
        "arming_s": plan.arming_s,
        "last_try_s": LAST_TRY_S,
        "again_s": AGAIN_S,
        "steps": [step_order(step, path) for step, path in plan.steps],
    }
    container = {
        "name": CONTAINER,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", program("guard")],
        "args": [json.dumps(order, separators=(",", ":"), allow_nan=False)],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
    }
    return {
        "serviceAccountName": plan.name,
        "imagePullSecrets": [{"name": name} for name in plan.pull_secrets],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }


def account(plan: GuardPlan, owner_uid: str) -> Sequence[Mapping[str, Any]]:
    """ServiceAccount, Role and RoleBinding, owned by the Job."""
    subject = {"kind": "ServiceAccount", "name": plan.name, "namespace": plan.namespace}
    granted = permissions(plan)
    made = [{"apiVersion": "v1", "kind": "ServiceAccount"}, *roles(plan.name, granted), *bindings(plan.name, granted, subject)]
    return [{**one, "metadata": _metadata(plan, owner_uid)} for one in made]


def _metadata(plan: GuardPlan, owner_uid: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"name": plan.name, "namespace": plan.namespace, "labels": dict(fault_labels(plan.run, plan.fault))}
    if owner_uid:
        found["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": plan.name, "uid": owner_uid}]
    return found
