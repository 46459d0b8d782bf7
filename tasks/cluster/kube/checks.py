"""What ``doctor`` finds out about a cluster before anything is made: each finding with what to do, and the faults it takes away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tasks.base.clock import Clock, SystemClock, from_iso
from tasks.base.errors import CredentialsError, PreflightError
from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.finding import Finding
from tasks.cluster.kube.kinds import LEASE, LEASE_NAME, NAMESPACE
from tasks.cluster.kube.lacking import REVIEW, lacks, subject_of
from tasks.cluster.kube.lease import Record
from tasks.cluster.kube.leftovers import what_keeps
from tasks.cluster.kube.manifests import labels_of, leaving
from tasks.cluster.kube.needs import SETUP, Need, needs
from tasks.cluster.kube.nodes import cgroup_version, node_findings, room, wanted_requests
from tasks.cluster.kube.rights import ENFORCE
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden, KubeError
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import missing

HELPED = "latency, loss, reset, partition and pause"
"""Faults that only the helper on the node can do."""
RESIZED_SINCE = (1, 33)
"""In-place resize of pods is on by default since this version."""
OFF_S = 1.0
"""Labels of faults are in this machine's time, samples partly in the cluster's."""
DATED_S = 0.5
"""The server tells its time in whole seconds: it is taken to be in the middle, and is right to half of one."""


def reach(access: KubeAccess, *, say: Callable[[str], None] = lambda _: None) -> Kube | Finding:
    """The cluster that *access* leads to; or why nobody gets there: no such file or context, no login, no trust, no answer."""
    try:
        return Kube.connect(access, say=say)
    except (CredentialsError, PreflightError) as error:
        return Finding("cluster", "fail", error.message, error.next_step or "")


def findings(
    kube: Kube,
    settings: KubernetesSettings,
    wanted: Iterable[Mapping[str, Any]] = (),
    needed: Iterable[Need] | None = None,
    clock: Clock | None = None,
) -> Iterator[Finding]:
    """
    Everything that can be found out without changing anything, one finding after the other.

    Args:
        kube: The cluster; that it answers at all was found out by connecting.
        settings: The section ``cluster`` of the document.
        wanted: The manifests that would be applied.
        needed: The rights that the document needs; None: whatever any run may.
        clock: This machine's.
    """
    manifests = tuple(wanted)
    looks: tuple[Callable[[], Iterable[Finding]], ...] = (
        lambda: [version(kube)],
        lambda: [offset(kube, clock or SystemClock())],
        lambda: rights(kube, needs(settings) if needed is None else needed),
        lambda: namespace(kube, settings),
        lambda: lease(kube, settings, clock or SystemClock()),
        lambda: nodes(kube, manifests, node_proxy=settings.node_proxy),
        lambda: [unseen(settings)],
    )
    for look in looks:
        try:
            yield from look()
        except KubeError as error:
            yield Finding("cluster", "fail", error.message, error.next_step or "")


def version(kube: Kube) -> Finding:
    """Which Kubernetes answers."""
    found = kube.version()
    text = f"Kubernetes {found} of context {kube.context}"
    numbers = re.match(r"v(\d+)\.(\d+)", found)
    if numbers and (int(numbers[1]), int(numbers[2])) < RESIZED_SINCE:
        return Finding("api", "warn", f"{text}: pods cannot be resized in place, so CPU starvation is done by the helper or not at all")
    return Finding("api", "ok", text)


def offset(kube: Kube, clock: Clock) -> Finding:
    """How far the API server's clock is from ours, by the time that it writes into a review of our login."""
    before_s = clock.wall_s()
    review = kube.create(REVIEW)
    middle_s = (before_s + clock.wall_s()) / 2
    told = (review.get("metadata") or {}).get("creationTimestamp")
    if told is None:
        return Finding("clock", "warn", "the API server does not tell its time")
    offset_s = from_iso(told) + DATED_S - middle_s
    if abs(offset_s) - DATED_S > OFF_S:
        text = f"the API server's clock is {offset_s:+.1f} s from this machine's"
        return Finding("clock", "warn", text, "set the clocks by NTP: windows of faults would be off by as much")
    return Finding("clock", "ok", "the API server's clock is within a second of this machine's")


def rights(kube: Kube, wanted: Iterable[Need]) -> Iterator[Finding]:
    """What the login may not do though a run needs it, and the Role that would do; to make a namespace that is there is not needed."""
    needed = tuple(dict.fromkeys(wanted))
    lacking = set(missing(kube, [need.permission for need in needed]))
    strict = [need for need in needed if need.permission in lacking and not need.optional]
    if strict:
        yield lacks(strict, subject_of(kube))
    else:
        there = {need.permission for need in needed} - lacking
        yield Finding("rights", "ok", f"each of {len(there)} rights that a run needs is there")
    for why in dict.fromkeys(need.why for need in needed if need.permission in lacking and need.optional):
        which = [need for need in needed if need.why == why and need.permission in lacking]
        if which[0].document == SETUP and _made_already(kube, needed):
            continue
        fix = f"kubectl apply -f configs/rbac/{which[0].document}.yaml, if that is wanted"
        yield Finding("rights", "warn", f"without {', '.join(str(need.permission) for need in which)}: not {why}", fix)


