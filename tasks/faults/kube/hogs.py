"""What scripts inside the target's containers are told to do; each pod gets its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.base.errors import PreflightError
from tasks.faults.kube.inner import Inside, mark_of, script
from tasks.faults.kube.kind import ClusterAim, Moves
from tasks.faults.kube.steps import Run
from tasks.faults.kube.target import Object, limit_of, name_of, pod_ref, running_id

MIB = 1 << 20
NODE_SHARE = 0.8
"""No hog takes more than this share of what the node could still give."""
UNLIMITED_BYTES = 256 * MIB
"""Full strength where there is no limit."""


def centiseconds(seconds: float) -> str:
    """As the scripts count."""
    return str(round(seconds * 100))


def hogs(aim: ClusterAim, name: str, arguments_of: Callable[[Object, Inside], Sequence[str]]) -> Moves:
    """Run ``inside/NAME.sh`` in each pod; its first argument is how many processes it starts beside its own."""
    runs = []
    for pod in aim.found.pods:
        container = aim.found.container(pod)
        running = running_id(pod, str(container["name"]))
        if running is None:
            raise PreflightError(f"the container {container['name']} of pod {name_of(pod)} does not run: nothing would be hit")
        arguments = tuple(arguments_of(container, aim.insides[name_of(pod)]))
        processes = int(arguments[0]) + 1
        runs.append(Run(pod_ref(pod), str(container["name"]), running, script(name), mark_of(aim.fault), arguments, processes))
    return Moves(tuple(runs))


def room_bytes(container: Object, inside: Inside) -> int:
    """What the container could still take below its memory limit; without a limit, 256 MiB."""
    limit = limit_of(container, "memory")
    return UNLIMITED_BYTES if limit is None else max(0, round(limit) - inside.used_bytes)


def affordable(level_bytes: int, inside: Inside, name: str) -> int:
    """
    *level_bytes* in MiB, if the node has it.

    Raises:
        PreflightError: The node would run out of memory: others would be hit.
    """
    if level_bytes > NODE_SHARE * inside.node_free_bytes:
        have, want = inside.node_free_bytes // MIB, level_bytes // MIB
        raise PreflightError(
            f"the node of {name} has {have} MiB left: {want} MiB more would hit others", next_step="take a lower intensity"
        )
    return level_bytes // MIB
