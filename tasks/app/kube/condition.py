"""
How far a workload is, and what keeps it from being ready: a decision over objects as the API shows them. Nothing is asked here.

Some troubles pass by themselves (a registry that is busy, a node that is being added): each one says how long it may last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.app.kube.kinds import inner

IMAGE_REASONS = frozenset(
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"]
)
START_REASONS = frozenset(["CreateContainerConfigError", "CreateContainerError", "RunContainerError"])
NEVER_RAN = frozenset(["StartError", "ContainerCannotRun"])
"""Ends of a container whose program could not even be started."""
_NO_PROGRAM = re.compile(r"\bexec: |executable file|exec format error", re.IGNORECASE)
"""Of those, what no second try does better; a sandbox that died meanwhile, for one, is made anew."""
POD_EVENTS = frozenset(["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"])
BACK_OFF = "CrashLoopBackOff"
CRASHES = 3
"""So many failed starts are believed: the first ones may have come too early for what the program needs."""
_FINAL = re.compile(r"not found|manifest unknown|does not exist|denied|unauthorized|invalid reference|not present", re.IGNORECASE)
_PASSING = re.compile(
    r"toomanyrequests|\b429\b|\b50[0234]\b|timeout|timed out|deadline exceeded|connection reset|unexpected EOF", re.IGNORECASE
)
PATIENCE_S: Mapping[str, float] = {
    "final": 0.0,
    "image": 5.0,
    "passing": 60.0,
    "start": 10.0,
    "event": 30.0,
    "schedule": 15.0,
    "create": 10.0,
}
NEW_NODE_S = 900.0
"""A cluster that adds a node by itself gets so long."""
LOAD_IMAGES = "docs/how-to/load-images.md says how to bring an image into the cluster; another name goes into app.image or app.images"

ASK_LESS = "ask for less (resources.requests in manifests, cpu_limit_cores and memory_limit_bytes in a document)"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that keeps a workload from being ready."""

    about: str
    """``pod carts-x/carts`` or ``deployment carts``: where it was seen."""
    kind: str
    """Of one kind and place is one trouble, whatever its reason is called at the moment."""
    reason: str
    """The cluster's own word: ``ErrImagePull``."""
    message: str
    """The cluster's own sentence."""
    patience_s: float
    """So long it may last."""
    next_step: str
    log_of: tuple[str, str] | None = None
    """Pod and container whose log says more."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A workload as it is now."""

    name: str
    ready: bool
    text: str
    """How far it is, in a few words."""
    troubles: tuple[Trouble, ...] = ()


