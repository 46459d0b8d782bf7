"""How many pods a target has: one step there, one step back."""

from __future__ import annotations

from tasks.faults.kube.kind import ClusterAim, Moves, Sight, at_once
from tasks.faults.kube.steps import Patch
from tasks.faults.kube.target import Found, pod_ready


def loses_claims(found: Found) -> list[str]:
    """A StatefulSet may be told to throw its volumes away when it is scaled in: nobody gives them back."""
    spec = (found.workload or {}).get("spec", {})
    policy = (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled")
    if policy == "Delete" and spec.get("volumeClaimTemplates"):
        return [f"{found.target.name} deletes its volumes when it is scaled in (whenScaled: Delete): its data would be lost"]
    return []


def leaves_claims(found: Found) -> list[str]:
    """A further pod of a StatefulSet with volumes makes a claim that outlives it."""
    if (found.workload or {}).get("spec", {}).get("volumeClaimTemplates"):
        return [f"each pod of {found.target.name} has a volume of its own: that of a further one would be left behind"]
    return []


def share(replicas: int, intensity: float) -> int:
    """*intensity* of the pods, at least one."""
    return max(1, round(intensity * replicas))


def scale(found: Found, replicas: int) -> Patch:
    """Ask for so many pods."""
    return Patch(found.ref, {"spec": {"replicas": replicas}}, subresource="scale")


def scaled(aim: ClusterAim, replicas: int) -> Moves:
    """From what there is to *replicas* and back; a placebo asks for what there is."""
    there = aim.found.replicas
    wanted = there if aim.placebo else replicas

    def effect(sight: Sight) -> bool:
        """Fewer serve, or more are there."""
        pods = sight.found.pods
        return sum(map(pod_ready, pods)) <= wanted if wanted < there else len(pods) >= wanted

    return Moves((scale(aim.found, wanted),), (scale(aim.found, there),), at_once if aim.placebo else effect, same_pods=aim.placebo)
