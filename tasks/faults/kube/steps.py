"""
What a fault in a cluster consists of, as values: shown by a dry run, saved beside the journal, given to the guard.

A step that reverts may be done any number of times, by the guard and by us, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.kube.refs import ObjectRef

How = Literal["merge", "strategic"]


@dataclass(frozen=True, slots=True)
class Patch:
    """Change a part of an object."""

    ref: ObjectRef
    body: Mapping[str, Any]
    how: How = "merge"
    subresource: str = ""

    def __str__(self) -> str:
        """``patch deployment/carts in shop, scale``."""
        return f"patch {self.ref}" + (f", {self.subresource}" if self.subresource else "")


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an object; with *pretend* the server is only asked to go through the motions."""

    ref: ObjectRef
    grace_s: int | None = None
    pretend: bool = False

    def __str__(self) -> str:
        """``delete pod/carts-x in shop``."""
        return f"delete {self.ref}" + (" (server-side dry run)" if self.pretend else "")


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object; with *pretend* the server is only asked to go through the motions."""

    manifest: Mapping[str, Any]
    pretend: bool = False

    @property
    def ref(self) -> ObjectRef:
        """What it is about."""
        return ObjectRef.of(self.manifest)

    def __str__(self) -> str:
        """``create podchaos/x in shop``."""
        return f"create {self.ref}" + (" (server-side dry run)" if self.pretend else "")


@dataclass(frozen=True, slots=True)
class Run:
    """Start a shell script in a container; it ends by itself at its deadline, whoever is gone by then."""

    pod: ObjectRef
    container: str
    container_id: str
    """The runtime's: after a restart everything of the script is gone."""
    script: str
    mark: str
    """Its name (``$0``), by which its processes are known."""
    arguments: tuple[str, ...]
    processes: int
    """How many of its processes there are at least while it acts, the first one included."""

    @property
    def ref(self) -> ObjectRef:
        """The pod."""
        return self.pod

    def __str__(self) -> str:
        """``exec in pod/carts-x in shop, container carts: 4 43 1 6000``."""
        return f"exec in {self.pod}, container {self.container}: {self.mark} {' '.join(self.arguments)}"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a privileged pod of ours on the target's node; it acts at once, says so, and ends by itself."""

    manifest: Mapping[str, Any]

    @property
    def ref(self) -> ObjectRef:
        """The pod that is started."""
        return ObjectRef.of(self.manifest)

    def __str__(self) -> str:
        """``start pod/x in shop on node n``."""
        return f"start {self.ref} on node {self.manifest['spec']['nodeName']}"


Step = Patch | Delete | Create | Run | Start
Undo = Patch | Delete


def step_json(step: Undo | Run) -> dict[str, Any]:
    """The step as it is saved."""
    ref = {"api_version": step.ref.api_version, "kind": step.ref.kind, "namespace": step.ref.namespace, "name": step.ref.name}
    if isinstance(step, Patch):
        return {"step": "patch", "ref": ref, "body": step.body, "how": step.how, "subresource": step.subresource}
    if isinstance(step, Delete):
        return {"step": "delete", "ref": ref, "grace_s": step.grace_s, "pretend": step.pretend}
    names = ("container", "container_id", "script", "mark", "arguments", "processes")
    return {"step": "run", "ref": ref, **{name: getattr(step, name) for name in names}}


def step_from(value: Mapping[str, Any]) -> Undo | Run:
    """
    Read what :func:`step_json` wrote.

    Raises:
        ValueError: It is no step.
    """
    ref, rest = ObjectRef(**value["ref"]), {name: one for name, one in value.items() if name not in ("step", "ref")}
    if value["step"] == "patch":
        return Patch(ref, **rest)
    if value["step"] == "delete":
        return Delete(ref, **rest)
    if value["step"] == "run":
        return Run(pod=ref, **{**rest, "arguments": tuple(rest["arguments"])})
    raise ValueError(f"{value['step']!r} is no step")
