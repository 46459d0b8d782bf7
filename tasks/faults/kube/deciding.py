"""From a request to what would be done, by looking alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.faults.catalogue import nearest
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.chaos_mesh import API_VERSION, chosen, mesh_moves, mesh_rights
from tasks.faults.kube.inner import Inside, look_argv, read_inside
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, NodeAccess
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.looking import look, pull_secrets, resizes_in_place, served_kinds
from tasks.faults.kube.naming import fault_labels
from tasks.faults.kube.steps import Create, Start
from tasks.faults.kube.target import Found, Target, name_of, target_problems
from tasks.faults.preflight import FaultRequest, refused, request_problems
from tasks.kube.refs import ObjectRef

LOOK_S = 20.0
UNKNOWN = Inside(processors=1, used_bytes=0, largest_bytes=64 << 20, node_free_bytes=1 << 50, dead=0)
"""Stands for a container that is not looked into."""


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """Where faults are injected, and with what."""

    namespace: str
    run: str
    """The run's id, on everything that is made."""
    targets: Mapping[str, Target]
    """The app's services, by name."""
    guard_image: str
    """Has python3; the guards run in it."""
    node_image: str | None = None
    """Has python3 and iptables; None: no privileged pods are started on nodes."""
    chaos_mesh: bool = True
    """Whether Chaos Mesh does what it can, where it is installed and we may use it."""
    arming_s: float = 60.0
    """Longest wait for a guard, its image's way to the node included."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What would be done."""

    request: FaultRequest
    found: Found
    moves: Moves
    dead: Mapping[str, int] = field(default_factory=dict)
    """Dead processes in each pod."""
    pull_secrets: tuple[str, ...] = ()
    """What the namespace's usual account opens registries with; the guard's own account has none."""

    @property
    def starts(self) -> tuple[Start, ...]:
        """Our pods on nodes."""
        return tuple(step for step in self.moves.acts if isinstance(step, Start))

    @property
    def new(self) -> frozenset[ObjectRef]:
        """What does not exist before."""
        return frozenset(step.ref for step in self.moves.acts if isinstance(step, Start | Create))


def decide(api: ClusterApi, place: FaultPlace, request: FaultRequest, *, inside: bool) -> Decided:
    """
    Decide what *request* does, or refuse it.

    Args:
        api: The cluster.
        place: Where.
        request: What.
        inside: Whether containers may be looked into, by a program that only reads; otherwise amounts are guessed.

    Raises:
        PreflightError: With every reason.
        KubeError: The API server does not answer.
    """
    target, kind = _known(place, request)
    found = look(api, place.namespace, target)
    problems = target_problems(found) or [*kind.problems(found), *_needs(api, place, kind)]
    if problems:
        raise refused(problems)
    labels = fault_labels(place.run, request.id)
    node = None if place.node_image is None else NodeAccess(place.node_image, labels)
    mesh, insides = place.chaos_mesh and _has_mesh(api, place, kind), dict[str, Inside]()
    if kind.need == "script" and not mesh:
        insides = {name_of(pod): _look_inside(api, found, pod) if inside else UNKNOWN for pod in found.pods}
    aim = ClusterAim(request.id, found, request.intensity, request.placebo, request.duration_s, insides, node)
    moves = mesh_moves(kind.name, aim, labels) if mesh else kind.plan(aim)
    secrets = pull_secrets(api, place.namespace) if moves.reverts else ()
    return Decided(request, found, moves, {name: one.dead for name, one in insides.items()}, secrets)


def _has_mesh(api: ClusterApi, place: FaultPlace, kind: ClusterKind) -> bool:
    """Whether Chaos Mesh covers *kind*, is installed, and may be used."""
    return chosen(kind.name, served_kinds(api, API_VERSION)) and all(map(api.allowed, mesh_rights(kind.name, place.namespace)))


def _known(place: FaultPlace, request: FaultRequest) -> tuple[Target, ClusterKind]:
    """Target and kind of a request that can be meant."""
    problems = request_problems(request, KINDS)
    target = place.targets.get(request.target)
    if target is None:
        problems.append(f"there is no service {request.target!r} here{nearest(request.target, place.targets)}")
    elif target.entry:
        problems.append(f"{request.target} is the entry service; faults never hit it")
    if problems or target is None:
        raise refused(problems)
    return target, KINDS[request.kind]


def _needs(api: ClusterApi, place: FaultPlace, kind: ClusterKind) -> list[str]:
    if kind.need == "resize" and not resizes_in_place(api):
        return ["this API server cannot resize running pods (pods/resize, Kubernetes 1.33 or newer)"]
    if kind.need == "node" and place.node_image is None:
        return [f"{kind.name} needs a privileged pod on the target's node, and that is not allowed (cluster.node_helper)"]
    return []


def _look_inside(api: ClusterApi, found: Found, pod: Mapping[str, object]) -> Inside:
    container = str(found.container(pod)["name"])
    done = api.execute(found.namespace, name_of(pod), container, look_argv(), timeout_s=LOOK_S)
    return read_inside(done.code, done.output, f"container {container} of pod {name_of(pod)}")