def condition_of(workload: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> Condition:
    """
    How *workload* is.

    Args:
        workload: A Deployment, StatefulSet or DaemonSet.
        pods: Its pods; those that end are not looked at.
        events: Warnings of the namespace; may be empty while nothing is suspected.
    """
    name = str(inner(workload, ("metadata", "name")))
    ready, text = _progress(workload)
    if ready:
        return Condition(name, ready, text)
    living = [pod for pod in pods if not inner(pod, ("metadata", "deletionTimestamp"))]
    troubles = [trouble for pod in living for trouble in pod_troubles(pod, events)]
    return Condition(name, ready, text, (*_workload_troubles(workload, name, events), *troubles))


def _progress(workload: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether it is as wanted, by the rules of ``kubectl rollout status``, and how far it is."""
    status = workload.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(inner(workload, ("metadata", "generation")) or 0):
        return False, "not seen by its controller yet"
    if workload.get("kind") == "DaemonSet":
        wanted, updated = int(status.get("desiredNumberScheduled") or 0), int(status.get("updatedNumberScheduled") or 0)
        available, present = int(status.get("numberAvailable") or 0), updated
    else:
        replicas = inner(workload, ("spec", "replicas"))
        wanted, updated = 1 if replicas is None else int(replicas), int(status.get("updatedReplicas") or 0)
        available = int(status.get("readyReplicas" if workload.get("kind") == "StatefulSet" else "availableReplicas") or 0)
        present = int(status.get("replicas") or 0)
    if updated < wanted:
        return False, f"{updated} of {wanted} made"
    if present > updated:
        return False, f"{present - updated} old to end"
    return available >= wanted, f"{available} of {wanted} ready"


def _workload_troubles(workload: Mapping[str, Any], name: str, events: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    kind = str(workload.get("kind"))
    about = f"{kind.lower()} {name}"
    said = {str(one.get("type")): one for one in inner(workload, ("status", "conditions")) or ()}
    failure, progressing = said.get("ReplicaFailure"), said.get("Progressing")
    if failure is not None and failure.get("status") == "True":
        yield _refused(about, str(failure.get("reason")), str(failure.get("message")))
    elif kind != "Deployment":
        yield from (_refused(about, "FailedCreate", str(one.get("message"))) for one in _about(events, kind, name, {"FailedCreate"}))
    if progressing is not None and progressing.get("status") == "False":
        text = f"{progressing.get('message')} (progressDeadlineSeconds)"
        yield Trouble(about, "deadline", str(progressing.get("reason")), text, 0.0, _look(workload, f"describe {kind.lower()} {name}"))


def _refused(about: str, reason: str, message: str) -> Trouble:
    """No pod is made at all: a quota, a rule of admission, an account that is not there yet."""
    next_step = "see what the message asks for"
    if "exceeded quota" in message:
        next_step = f"{ASK_LESS}, or for a larger ResourceQuota"
    elif "PodSecurity" in message:
        next_step = "take a namespace whose pod-security level allows it, or change the pod"
    return Trouble(about, "create", reason, message, PATIENCE_S["create"], next_step)


def pod_troubles(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """What keeps one pod from being ready."""
    name = str(inner(pod, ("metadata", "name")))
    status = pod.get("status") or {}
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            yield _unscheduled(name, one, events)
    if status.get("phase") == "Failed":
        message = str(status.get("message") or "it has ended for good")
        yield Trouble(
            f"pod {name}",
            "failed",
            str(status.get("reason") or "Failed"),
            message,
            PATIENCE_S["event"],
            _look(pod, f"describe pod {name}"),
        )
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or ():
            yield from _container_troubles(pod, container)
    for event in _about(events, "Pod", name, POD_EVENTS):
        yield Trouble(
            f"pod {name}",
            "event",
            str(event["reason"]),
            str(event.get("message")),
            PATIENCE_S["event"],
            _look(pod, f"describe pod {name}"),
        )


def _unscheduled(pod: str, said: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Trouble:
    growing = any(_about(events, "Pod", pod, {"TriggeredScaleUp"}))
    return Trouble(
        f"pod {pod}",
        "schedule",
        str(said.get("reason") or "Unschedulable"),
        str(said.get("message") or "no node takes it"),
        NEW_NODE_S if growing else PATIENCE_S["schedule"],
        f"{ASK_LESS}, or give the cluster more or larger nodes",
    )


def _container_troubles(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[Trouble]:
    waiting, last = inner(container, ("state", "waiting")) or {}, inner(container, ("lastState", "terminated")) or {}
    ended = inner(container, ("state", "terminated")) or {}
    reason, name, pods = str(waiting.get("reason") or ""), str(container.get("name")), str(inner(pod, ("metadata", "name")))
    message, about = str(waiting.get("message") or ""), f"pod {pods}/{name}"
    crashed = reason == BACK_OFF or bool(ended.get("exitCode"))  # an init container that failed is shown as ended until it is tried again
    if reason in IMAGE_REASONS:
        text = message or f"the image {container.get('image')} cannot be had"
        yield Trouble(about, "image", reason, text, _image_patience_s(reason, text), LOAD_IMAGES)
    elif waiting and last.get("reason") in NEVER_RAN:
        text = str(last.get("message") or message)
        patience_s = PATIENCE_S["final" if _NO_PROGRAM.search(text) else "event"]
        yield Trouble(about, "start", str(last["reason"]), text, patience_s, _start_step(text))
    elif reason in START_REASONS:
        yield Trouble(about, "start", reason, message, PATIENCE_S["start"], _start_step(message))
    elif crashed and int(container.get("restartCount") or 0) >= CRASHES - 1:
        how = ended or last
        yield Trouble(about, "crash", BACK_OFF, _ended(container, how), PATIENCE_S["final"], _crash_step(pod, name, how), (pods, name))


def _image_patience_s(reason: str, message: str) -> float:
    if reason in ("InvalidImageName", "ErrImageNeverPull") or _FINAL.search(message):
        return PATIENCE_S["final"]
    return PATIENCE_S["passing"] if _PASSING.search(message) else PATIENCE_S["image"]


def _start_step(message: str) -> str:
    if "runAsNonRoot" in message or "non-root" in message:
        return "take an image whose user is a number other than 0, or bring manifests of your own"
    if "not found" in message:
        return "add the ConfigMap or Secret to the manifests"
    return "see what the message names: the command, a mount, a device"


def _ended(container: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    how = str(last.get("reason") or "ended")
    code = last.get("exitCode")
    said = f": {last['message']}" if last.get("message") else ""
    return f"started {int(container.get('restartCount') or 0) + 1} times, and each time {how} with exit code {code}{said}"


def _crash_step(pod: Mapping[str, Any], container: str, last: Mapping[str, Any]) -> str:
    if last.get("reason") == "OOMKilled":
        return "give it more memory (resources.limits.memory in manifests, memory_limit_bytes in a document)"
    return _look(pod, f"logs {inner(pod, ('metadata', 'name'))} --container {container} --previous")


def _look(at: Mapping[str, Any], words: str) -> str:
    namespace = inner(at, ("metadata", "namespace"))
    return f"see `kubectl {f'--namespace {namespace} ' if namespace else ''}{words}`"


def _about(events: Iterable[Mapping[str, Any]], kind: str, name: str, reasons: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The events of some *reasons* about one object, each reason once, the last one said."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in events:
        reason, object_of = str(one.get("reason")), one.get("involvedObject") or {}
        if reason in reasons and (object_of.get("kind"), object_of.get("name")) == (kind, name):
            found[reason] = one
    yield from found.values()
