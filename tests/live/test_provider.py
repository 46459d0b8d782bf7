"""The provider on a real API server, under the smallest rights, killed at random moments; nothing is left."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base.clock import SystemClock
from tasks.base.errors import LockedError, PreflightError
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.checks import findings
from tasks.cluster.kube.facts import facts
from tasks.cluster.kube.holding import Door, forget, holding, take
from tasks.cluster.kube.lease import Holder
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.kube.rehearsal import rehearse
from tasks.cluster.kube.rights import documents
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.rights import granted, role_text
from tests.cluster.kube.parts import OTHER, RUN, config_map, deployment, service
from tests.contracts.test_cluster_provider import ClusterProviderContract
from tests.ledger import Ledger
from tests.live.conftest import ROOT, Cluster, eventually
from tests.live.context import NAMES

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
SEED = int(os.environ.get("SEED") or secrets.randbelow(10**6))
KINDS = "all,configmaps,serviceaccounts,persistentvolumeclaims,leases,roles,rolebindings,persistentvolumes,namespaces"
WORK = """
import sys
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.live.test_provider import SHOP
what, kubeconfig, namespace, run = sys.argv[1:]
provider = KubeProvider(Kube.connect(KubeAccess(kubeconfig)), Bounds(run, (namespace,)))
plan = provider.plan(SHOP) if what == "apply" else ()
print("begun", flush=True)
for step in plan:
    provider.apply(step)
if what == "down":
    provider.down()
print("done", flush=True)
"""
HOLD = """
import sys, time
from tasks.cluster.kube.holding import Door, Held, take
from tasks.cluster.kube.lease import Holder
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.base.clock import SystemClock
kubeconfig, namespace, run = sys.argv[1:]
door = Door(Kube.connect(KubeAccess(kubeconfig)), namespace, Holder(run), 4, SystemClock())
held = Held(door, take(door))
held.start()
print("held", flush=True)
time.sleep(600)
"""


def shop() -> list[dict[str, Any]]:
    """Something of everything: accounts and rights, configuration, Services, workloads, a bare pod."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guard"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "guard"}, "rules": []}
    pod = deployment("probe")["spec"]["template"] | {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}}
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}}
    names = ("carts", "catalogue", "orders", "payment")
    return [
        *(deployment(name) for name in names),
        *(service(name) for name in names),
        config_map("settings"),
        account,
        role,
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        pod,
    ]


SHOP = shop()


def there(cluster: Cluster) -> set[str]:
    """Kind, namespace and name of what is in the cluster, as kubectl shows it; what changes by itself left out."""
    shown = cluster.kubectl(
        "get", KINDS, "--all-namespaces", "--no-headers", "--output=custom-columns=K:.kind,N:.metadata.namespace,M:.metadata.name"
    )
    return {" ".join(line.split()) for line in shown.splitlines()}


def in_namespace(cluster: Cluster, name: str) -> set[str]:
    """The same of one namespace, but for what every namespace has."""
    kept = {f"ConfigMap {name} kube-root-ca.crt", f"ServiceAccount {name} default"}
    return {line for line in there(cluster) if line.split()[1] == name} - kept


def settle(provider: KubeProvider, wanted: list[dict[str, Any]]) -> None:
    """Apply the whole plan."""
    for step in provider.plan(wanted):
        provider.apply(step)


@pytest.fixture
def admin(cluster: Cluster) -> Kube:
    """Whoever may do everything."""
    return Kube.connect(KubeAccess(str(cluster.kubeconfig)))


@pytest.fixture
def name(cluster: Cluster) -> Iterator[str]:
    """Of a namespace of this test's own, not made yet; gone in the end."""
    made = NAMES.new("cluster")
    yield made
    cluster.kubectl("delete", "namespace", made, "--wait=false", "--ignore-not-found")


@pytest.fixture
def restricted(cluster: Cluster, name: str, tmp_path: Path) -> Kube:
    """A login with the rights of ``configs/rbac/run.yaml`` in *name*, which is there, and with no others."""
    found = documents(KubeconfigCluster(provider="kubeconfig", namespace=name))
    cluster.kubectl("apply", "-f", "-", given=role_text([*found["setup"], *found["run"]]))
    token = cluster.kubectl("--namespace", name, "create", "token", "tidegauge").strip()
    return Kube.connect(KubeAccess(str(with_token(cluster, token, tmp_path / "kubeconfig"))))


