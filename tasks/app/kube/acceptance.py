"""What every API server refuses of an object, and what would make it another one's: told with its place, before anything is made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.app.config import ClusterApp
from tasks.app.kube.kinds import group_of, inner, template_at
from tasks.app.kube.shape import Problem
from tasks.kube.labels import run_labels

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_OF_RIGHTS = re.compile(r"[a-z0-9]([-.:a-z0-9]*[a-z0-9])?")
LONGEST = 253
LONGEST_OF: Mapping[str, int] = {"Service": 63, "Deployment": 63, "DaemonSet": 63, "Job": 63, "StatefulSet": 52, "CronJob": 52}
"""Names that become values of labels, which end after 63 characters; some get a hash or a time added before."""
SELECTING = frozenset(["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"])
"""Kinds that say which pods are theirs, and must mean those that they make."""
OF_A_SERVER = ("uid", "resourceVersion", "managedFields", "ownerReferences")
OURS = frozenset(run_labels("", "app"))
"""Labels that every object of a run gets, whatever it has."""


def name_problems(value: Mapping[str, Any], _: ClusterApp) -> Iterator[Problem]:
    """A name that no server takes, or that is too long for what is made of it."""
    kind, name = str(value["kind"]), str(value["metadata"]["name"])
    of_rights = group_of(str(value["apiVersion"])) == "rbac.authorization.k8s.io"
    form = _LABEL if kind == "Service" else _OF_RIGHTS if of_rights else _SUBDOMAIN
    if not form.fullmatch(name):
        dots = "" if kind == "Service" else " and dots"
        yield ("metadata", "name"), f"{name} is no name for a {kind}: small letters, digits, hyphens{dots}, no hyphen at an end"
    longest = LONGEST_OF.get(kind, LONGEST)
    if len(name) > longest:
        yield ("metadata", "name"), f"{len(name)} characters; the name of a {kind} has at most {longest}"


def origin_problems(value: Mapping[str, Any], _: ClusterApp) -> Iterator[Problem]:
    """What makes it one object that is or was somewhere: as of ``kubectl get --output yaml``."""
    for key in OF_A_SERVER:
        if inner(value, ("metadata", key)):
            yield ("metadata", key), "was written by a server about an object of its own: leave it out"


def selector_problems(value: Mapping[str, Any], _: ClusterApp) -> Iterator[Problem]:
    """A selector that is missing, or that does not match the pods that are made."""
    template = template_at(value)
    if value["kind"] not in SELECTING or not template:
        return
    wanted = inner(value, ("spec", "selector", "matchLabels"))
    if not inner(value, ("spec", "selector")):
        yield ("spec",), "spec.selector is missing: say which pods are its own, by labels that spec.template.metadata.labels has"
    if not isinstance(wanted, Mapping):
        return
    labels = {"app": str(value["metadata"]["name"]), **(inner(value, (*template, "metadata", "labels")) or {})}
    for key, text in wanted.items():
        at = ("spec", "selector", "matchLabels", key)
        if key in OURS:
            yield at, "every pod of a run has another value of this label: select by one of your own"
        elif labels.get(key) != text:
            has = f"it is {labels[key]}" if key in labels else "there is none"
            yield at, f"{text} does not match its own pods: in spec.template.metadata.labels {has}"
