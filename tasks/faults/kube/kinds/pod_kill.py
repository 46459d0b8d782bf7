"""A pod that is killed, and its successor, too."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, Sight
from tasks.faults.kube.steps import Delete, Step
from tasks.faults.kube.target import Found, Object, pod_ref, uid_of


def plan(aim: ClusterAim) -> Moves:
    """Delete the oldest pod without grace; again when all serve, during *intensity* of the duration."""
    if aim.placebo:
        return Moves((Delete(pod_ref(_oldest(aim.found)), grace_s=0, pretend=True),))
    killed = uid_of(_oldest(aim.found))

    def effect(sight: Sight) -> bool:
        """It is gone."""
        return all(uid_of(pod) != killed for pod in sight.found.pods)

    again_s = aim.intensity * aim.duration_s
    return Moves(kill(aim.found), effect=effect, same_pods=False, again=kill, again_s=again_s)


def kill(found: Found) -> tuple[Step, ...]:
    """The end of the oldest pod."""
    return (Delete(pod_ref(_oldest(found)), grace_s=0),)


def _oldest(found: Found) -> Object:
    return min(found.pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp", "")), uid_of(pod)))


KIND = ClusterKind(
    name="pod_kill",
    summary="deletes a pod without grace, and the oldest one again whenever all of them serve",
    full_strength="until the end; at intensity x during the first x of the duration, at least once",
    placebo="asks the server to go through the motions of a deletion (dry run)",
    witnesses=(
        Column("{target}/replacements", "up", returns=False),
        Column("{target}/replicas_available", "down"),
        Column("{target}/up", "down"),
    ),
    moves=("{target}/up", "{target}/request_rate_per_s", "{caller}/error_ratio"),
    default_intensity=1.0,
    restarts_target=True,
    plan=plan,
)
