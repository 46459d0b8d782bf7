"""Where whoever records finds the metrics of an app's pods: through its objects alone, as the collector reads them in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.app.kube.placement import Manifest
from tasks.app.kube.reaching import workloads_of
from tasks.telemetry.kube.pods import pod_view


def pages_of(manifests: Sequence[Manifest]) -> dict[str, str | None]:
    """``PORT/PATH`` of the metrics page of each workload's pods, by the service that its series are told of; None: they show none."""
    found: dict[str, str | None] = {}
    for one in workloads_of(manifests).values():
        template: dict[str, Any] = one["spec"]["template"]
        pod = pod_view({**template, "metadata": {**template["metadata"], "uid": "1", "name": f"{one['metadata']['name']}-0"}})
        found[pod.workload] = pod.page
    return found
