"""From a plan's start to a ready app in a cluster: ours against ``kubectl apply`` and ``kubectl rollout status``, turn by turn."""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.rollout import Rollout
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.bench.kubelet import cluster
from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.stopwatch import ROUNDS, machine
from tests.live.artifacts import binaries

NAMESPACE, RUN = "ready-bench-{}", "bench-1"
GOAL = Goal("<=", 1.2, "ratio")
LIMIT_S = 120
CALL = "apply --server-side of the same objects, then rollout status of each Deployment"


@dataclass(frozen=True, slots=True)
class Racers:
    """Both ways to the same shop, in a namespace of their own."""

    kube: Kube
    kubeconfig: Path
    programs: Path
    place: Placement

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """
        What kubectl prints.

        Raises:
            subprocess.CalledProcessError: It ended with another code than 0.
        """
        cache = self.kubeconfig.parent / "data" / "kubectl"
        argv = [str(self.programs / "kubectl"), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}"]
        ours = [*argv, f"--namespace={self.place.namespace}", *arguments]
        return subprocess.run(ours, input=given, capture_output=True, text=True, check=True, timeout=3 * LIMIT_S).stdout

    def ours_s(self) -> float:
        """Seconds until the shop is ready, as a run does it: the plan, its changes, the wait."""
        begun_s = time.monotonic()
        manifests = manifests_of(app_of(DemoShop()), self.place)
        provider = KubeProvider(self.kube, Bounds(self.place.run, (self.place.namespace,)))
        for change in provider.plan(manifests):
            provider.apply(change)
        Rollout(self.kube, self.place, manifests, timeout_s=LIMIT_S).wait()
        return time.monotonic() - begun_s

    def kubectls_s(self) -> float:
        """Seconds until the same objects are ready."""
        shop = app_of(DemoShop())
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests_of(shop, self.place))})
        begun_s = time.monotonic()
        self.kubectl("apply", "--server-side", "--filename=-", given=text)
        for name in shop.names:
            self.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={LIMIT_S}s")
        return time.monotonic() - begun_s

    def ready(self) -> tuple[tuple[str, int], ...]:
        """Deployments and how many of their pods are ready, by name."""
        found = self.kube.items(f"/apis/apps/v1/namespaces/{self.place.namespace}/deployments")
        return tuple(sorted((one["metadata"]["name"], (one.get("status") or {}).get("readyReplicas", 0)) for one in found))

    def emptied(self) -> None:
        """
        Everything of the run is gone, pods included.

        Raises:
            OSError: Pods stay.
        """
        labels = f"--selector=tidegauge.dev/run={self.place.run}"
        self.kubectl("delete", "deployment,service", labels, "--wait=true", "--cascade=foreground")
        until_s = time.monotonic() + LIMIT_S
        while self.kubectl("get", "pods", "--output=name"):
            if time.monotonic() > until_s:
                raise OSError(f"pods of {self.place.namespace} are still there after {LIMIT_S} s")
            time.sleep(0.1)


@contextmanager
def racers(kubeconfig: Path, programs: Path) -> Iterator[Racers]:
    """In a namespace that is there for the time inside."""
    namespace = NAMESPACE.format(secrets.token_hex(3))
    made_here = Racers(Kube.connect(KubeAccess(kubeconfig=str(kubeconfig))), kubeconfig, programs, Placement(namespace, RUN))
    made_here.kubectl("create", "namespace", namespace)
    try:
        yield made_here
    finally:
        made_here.kubectl("delete", "namespace", namespace, "--wait=false")


def raced(both: Racers) -> tuple[Sequence[float], Sequence[float], bool]:
    """Seconds of each round of ours and of kubectl's, and whether both ended with the same Deployments ready each time."""
    mine: list[float] = []
    kubectls: list[float] = []
    seen: set[Any] = set()
    for _ in range(ROUNDS):
        for measure, seconds in ((both.ours_s, mine), (both.kubectls_s, kubectls)):
            seconds.append(measure())
            seen.add(both.ready())
            both.emptied()
    wanted = tuple(sorted((name, 1) for name in app_of(DemoShop()).names))
    return mine, kubectls, seen == {wanted}


def measure(only: frozenset[str]) -> Iterator[Row]:
    """On the tests' own cluster, if it is up."""
    if "kube.ready" not in only:
        return
    found, programs = cluster(), binaries()
    if found is None or programs is None:
        print("kube.ready: not measured: no cluster (python -m tests.live.harness up)", file=sys.stderr)
        yield made("kube.ready", None, "s", machine=machine(), goal=GOAL)
        return
    with racers(found[0], programs) as both:
        mine, kubectls, same = raced(both)
        version = json.loads(both.kubectl("version", "--client", "--output=json"))["clientVersion"]["gitVersion"]
    peer = Peer(f"kubectl {version}: {CALL}", statistics.median(kubectls), same)
    yield made("kube.ready", statistics.median(mine), "s", machine=machine(), goal=GOAL, peer=peer)
