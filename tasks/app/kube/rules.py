"""What an app's objects may not be: everything that reaches beyond the one namespace, told with its place. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.app.config import ClusterApp
from tasks.app.kube.acceptance import name_problems, origin_problems, selector_problems
from tasks.app.kube.kinds import CURRENT, GONE, NAMESPACED, WORKLOADS, containers, group_of, inner, is_builtin, template_at
from tasks.app.kube.pieces import Piece, Wrong
from tasks.app.kube.placement import Manifest
from tasks.app.kube.reaching import containers_of, metrics_port, service_of, service_port, workloads_of
from tasks.app.kube.shape import Problem, misshapen
from tasks.base.yaml_source import Mistake

HARMLESS_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
"""Those that a container has anyway unless it drops them; Kubernetes' own standard "baseline" lets them be added."""
HOOK = "helm.sh/hook"
KUSTOMIZE = "kustomize is not read: render it first, as in kubectl kustomize FOLDER > app.yaml, and name the result"


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects go, as far as it is known."""

    namespace: str | None = None
    """None: any one."""
    load_balancers: bool = False
    """Whether Services of type LoadBalancer are let through."""


def all_wrong(settings: ClusterApp, pieces: Sequence[Piece], place: Place, *, whole: bool = True) -> list[Wrong]:
    """
    Every reason why the objects in *pieces* are not deployed.

    Args:
        settings: What the document says of them.
        pieces: The objects.
        place: Where they go.
        whole: Whether these are all that there are: where some could not be read, nothing is said of what is missing.
    """
    found = [piece.wrong((), KUSTOMIZE) for piece in pieces if _is_kustomization(piece)]
    known = [piece for piece in pieces if not _is_kustomization(piece)]
    found += [piece.wrong(*problem) for piece in known for problem in misshapen(piece.value)]
    sound = [piece for piece in known if not misshapen(piece.value)]
    found += [piece.wrong(*problem) for piece in sound for rule in RULES for problem in rule(piece.value, settings)]
    found += [piece.wrong(*problem) for piece in sound for problem in (*_namespace(piece.value, place), *_exposed(piece.value, place))]
    found += list(_twice(sound))
    found += list(_promised(settings, sound)) if whole and len(sound) == len(pieces) else []
    return found


def _is_kustomization(piece: Piece) -> bool:
    """By its kind, which kubectl does not ask for where the file has the right name."""
    named = Path(piece.source.name).name in ("kustomization.yaml", "kustomization.yml")
    return str(piece.value.get("apiVersion")).startswith("kustomize.config.k8s.io/") or (named and "kind" not in piece.value)


def _kind(value: Mapping[str, Any], _: ClusterApp) -> Iterator[Problem]:
    version, kind = value["apiVersion"], value["kind"]
    group = group_of(version)
    home = next((group for group, kinds in NAMESPACED.items() if kind in kinds), None)
    if version in GONE and home is not None:
        yield ("apiVersion",), f"{version} is gone from Kubernetes; write {CURRENT.get(home, 'v1')}"
    elif is_builtin(group) and home != group:
        what = f"{kind} in {version}" if home is None else f"{kind} is in {CURRENT.get(home, home or 'v1')}, and {kind} in {version}"
        near = difflib.get_close_matches(kind, [name for kinds in NAMESPACED.values() for name in kinds], 1, 0.8)
        hint = f"; did you mean {near[0]}?" if near and near[0] != kind else ""
        yield ("kind",), f"{what} does not describe an app in one namespace, and is never made here{hint}"


def _namespace(value: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    said = inner(value, ("metadata", "namespace"))
    if said is not None and place.namespace is not None and said != place.namespace:
        yield (
            ("metadata", "namespace"),
            f"{said}: everything goes into {place.namespace}, the namespace of the cluster section; leave it out",
        )


def _hook(value: Mapping[str, Any], _: ClusterApp) -> Iterator[Problem]:
    hook = inner(value, ("metadata", "annotations", HOOK))
    if hook is not None:
        yield (
            ("metadata", "annotations", HOOK),
            f"a hook of Helm ({hook}) would not run at its time: make it an ordinary object, or switch it off",
        )


def _exposed(value: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    if value.get("kind") != "Service" or place.load_balancers:
        return
    if inner(value, ("spec", "type")) == "LoadBalancer":
        yield (
            ("spec", "type"),
            "a LoadBalancer opens the app to the network and is billed; write ClusterIP, or cluster.allow_load_balancers: true",
        )
    if inner(value, ("spec", "externalIPs")):
        yield ("spec", "externalIPs"), "opens the app to the network; leave it out, or write cluster.allow_load_balancers: true"


def _node(value: Mapping[str, Any], settings: ClusterApp) -> Iterator[Problem]:
    template = template_at(value)
    if template is None or settings.allow_node_access:
        return
    spec = inner(value, (*template, "spec"))
    for loc, text in _reaching(spec):
        yield (*template, "spec", *loc), f"{text}; leave it out, or write allow_node_access: true in app"


def _reaching(spec: Any) -> Iterator[Problem]:
    for name, what in (("hostNetwork", "network"), ("hostPID", "processes"), ("hostIPC", "shared memory")):
        if inner(spec, (name,)):
            yield (name,), f"shares the node's {what}"
    for index, _ in enumerate(inner(spec, ("volumes",)) or ()):
        if inner(spec, ("volumes", index, "hostPath")) is not None:
            yield ("volumes", index, "hostPath"), "a folder of the node"
    for loc, container in containers(spec):
        yield from (((*loc, *at), text) for at, text in _privileges(container))


def _privileges(container: Mapping[str, Any]) -> Iterator[Problem]:
    if inner(container, ("securityContext", "privileged")):
        yield ("securityContext", "privileged"), "a privileged container can do everything on its node"
    if inner(container, ("securityContext", "procMount")) == "Unmasked":
        yield ("securityContext", "procMount"), "shows the kernel's own files"
    added = inner(container, ("securityContext", "capabilities", "add")) or ()
    strong = [str(name) for name in added if str(name).removeprefix("CAP_") not in HARMLESS_CAPABILITIES]
    if strong:
        yield ("securityContext", "capabilities", "add"), f"{', '.join(strong)} reaches beyond the container"
    for index, _ in enumerate(inner(container, ("ports",)) or ()):
        if inner(container, ("ports", index, "hostPort")):
            yield ("ports", index, "hostPort"), "a port of the node"


RULES: tuple[Callable[[Mapping[str, Any], ClusterApp], Iterable[Problem]], ...] = (
    _kind,
    _hook,
    _node,
    name_problems,
    origin_problems,
    selector_problems,
)
"""Each looks at one object."""


def _twice(pieces: Iterable[Piece]) -> Iterator[Wrong]:
    seen: dict[tuple[str, str, str], Piece] = {}
    workloads: dict[str, Piece] = {}
    for piece in pieces:
        kind, name = str(piece.value.get("kind")), str(inner(piece.value, ("metadata", "name")))
        known = (group_of(str(piece.value.get("apiVersion"))), kind, name)
        if known in seen:
            yield piece.wrong(("metadata", "name"), f"a second {kind} {name}; the first is at {seen[known].place}")
        elif kind in WORKLOADS and name in workloads:
            yield piece.wrong(
                ("metadata", "name"), f"{name} is the name of a {workloads[name].value['kind']}, too, at {workloads[name].place}"
            )
        seen.setdefault(known, piece)
        if kind in WORKLOADS:
            workloads.setdefault(name, piece)


def _promised(settings: ClusterApp, pieces: Sequence[Piece]) -> Iterator[Wrong]:
    """What the document says of workloads, Services and containers must be so."""
    manifests = [piece.value for piece in pieces]
    workloads = workloads_of(manifests)
    named = {str(one.get("name")) for value in workloads.values() for _, one in containers_of(value)}
    for text in (*_absent(settings, workloads), *_unreachable(settings, manifests), *_images(settings.images, named)):
        yield Wrong("", Mistake(0, 0, "", text, origin="the document"))


def _absent(settings: ClusterApp, workloads: Mapping[str, Any]) -> Iterator[str]:
    for one in settings.workloads:
        if one.name not in workloads:
            yield f"app.workloads: there is no Deployment, StatefulSet or DaemonSet {one.name}{_near(one.name, workloads)}"
        elif one.metrics_path is not None and metrics_port(one, workloads[one.name]) is None:
            yield f"app.workloads: {one.name} needs its metrics_port: its containers name no port"
        elif inner(workloads[one.name], ("spec", "replicas")) == 0:
            yield f"app.workloads: {one.name} has replicas: 0, so nobody answers: write 1 or more, or leave it out of app.workloads"


def _images(images: Iterable[str], named: Iterable[str]) -> Iterator[str]:
    known = set(named)
    yield from (f"app.images: there is no container {name}{_near(name, known)}" for name in images if name not in known)


def _unreachable(settings: ClusterApp, manifests: Sequence[Manifest]) -> Iterator[str]:
    entry = next(one for one in settings.workloads if one.name == settings.entry)
    workload = workloads_of(manifests).get(entry.name)
    if workload is None:
        return
    service = service_of(workload, manifests)
    if service is None:
        yield f"app.entry: no Service leads to {entry.name}, so nobody could use it"
    elif service_port(entry, service) is None:
        ports = ", ".join(str(port.get("port")) for port in inner(service, ("spec", "ports")) or ()) or "none"
        name, wanted = inner(service, ("metadata", "name")), "" if entry.port is None else f" {entry.port}"
        yield f"app.workloads: the Service {name} of {entry.name} has no port{wanted}; it has {ports}"


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""
