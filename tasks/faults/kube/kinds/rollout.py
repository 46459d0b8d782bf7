"""A rollout of the same image, as somebody deploys every day."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, Sight
from tasks.faults.kube.steps import Patch
from tasks.faults.kube.target import Found

NOTE = "tidegauge.dev/rollout"


def problems(found: Found) -> list[str]:
    """A StatefulSet may be told to roll out by hand, or in part."""
    strategy = (found.workload or {}).get("spec", {}).get("updateStrategy") or {}
    by_hand = strategy.get("type", "RollingUpdate") != "RollingUpdate"
    if found.stateful and (by_hand or (strategy.get("rollingUpdate") or {}).get("partition")):
        return [f"{found.target.name} does not roll out all of its pods by itself (updateStrategy)"]
    return []


def plan(aim: ClusterAim) -> Moves:
    """Roll out with a note on the pods, and at the end once more without it."""

    def noted(word: str | None) -> Patch:
        return Patch(aim.found.ref, {"spec": {"template": {"metadata": {"annotations": {NOTE: word}}}}})

    def effect(sight: Sight) -> bool:
        """The first new pod is there."""
        return any((pod["metadata"].get("annotations") or {}).get(NOTE) == aim.fault for pod in sight.found.pods)

    if aim.placebo:
        return Moves((Patch(aim.found.ref, {}),), (noted(None),))
    return Moves((noted(aim.fault),), (noted(None),), effect, same_pods=False)


KIND = ClusterKind(
    name="rollout",
    summary="rolls the same image out, and once more at the end; no harm is done",
    full_strength="every pod is replaced by the workload's own strategy, at any intensity",
    placebo="a merge patch of nothing",
    witnesses=(
        Column("{target}/replacements", "up", returns=False),
        Column("{target}/replicas_available", "down"),
        Column("{target}/memory_working_set_bytes", "either", stand_in=True),
    ),
    moves=("{target}/memory_working_set_bytes",),
    default_intensity=1.0,
    restarts_target=True,
    graded=False,
    benign=True,
    problems=problems,
    plan=plan,
)