def _made_already(kube: Kube, needed: Iterable[Need]) -> bool:
    """Whether the namespace that *needed* speaks of is seen to be there."""
    names = {need.permission.name for need in needed if need.document == SETUP and need.permission.name}
    try:
        return all(kube.find(ObjectRef("v1", NAMESPACE, None, name)) is not None for name in names)
    except Forbidden:
        return False


def namespace(kube: Kube, settings: KubernetesSettings) -> Iterator[Finding]:
    """Whether it is there, may be made, and lets the pods in that are wanted."""
    name = settings.namespace
    found = kube.find(ObjectRef("v1", NAMESPACE, None, name))
    if found is None:
        if not settings.create_namespace:
            yield Finding("namespace", "fail", f"{name} is not there", f"kubectl create namespace {name}")
        else:
            yield Finding("namespace", "ok", f"{name} is not there; a run makes it")
        return
    if leaving(found):
        yield Finding("namespace", "fail", f"{name} is being removed{what_keeps(found)}", f"kubectl get namespace {name} -o yaml")
        return
    level = labels_of(found).get(ENFORCE)
    yield Finding("namespace", "ok", f"{name} is there; pod security: {level or 'as the cluster has it'}")
    if level == "restricted":
        yield Finding("pod security", "warn", f"{name} takes pods only that drop all rights: containers that run as root are refused")
    if settings.node_helper:
        yield helper(kube, name, level)


def helper(kube: Kube, namespace: str, level: str | None) -> Finding:
    """Whether a privileged pod would be let in, by asking for one as a rehearsal."""
    security = {"privileged": True}
    container = {"name": "helper", "image": "tidegauge.local/none:0", "securityContext": security}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tidegauge-rehearsal", "namespace": namespace},
        "spec": {"hostPID": True, "containers": [container]},
    }
    try:
        kube.create(pod, dry_run=True)
    except Forbidden as error:
        fix = f"kubectl label namespace {namespace} {ENFORCE}=privileged --overwrite" if level else ""
        return Finding("node helper", "fail", f"no {HELPED}: {error.message}", fix)
    return Finding("node helper", "ok", f"a privileged pod is let into {namespace}: {HELPED} can be done")


def lease(kube: Kube, settings: KubernetesSettings, clock: Clock) -> Iterator[Finding]:
    """Who is at work there."""
    found = kube.find(LEASE.ref(settings.namespace, LEASE_NAME))
    record = None if found is None else Record.of(found)
    if record is None or not record.holder:
        return
    left_s, where = record.left_s(clock.wall_s()), settings.namespace
    if left_s > 0:
        fix = f"wait for it; if it has died, for {left_s:.0f} s, and the next run then watches for {record.watch_s:.0f} s more"
        yield Finding("lease", "fail", f"{where} is in use by run {record.holder}", fix)
    else:
        text = f"run {record.holder} ended without giving {where} back; what it made may be there"
        yield Finding("lease", "warn", text, f"tidegauge down --run {record.run}")


def nodes(kube: Kube, wanted: Iterable[Mapping[str, Any]], *, node_proxy: bool) -> Iterator[Finding]:
    """What the nodes are and have; said where they cannot be seen."""
    try:
        found = tuple(kube.items("/api/v1/nodes"))
    except Forbidden:
        text = "cannot be seen by this login: neither their kernels and runtimes nor whether there is room is known"
        yield Finding("nodes", "warn", text, "kubectl apply -f configs/rbac/nodes.yaml, if that is wanted")
        return
    yield from node_findings(found)
    if node_proxy:
        yield from control_groups(kube, [str(node["metadata"]["name"]) for node in found])
    try:
        pods = tuple(kube.items("/api/v1/pods"))
    except Forbidden:
        pods = None
    yield room(found, pods, wanted_requests(wanted))


def control_groups(kube: Kube, names: Iterable[str]) -> Iterator[Finding]:
    """The version of control groups on each node, which the kubelets tell."""
    told = {name: cgroup_version(kube.text(f"/api/v1/nodes/{name}/proxy/metrics")) for name in names}
    versions = sorted({str(version or "?") for version in told.values()})
    yield Finding("cgroups", "ok", f"version {', '.join(versions)} on {len(told)} nodes")


def unseen(settings: KubernetesSettings) -> Finding:
    """What no API tells, so that nobody takes silence for a yes."""
    words = ["whether NetworkPolicies are enforced (a partition by policy counts only when its probe fails)"]
    words += ["inotify limits of the nodes (fs.inotify.max_user_instances: 512 or more for many pods)", "kernel modules such as sch_netem"]
    words += [] if settings.node_proxy else ["the version of control groups (with cluster.node_proxy it is)"]
    return Finding("not seen", "ok", f"the API does not tell: {'; '.join(words)}")
