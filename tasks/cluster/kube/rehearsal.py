"""``--dry-run``: every write that would be done, tried at the server where it can be without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.cluster.kube.manifests import Manifest
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.provider import Action, Change
from tasks.kube.client import Kube
from tasks.kube.errors import KubeError
from tasks.kube.refs import ObjectRef

NOT_THERE = "its namespace is not there yet"


@dataclass(frozen=True, slots=True)
class Write:
    """One write that a run would do."""

    action: Action
    name: str
    """``deployment/carts in shop``."""
    why: str
    """The difference that makes it necessary."""
    verdict: Literal["accepted", "refused", "not tried"]
    """What the server said to the rehearsal."""
    said: str = ""
    """Its reason, or why it was not asked."""


def rehearse(provider: KubeProvider, wanted: Iterable[Mapping[str, Any]]) -> tuple[Write, ...]:
    """
    The writes that :meth:`KubeProvider.apply` would do for *wanted*. Nothing is changed: every request that could is marked as a rehearsal.

    Raises:
        PreflightError: Something must not be written, or stands in the way.
        KubeError: The API server does not answer.
    """
    steps = provider.plan(wanted)
    absent = {ObjectRef.of(step.spec).name for step in steps if step.spec is not None and step.spec["kind"] == "Namespace"}
    return tuple(_writes(provider, steps, absent))


def _writes(provider: KubeProvider, steps: Iterable[Change[Manifest]], absent: set[str]) -> Iterator[Write]:
    for step in steps:
        if step.spec is None:
            yield Write(step.action, step.name, step.why, "not tried", "it is removed with all that it has made")
        elif step.spec["metadata"].get("namespace") in absent:
            yield Write(step.action, step.name, step.why, "not tried", NOT_THERE)
        else:
            yield tried(provider.kube, step.spec, step.action, step.name, step.why)


def tried(kube: Kube, manifest: Mapping[str, Any], action: Action, name: str, why: str) -> Write:
    """One write, and what the server said to its rehearsal."""
    try:
        kube.apply(manifest, dry_run=True)
    except KubeError as error:
        return Write(action, name, why, "refused", error.message)
    return Write(action, name, why, "accepted")
