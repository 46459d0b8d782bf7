"""The functional test of an app from inside its cluster: the same program, in a pod that runs once."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from tasks.app import smoke
from tasks.app.kube.placement import Placement
from tasks.app.model import App
from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError
from tasks.kube.client import Kube
from tasks.kube.labels import run_labels
from tasks.kube.refs import ObjectRef
from tasks.kube.waiting import NEVER_STARTS

CONTAINER = "smoke"
LONGEST_S = 120.0
STEP_S = 5.0
SETTLE_S = 20.0
"""So long, at most, a new Service may not be known yet on the node of the test, or its name not in the cluster's DNS."""
POLL_S = 0.25


def require_smoke_in_cluster(kube: Kube, where: Placement, app: App, address: str, image: str, clock: Clock | None = None) -> None:
    """
    Browse, fill a basket, order: once, before the load.

    Raises:
        PreflightError: A step failed, or the pod did not run.
    """
    pod = smoke_pod(where, app, address, image)
    ref = ObjectRef.of(pod)
    kube.apply(pod)
    try:
        result = _result(kube, ref, image, clock or SystemClock())
    finally:
        kube.delete(ref, grace_s=0)
    if not result.passed:
        raise PreflightError(
            f"the smoke test of {app.name} failed: {result.sentence}",
            next_step=f"kubectl --namespace {where.namespace} port-forward service/{app.entry} 8080, and click through it",
        )


def smoke_pod(where: Placement, app: App, address: str, image: str) -> dict[str, Any]:
    """The pod: no right in the cluster, nothing to write to, and an end."""
    steps = [step.model_dump(mode="json") for step in app.smoke]
    wanted = {"address": address, "steps": steps, "timeout_s": STEP_S, "settle_s": SETTLE_S}
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", Path(smoke.__file__).read_text()],
        "env": [{"name": smoke.VARIABLE, "value": json.dumps(wanted)}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"smoke-{secrets.token_hex(3)}",
            "namespace": where.namespace,
            "labels": run_labels(where.run, "load"),
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": round(LONGEST_S),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }


def _result(kube: Kube, ref: ObjectRef, image: str, clock: Clock) -> smoke.SmokeResult:
    until_s = clock.monotonic_s() + LONGEST_S
    while clock.monotonic_s() < until_s:
        pod = kube.find(ref)
        if pod is None:
            raise PreflightError("the pod of the smoke test was removed by somebody else", next_step="run the same command again")
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return _said(kube, ref)
        if (why := hopeless(pod)) is not None:
            raise PreflightError(f"the smoke test cannot start: {why}", next_step=f"load the image {image} into the cluster")
        clock.sleep(POLL_S)
    raise PreflightError(f"the smoke test took longer than {LONGEST_S:g} s", next_step="see the app's logs")


def hopeless(pod: dict[str, Any]) -> str | None:
    """Why the pod will not start; None while there is hope."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in NEVER_STARTS:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return None


def _said(kube: Kube, ref: ObjectRef) -> smoke.SmokeResult:
    lines = list(kube.log(ref.namespace or "", ref.name, CONTAINER))
    try:
        return smoke.SmokeResult.from_json(json.loads(lines[-1]))
    except (IndexError, ValueError, KeyError, TypeError) as error:
        last = lines[-1].decode("utf-8", "replace")[:300] if lines else "nothing"
        raise PreflightError(f"the smoke test ended without a result; it said: {last}", next_step="see the app's logs") from error