def with_token(cluster: Cluster, token: str, path: Path) -> Path:
    """A kubeconfig for the bearer of *token*."""
    value = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    value["users"] = [{"name": one["name"], "user": {"token": token}} for one in value["users"]]
    path.touch(0o600)
    path.write_text(json.dumps(value))
    return path


class TestKubeProviderLive(ClusterProviderContract[dict[str, Any]]):
    """The contract, with Deployments, under the smallest rights."""

    @pytest.fixture
    def provider(self, restricted: Kube, name: str) -> KubeProvider:
        """In a namespace that was there."""
        self.namespace = name
        return KubeProvider(restricted, Bounds(RUN, (name,)))

    @pytest.fixture
    def wanted(self) -> list[dict[str, Any]]:
        """Three workloads."""
        return [deployment("orders"), deployment("carts"), deployment("user")]

    def changed(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Another variable."""
        return deployment(spec["metadata"]["name"], env={"B": "2"})

    def impossible(self) -> dict[str, Any]:
        """Never there."""
        return config_map("escape", "kube-system")

    def name(self, short: str) -> str:
        """With its kind and place."""
        return f"deployment/{short} in {self.namespace}"

    def settled(self, provider: KubeProvider) -> None:
        """Pods are there and ready."""
        eventually(lambda: all(one.state == "running" for one in provider.list()))


def test_a_whole_life_under_the_smallest_rights(cluster, restricted, name, ledger: Ledger):
    """Made, changed, listed, held and taken down: what was used is what the shipped Role grants."""
    attempt = ledger.begin(row=42, fault="a whole life under the shipped Role", where="cluster")
    role = documents(KubeconfigCluster(provider="kubeconfig", namespace=name))["run"]
    provider = KubeProvider(restricted, Bounds(RUN, (name,)))
    with holding(restricted, name, RUN, duration_s=60):
        settle(provider, SHOP)
        changed = [deployment("carts", env={"A": "2"}), *SHOP[1:-1]]
        steps = provider.plan(changed)
        for step in steps:
            provider.apply(step)
        eventually(lambda: all(one.state == "running" for one in provider.list()))
        ran = facts(restricted, name, RUN)
        left = provider.down()

    assert [(step.action, step.name) for step in steps] == [("replace", f"deployment/carts in {name}"), ("remove", f"pod/probe in {name}")]
    assert [str(one) for one in restricted.used if not granted(one, role) and one.namespace is not None] == []
    assert {str(one) for one in restricted.used if one.namespace is None} <= {"list nodes in all namespaces"}
    assert [one["image"] for one in ran["images"]] == ["tidegauge.test/pause:1"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", ran["images"][0]["digest"])
    assert ran["nodes"] is None
    assert left == ()
    assert in_namespace(cluster, name) <= {
        f"Role {name} tidegauge-run",
        f"RoleBinding {name} tidegauge-run",
        f"ServiceAccount {name} tidegauge",
    }
    attempt.survived(f"{len(restricted.used)} rights used, all granted")


def test_others_rights_are_not_there(restricted, name, ledger: Ledger):
    """What the Role does not grant is refused by the server: other namespaces, Secrets, nodes."""
    for path in ("/api/v1/namespaces/kube-system/pods", f"/api/v1/namespaces/{name}/secrets", "/api/v1/nodes", "/api/v1/pods"):
        attempt = ledger.begin(row=42, fault="what the shipped Role must not grant", where="cluster")
        with pytest.raises(Forbidden):
            list(restricted.items(path))
        attempt.survived("refused by the server")


def test_a_rehearsal_changes_nothing(cluster, admin, name, ledger: Ledger):
    """Neither where the namespace is to be made nor where it is there; the server has a word on each object."""
    attempt = ledger.begin(row=27, fault="a rehearsal on a real server", where="cluster")
    before = there(cluster)
    provider = KubeProvider(admin, Bounds(RUN, (name,)))
    first = rehearse(provider, SHOP)
    assert there(cluster) == before
    cluster.kubectl("create", "namespace", name)
    eventually(lambda: cluster.kubectl("--namespace", name, "get", "serviceaccount", "--output=name") != "")
    second = rehearse(provider, SHOP)

    assert [one.verdict for one in first] == ["accepted"] + ["not tried"] * len(SHOP)
    assert [(one.verdict, one.said) for one in second] == [("accepted", "")] * len(SHOP)
    assert in_namespace(cluster, name) == set()
    attempt.survived("mutating calls 0")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("victim", "made", "rounds"), [("apply", False, 6), ("apply", True, 2), ("down", False, 6), ("down", True, 2)])
def test_killed_at_any_moment_it_is_finished_by_the_next_down(cluster, admin, name, victim, made, rounds, ledger: Ledger):
    """Kill -9 at random moments of making and of removing, in a namespace that the run *made* or that was there: ``down`` ends it."""
    rng = random.Random(f"{SEED}:{victim}:{made}")
    print(f"seed {SEED} (repeat with SEED={SEED})")
    if not made:
        cluster.kubectl("create", "namespace", name)
        eventually(lambda: f"ServiceAccount {name} default" in there(cluster))
    before, whole_s = there(cluster), {"apply": 0.3, "down": 2.0}[victim]
    caught = 0
    for number in range(rounds):
        attempt = ledger.begin(row=22, fault="making or removing killed -9 at a random moment", where="cluster")
        run = f"20261126-15{number:02d}00-abcd"
        provider = KubeProvider(admin, Bounds(run, (name,)))
        if victim == "down":
            settle(provider, SHOP)
        worker = subprocess.Popen(
            [sys.executable, "-c", WORK, victim, str(cluster.kubeconfig), name, run], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        time.sleep(rng.uniform(0, whole_s))
        worker.send_signal(signal.SIGKILL)
        rest, _ = worker.communicate()
        caught += "done" not in rest
        first, second = provider.down(), provider.down()

        assert (first, second) == ((), ())
        assert there(cluster) - before == set()
        attempt.survived("0 objects left")
    assert caught >= rounds // 3


def test_a_dead_run_s_hold_ends_by_itself_and_not_before(cluster, admin, name, ledger: Ledger):
    """Killed -9: the next run is refused with its name while the hold lasts, and takes it after that."""
    attempt = ledger.begin(row=21, fault="two runs want a namespace, and the one that has it is killed -9", where="cluster")
    cluster.kubectl("create", "namespace", name)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cluster.kubeconfig), name, OTHER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    door = Door(admin, name, Holder(RUN), 60, SystemClock())
    with pytest.raises(LockedError, match=OTHER):
        take(door)
    holder.kill()
    holder.communicate()
    killed_s = time.monotonic()
    with pytest.raises(LockedError, match=OTHER):
        take(door)
    record = take(door, wait_s=20)

    assert RUN in record.holder
    assert 2.0 < time.monotonic() - killed_s < 10.0
    assert forget(admin, name, RUN)
    attempt.survived("double-acquire 0")


def test_what_is_stuck_is_told_until_it_is_not(cluster, admin, name, ledger: Ledger):
    """A finalizer of nobody's: told with its name by ``down``, by the namespace, and by the plan of the next run."""
    attempt = ledger.begin(row=22, fault="an object that a finalizer keeps", where="cluster")
    provider = KubeProvider(admin, Bounds(RUN, (name,)), patience_s=3.0)
    settle(provider, [config_map("stuck")])
    cluster.kubectl("--namespace", name, "patch", "configmap", "stuck", "--patch", '{"metadata":{"finalizers":["example.org/keep"]}}')
    first, second = provider.down(), provider.down()
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    condition = "{.status.conditions[?(@.type=='NamespaceFinalizersRemaining')].status}"
    eventually(lambda: cluster.kubectl("get", "namespace", name, f"--output=jsonpath={condition}") == "True")
    with pytest.raises(PreflightError) as refusal:
        provider.plan([config_map("new")])
    cluster.kubectl("--namespace", name, "patch", "configmap", "stuck", "--type=merge", "--patch", '{"metadata":{"finalizers":null}}')

    assert [(one.name, one.why) for one in first] == [
        (f"configmap/stuck in {name}", "is being removed, but waits for its finalizer example.org/keep"),
        (f"namespace/{name}", "is kept until everything in it is gone"),
    ]
    assert second == first
    assert "example.org/keep" in refusal.value.message
    eventually(lambda: cluster.kubectl("get", "namespace", name, "--ignore-not-found") == "")
    assert provider.down() == ()
    attempt.survived("named until it was gone, then 0 left")


def test_things_of_others_in_its_namespace_are_left_alone(cluster, admin, name, ledger: Ledger):
    """The run's own go, the namespace stays for the others', and goes when they have gone."""
    attempt = ledger.begin(row=26, fault="things of others beside ours", where="cluster")
    provider = KubeProvider(admin, Bounds(RUN, (name,)))
    settle(provider, [config_map("ours")])
    cluster.kubectl("--namespace", name, "create", "configmap", "theirs", "--from-literal=a=b")
    (left,) = provider.down()
    with pytest.raises(PreflightError, match=r"theirs in .* is there already, made by kubectl-create"):
        provider.plan([config_map("theirs")])
    stays = in_namespace(cluster, name)
    cluster.kubectl("--namespace", name, "delete", "configmap", "theirs")

    assert f"holds what this run has not made: configmap/theirs in {name}" in left.why
    assert stays == {f"ConfigMap {name} theirs"}
    assert provider.down() == ()
    assert cluster.kubectl("get", "namespace", name, "--ignore-not-found") == ""
    attempt.survived("0 touched")


def test_a_quota_says_no_with_its_name(cluster, admin, name):
    """Exit code of something refused, and what to do."""
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("--namespace", name, "create", "quota", "few", "--hard=services=0")
    provider = KubeProvider(admin, Bounds(RUN, (name,)))
    eventually(lambda: "services" in cluster.kubectl("--namespace", name, "get", "quota", "few", "--output=jsonpath={.status.hard}"))

    with pytest.raises(Forbidden, match="exceeded quota: few") as refusal:
        settle(provider, [service("carts")])

    assert refusal.value.exit_code == 3
    assert "ResourceQuota" in str(refusal.value.next_step)
    assert provider.down() == ()


def test_a_selector_is_changed_by_making_it_anew(cluster, admin, name):
    """What cannot be changed in place; a manifest that is wrong in itself does not cost the old one."""
    provider = KubeProvider(admin, Bounds(RUN, (name,)))
    old = deployment("carts")
    settle(provider, [old])
    new = json.loads(json.dumps(old).replace('"app": "carts"', '"app": "other"'))
    wrong = json.loads(json.dumps(new).replace('"app": "other"', '"app": "a b"'))
    uid = cluster.kubectl("--namespace", name, "get", "deployment", "carts", "--output=jsonpath={.metadata.uid}")
    with pytest.raises(Exception, match="Invalid value"):
        settle(provider, [wrong])
    kept = cluster.kubectl("--namespace", name, "get", "deployment", "carts", "--output=jsonpath={.metadata.uid}")
    settle(provider, [new])

    assert kept == uid
    assert provider.plan([new]) == ()
    assert cluster.kubectl("--namespace", name, "get", "deployment", "carts", "--output=jsonpath={.metadata.uid}") != uid
    assert provider.down() == ()


def test_pods_left_behind_by_their_deployment_go_too(cluster, admin, name):
    """After ``kubectl delete --cascade=orphan``, in a namespace that stays."""
    cluster.kubectl("create", "namespace", name)
    provider = KubeProvider(admin, Bounds(RUN, (name,)))
    settle(provider, [deployment("carts")])
    eventually(lambda: all(one.state == "running" for one in provider.list()))
    cluster.kubectl("--namespace", name, "delete", "deployment", "carts", "--cascade=orphan")

    assert [one.state for one in provider.list()] == ["orphaned"]
    assert provider.down() == ()
    assert in_namespace(cluster, name) == set()


def test_the_doctor_sees_a_real_cluster(cluster, admin, restricted, name, ledger: Ledger):
    """Everything as an administrator; under the smallest rights it says what it cannot see."""
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    settings = KubeconfigCluster(provider="kubeconfig", namespace=name, node_proxy=True, node_helper=True)
    seen = {one.name: one for one in findings(admin, settings, SHOP)}
    unseen = {(one.name, one.state): one for one in findings(restricted, settings.model_copy(update={"node_proxy": False}))}

    clocks_agree = seen["clock"].state == "ok"  # this machine is the node
    ledger.count(row=8, fault="the clock of a server that shares ours", where="cluster", survived=clocks_agree, figure="within a second")
    assert {seen[what].state for what in ("api", "clock", "rights", "nodes", "runtime", "cgroups", "room")} == {"ok"}
    assert re.fullmatch(r"version [12] on \d+ nodes", seen["cgroups"].text)
    assert "containerd://" in seen["runtime"].text or "cri-o://" in seen["runtime"].text
    assert seen["node helper"].state == "fail"
    assert "no latency, loss, reset, partition and pause" in seen["node helper"].text
    assert ("rights", "ok") in unseen
    assert "cannot be seen by this login" in unseen["nodes", "warn"].text
    assert cluster.kubectl("--namespace", name, "get", "pods", "--output=name") == ""
