"""A service whose name leads to nobody, while its pods are well."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, Sight, at_once
from tasks.faults.kube.steps import Patch
from tasks.faults.kube.target import Found, name_of
from tasks.kube.refs import ObjectRef

LABEL = "tidegauge.dev/black-hole"


def problems(found: Found) -> list[str]:
    """There has to be a Service to turn away."""
    return [] if found.services else [f"no Service leads to {found.target.name}"]


def plan(aim: ClusterAim) -> Moves:
    """Each Service also asks for a label that no pod carries."""
    found = aim.found
    refs = [ObjectRef("v1", "Service", found.namespace, name_of(service)) for service in found.services]

    def asking(word: str | None) -> tuple[Patch, ...]:
        return tuple(Patch(ref, {"spec": {"selector": {LABEL: word}}}) for ref in refs)

    def effect(sight: Sight) -> bool:
        """Each Service asks for it."""
        return all(_selector(sight.objects.get(ref)).get(LABEL) == aim.fault for ref in refs)

    acts = tuple(Patch(ref, {}) for ref in refs) if aim.placebo else asking(aim.fault)
    return Moves(acts, asking(None), at_once if aim.placebo else effect)


def _selector(service: Mapping[str, Mapping[str, Mapping[str, str]]] | None) -> Mapping[str, str]:
    return (service or {}).get("spec", {}).get("selector") or {}


KIND = ClusterKind(
    name="black_hole",
    summary="changes the selector of the target's Services so that new connections lead to nobody",
    full_strength="all of its Services, at any intensity; callers that keep their connections open notice nothing",
    placebo="a merge patch of nothing",
    # What scrapes pods one by one does not come through the Service: only callers' new connections can tell.
    witnesses=(Column("{target}/request_rate_per_s", "down"), Column("{target}/cpu_cores", "down")),
    moves=("{target}/request_rate_per_s", "{target}/cpu_cores", "{caller}/error_ratio"),
    default_intensity=1.0,
    graded=False,
    problems=problems,
    plan=plan,
)
