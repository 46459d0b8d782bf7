"""Faults in a real cluster: each kind acts, is seen by others than itself, and leaves nothing; whoever is killed meanwhile."""

from __future__ import annotations

import ctypes
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from tasks.base.errors import PreflightError
from tasks.faults.kube.deciding import FaultPlace
from tasks.faults.kube.difference import differences
from tasks.faults.kube.injector import ClusterInjector, revert_all
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.rights import rights_of
from tasks.faults.kube.target import Target
from tasks.faults.preflight import FaultRequest
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import bindings, roles
from tests.ledger import Ledger
from tests.live.conftest import ROOT, Cluster, eventually
from tests.live.context import NAMES as MADE_UP
from tests.live.images import read_recipe

NAMES = read_recipe().names()
pytestmark = [pytest.mark.live, pytest.mark.images(NAMES["demo"], NAMES["fault"]), pytest.mark.timeout(300)]
DURATION_S = 5.0
PROMISE_S = 10.0
MIB = 1 << 20
FIGURES = ROOT / "build" / "live-faults.json"
RUNNER = """
import json, sys
from pathlib import Path
from tasks.faults.kube.deciding import FaultPlace
from tasks.faults.kube.injector import ClusterInjector
from tasks.faults.kube.target import Target
from tasks.faults.preflight import FaultRequest
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
kubeconfig, folder, place, request = sys.argv[1:]
place = json.loads(place)
targets = {name: Target(**one) for name, one in place.pop("targets").items()}
injector = ClusterInjector(Kube.connect(KubeAccess(kubeconfig)), FaultPlace(targets=targets, **place), Path(folder))
print("go", flush=True)
fault = injector.inject(FaultRequest(**json.loads(request)))
print("active", flush=True)
fault.wait()
"""


ASKING = """
import json, sys, time, urllib.error, urllib.request
url, begun_s = sys.argv[1], time.monotonic()
try:
    with urllib.request.urlopen(url, timeout=float(sys.argv[2])) as reply:
        word = str(reply.status)
except urllib.error.HTTPError as error:
    word = str(error.code)
except OSError as error:
    reason = getattr(error, "reason", error)
    word = type(reason).__name__ if isinstance(reason, OSError) else str(reason)
print(json.dumps([word, time.monotonic() - begun_s]))
"""


class Visitor(Protocol):
    """Somebody inside the cluster's network who asks over new connections."""

    def ask(self, url: str, limit_s: float = 3.0) -> tuple[str, float]:
        """Status or name of the error, and seconds."""
        ...


class Neighbour:
    """From this machine, which is in that network."""

    def __init__(self, netns: Path) -> None:
        self._asked: queue.Queue[tuple[str, float]] = queue.Queue()
        self._told: queue.Queue[tuple[str, float]] = queue.Queue()
        threading.Thread(target=self._work, args=[netns], daemon=True).start()

    def _work(self, netns: Path) -> None:
        handle = os.open(netns, os.O_RDONLY)
        assert ctypes.CDLL(None).setns(handle, 0x40000000) == 0  # this thread alone
        while True:
            url, limit_s = self._asked.get()
            begun_s = time.monotonic()
            try:
                with urllib.request.urlopen(url, timeout=limit_s) as reply:
                    word = str(reply.status)
            except urllib.error.HTTPError as error:
                word = str(error.code)
            except OSError as error:
                reason = getattr(error, "reason", error)
                word = type(reason).__name__ if isinstance(reason, OSError) else str(reason)
            self._told.put((word, time.monotonic() - begun_s))

    def ask(self, url: str, limit_s: float = 3.0) -> tuple[str, float]:
        """See :class:`Visitor`."""
        self._asked.put((url, limit_s))
        return self._told.get()


@dataclass(frozen=True)
class Inhabitant:
    """From a pod of the entry, which no fault hits: for clusters whose network is not on this machine."""

    kube: Kube
    namespace: str

    def ask(self, url: str, limit_s: float = 3.0) -> tuple[str, float]:
        """See :class:`Visitor`; the seconds are those inside the pod."""
        (pod, *_) = self.kube.items(f"/api/v1/namespaces/{self.namespace}/pods", labels="app=front")
        argv = ["python3", "-c", ASKING, url, str(limit_s)]
        done = self.kube.execute(self.namespace, pod["metadata"]["name"], "front", argv, timeout_s=limit_s + 15)
        word, seconds = json.loads(done.output.strip().splitlines()[-1])
        return str(word), float(seconds)


@dataclass
class Shop:
    """A small app in a namespace of this module's own: an entry and a target."""

    cluster: Cluster
    kube: Kube
    namespace: str
    visitor: Visitor
    place: FaultPlace
    folder: Path
    workload: str = "Deployment"
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def injector(self, kube: Kube | None = None) -> ClusterInjector:
        """A new one, as a new start has it."""
        return ClusterInjector(kube or self.kube, self.place, self.folder)

    def request(self, kind: str, intensity: float = 1.0, *, placebo: bool = False, duration_s: float = DURATION_S) -> FaultRequest:
        """A fault with an id of its own."""
        return FaultRequest(f"{kind.replace('_', '-')}-{secrets.token_hex(3)}", kind, "web", intensity, duration_s, placebo)

    def limited(self, kind: str) -> Kube:
        """A login that may do what *kind* needs, and nothing else."""
        name = f"only-{kind.replace('_', '-')}"
        wanted = self.rights(kind)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": self.namespace}}
        for manifest in (account, *roles(name, wanted), *bindings(name, wanted, subject)):
            self.kube.apply(manifest)
        token = self.cluster.kubectl(f"--namespace={self.namespace}", "create", "token", name).strip()
        known = json.loads(self.cluster.kubectl("config", "view", "--raw", "--output=json"))
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps({**known, "users": [{"name": one["name"], "user": {"token": token}} for one in known["users"]]}))
        path.chmod(0o600)
        return Kube.connect(KubeAccess(str(path)))

    def rights(self, kind: str) -> frozenset[Permission]:
        """What *kind* is said to need for such a target."""
        return rights_of([kind], self.namespace, workloads=[f"{self.workload.lower()}s"])

    @property
    def web(self) -> ObjectRef:
        """The target's workload."""
        return ObjectRef("apps/v1", self.workload, self.namespace, "web")

    def pods(self) -> list[dict[str, Any]]:
        """The target's pods that are not being removed."""
        found = self.kube.items(f"/api/v1/namespaces/{self.namespace}/pods", labels="app=web")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def deployment(self) -> dict[str, Any]:
        """The target's workload as it is."""
        return self.kube.find(self.web) or {}

    def address(self, path: str = "/") -> str:
        """The first pod itself."""
        return f"http://{self.pods()[0]['status']['podIP']}:8080{path}"

    def service(self, path: str = "/") -> str:
        """The Service."""
        found = self.kube.find(ObjectRef("v1", "Service", self.namespace, "web")) or {}
        return f"http://{found['spec']['clusterIP']}{path}"

    def metric(self, name: str) -> float:
        """The newest value of a metric of the target's containers, by the kubelet, added up over its rows."""
        nodes = {pod["spec"].get("nodeName") for pod in self.pods()} - {None}
        text = "".join(self.kube.text(f"/api/v1/nodes/{node}/proxy/metrics/cadvisor") for node in sorted(nodes))
        row = re.compile(rf'^{name}{{(?=[^}}]*container="web")(?=[^}}]*namespace="{self.namespace}")[^}}]*}} (\S+)', re.MULTILINE)
        return sum(map(float, row.findall(text)))

    def as_before(self) -> list[str]:
        """What of the workload and the Service is not as at first, and what of ours is there."""
        refs = [self.web, ObjectRef("v1", "Service", self.namespace, "web")]
        found = [text for ref in refs for text in differences(self.before[str(ref)], self.kube.find(ref) or {"metadata": {}})]
        return found + self.ours()

    def ours(self) -> list[str]:
        """What of faults is there."""
        places = {"v1": ("pods", "serviceaccounts"), "batch/v1": ("jobs",), "rbac.authorization.k8s.io/v1": ("roles", "rolebindings")}
        found = []
        for version, names in places.items():
            root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
            for name in names:
                listed = self.kube.items(f"{root}/namespaces/{self.namespace}/{name}", labels="tidegauge.dev/part=fault")
                found += [f"{name}/{one['metadata']['name']}" for one in listed]
        return found


def manifests(namespace: str, workload: str = "Deployment") -> list[dict[str, Any]]:
    """Two workloads of the demo image, with a Service each; the entry is a Deployment."""
    found: list[dict[str, Any]] = []
    for name in ("front", "web"):
        labels = {"app": name}
        container = {
            "name": name,
            "image": NAMES["demo"],
            "imagePullPolicy": "Never",
            "args": ["app:app", "--host", "0.0.0.0", "--port", "8080", "--no-access-log"],
            "ports": [{"containerPort": 8080, "name": "http"}],
            "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "50Mi"}, "limits": {"cpu": "300m", "memory": "120Mi"}},
        }
        spec = {"terminationGracePeriodSeconds": 2, "containers": [container]}
        template = {"metadata": {"labels": labels}, "spec": spec}
        metadata = {"name": name, "namespace": namespace}
        body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        kind = workload if name == "web" else "Deployment"
        named = {"serviceName": name} if kind == "StatefulSet" else {}
        found.append({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {**body, **named}})
        ports = [{"port": 80, "targetPort": "http"}]
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}})
    return found


@contextmanager
def put_there(cluster: Cluster, folder: Path, workload: str) -> Iterator[Shop]:
    """An app in a namespace of its own, whose target is a *workload*; ready, and gone afterwards."""
    kube = Kube.connect(KubeAccess(str(cluster.kubeconfig)))
    namespace = MADE_UP.new("faults")
    visitor = Neighbour(cluster.netns) if cluster.ours else Inhabitant(kube, namespace)
    place = FaultPlace(namespace, "live", {"front": Target("front", entry=True), "web": Target("web")}, NAMES["demo"], NAMES["fault"])
    made = Shop(cluster, kube, namespace, visitor, place, folder, workload)
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        for manifest in manifests(namespace, workload):
            kube.create(manifest)
        eventually(lambda: made.deployment().get("status", {}).get("readyReplicas") == 1 and answers(made))
        made.before = {str(ref): kube.find(ref) or {} for ref in (made.web, ObjectRef("v1", "Service", namespace, "web"))}
        yield made
    finally:
        kube.delete(ObjectRef("v1", "Namespace", None, namespace))


@pytest.fixture(scope="module")
def shop(standing: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One app for all tests of this file: a fault that is left behind spoils the next one."""
    with put_there(standing(), tmp_path_factory.mktemp("faults"), "Deployment") as made:
        yield made


@pytest.fixture(scope="module")
def stateful(standing: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The same, its target a StatefulSet."""
    with put_there(standing(), tmp_path_factory.mktemp("stateful"), "StatefulSet") as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves a fault to the next one."""
    yield
    for name in {"shop", "stateful"} & set(request.fixturenames):
        revert_all(request.getfixturevalue(name).kube, request.getfixturevalue(name).folder)


def slow(shop: Shop, at_least_s: float) -> bool:
    """A new connection to the pod takes so long."""
    word, seconds = shop.visitor.ask(shop.address())
    return word == "200" and seconds >= at_least_s


def fails(shop: Shop, url: Callable[[], str], *words: str) -> bool:
    """A new connection fails in one of these ways."""
    return shop.visitor.ask(url(), 1.0)[0] in words


def used_cores(shop: Shop) -> float:
    """Over two looks of the kubelet."""
    first, begun_s = shop.metric("container_cpu_usage_seconds_total"), time.monotonic()
    eventually(lambda: shop.metric("container_cpu_usage_seconds_total") > first + 0.05, 10 if shop.cluster.ours else 40)
    return (shop.metric("container_cpu_usage_seconds_total") - first) / (time.monotonic() - begun_s)


def waiting_reasons(shop: Shop) -> list[str]:
    """Why containers of the target wait."""
    statuses = [status for pod in shop.pods() for status in pod["status"].get("containerStatuses") or ()]
    return [status["state"]["waiting"].get("reason", "") for status in statuses if "waiting" in status["state"]]


def lost(shop: Shop) -> bool:
    """One of many new connections had to be asked for again: that takes the kernel a second."""
    return any(shop.visitor.ask(shop.address(), 5.0)[1] > 0.9 for _ in range(12))


BY_KUBELET = ("cpu_starvation", "cpu_hog", "memory_hog", "memory_leak")
"""Seen in what the kubelet tells of containers."""
EFFECTS: dict[str, Callable[[Shop, set[str]], bool]] = {
    "cpu_starvation": lambda shop, _: shop.metric("container_spec_cpu_quota") <= 1000,
    "cpu_hog": lambda shop, _: used_cores(shop) > 0.15,
    "memory_hog": lambda shop, _: shop.metric("container_memory_rss") > 85 * MIB,
    "memory_leak": lambda shop, _: shop.metric("container_memory_rss") > 85 * MIB or restarted(shop, "OOMKilled"),
    "pod_kill": lambda shop, uids: not uids & {pod["metadata"]["uid"] for pod in shop.pods()},
    "service_outage": lambda shop, _: not shop.pods() and fails(shop, shop.service, "ConnectionRefusedError", "TimeoutError", "timed out"),
    "queue_not_consumed": lambda shop, _: not shop.pods(),
    "black_hole": lambda shop, _: fails(shop, shop.service, "ConnectionRefusedError") and shop.visitor.ask(shop.address())[0] == "200",
    "wrong_config": lambda shop, _: "CreateContainerConfigError" in waiting_reasons(shop),
    "latency": lambda shop, _: slow(shop, 0.75),
    "loss": lambda shop, _: lost(shop),
    "reset": lambda shop, _: fails(shop, shop.address, "ConnectionRefusedError", "ConnectionResetError"),
    "partition": lambda shop, _: fails(shop, shop.address, "TimeoutError", "timed out"),
    "pause": lambda shop, _: fails(shop, shop.address, "TimeoutError", "timed out"),
    "rollout": lambda shop, uids: bool({pod["metadata"]["uid"] for pod in shop.pods() if ready(pod)} - uids),
    "scale_out_in": lambda shop, _: len(shop.pods()) == 2,
}
"""What others than the injector see while a fault of full strength lasts."""


def ready(pod: dict[str, Any]) -> bool:
    """By its own condition."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())


def restarted(shop: Shop, reason: str) -> bool:
    """A container of the target ended for that reason, and was started again."""
    statuses = [status for pod in shop.pods() for status in pod["status"].get("containerStatuses") or ()]
    return any(((one.get("lastState") or {}).get("terminated") or {}).get("reason") == reason for one in statuses)


def quick(shop: Shop) -> bool:
    """The pod answers a new connection as before."""
    word, seconds = shop.visitor.ask(shop.address(), 0.5)
    return word == "200" and seconds < 0.35


def answers(shop: Shop) -> bool:
    """Both ways are open, and quick."""
    return all(word == "200" and seconds < 0.35 for word, seconds in (shop.visitor.ask(url()) for url in (shop.address, shop.service)))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_acts_is_seen_and_is_gone(shop: Shop, kind: str, ledger: Ledger):
    """
    By the API, the kubelet or a visitor; afterwards every touched object is what it was, and the target answers as before.

    The login may do what the kind is said to need, and nothing else.
    """
    attempt = ledger.begin(row=42, fault="a fault under the rights that its kind is said to need", where="cluster")
    used = seen_and_gone(shop, kind)
    attempt.survived(f"{used} rights used, all granted")


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "wrong_config"])
def test_a_fault_of_a_statefulset_acts_is_seen_and_is_gone(stateful: Shop, kind: str):
    """In the same way, and with the rights for StatefulSets."""
    seen_and_gone(stateful, kind)


def test_what_a_statefulset_does_not_recover_from_is_refused(stateful: Shop):
    """Its controller would wait for the broken pod for ever."""
    with pytest.raises(PreflightError, match="does not recover by itself from a pod that cannot start"):
        stateful.injector().inject(stateful.request("wrong_config"))
    assert stateful.as_before() == []


def lasting_s(shop: Shop, kind: str) -> float:
    """So long that what tells of it has looked twice: a kubelet of somebody else does that every 10 to 19 s."""
    if kind in BY_KUBELET and not shop.cluster.ours:
        return 60.0
    return 2 * DURATION_S if kind in ("memory_leak", "cpu_hog", "memory_hog", "loss") else DURATION_S


def seen_and_gone(shop: Shop, kind: str) -> int:
    """Inject *kind* under its smallest rights, see it, wait for its end, and find everything as before; how many rights it used."""
    limited = shop.limited(kind)
    uids = {pod["metadata"]["uid"] for pod in shop.pods()}
    duration_s = lasting_s(shop, kind)
    fault = shop.injector(limited).inject(asked := shop.request(kind, duration_s=duration_s))
    eventually(lambda: EFFECTS[kind](shop, uids), duration_s)
    receipt = fault.wait()

    assert receipt.verified
    assert shop.as_before() == []
    proof = json.loads((shop.folder / "journal" / f"{asked.id}.proof.json").read_text())
    assert proof["differences"] == []
    eventually(lambda: answers(shop), 10)
    assert kind != "memory_leak" or restarted(shop, "OOMKilled")
    assert {replace(one, name="") for one in limited.used} <= shop.rights(kind)
    return len(limited.used)


@pytest.mark.parametrize("kind", ["cpu_starvation", "cpu_hog", "memory_leak", "pod_kill", "black_hole", "wrong_config", "latency", "pause"])
def test_a_placebo_walks_the_whole_way_and_nothing_happens(shop: Shop, kind: str, ledger: Ledger):
    """The same pods answer as before, all the time, and no object is changed."""
    attempt = ledger.begin(row=28, fault="a fault that has no effect", where="cluster")
    uids = {pod["metadata"]["uid"] for pod in shop.pods()}
    quota = shop.metric("container_spec_cpu_quota")
    fault = shop.injector().inject(shop.request(kind, placebo=True, duration_s=2.0))

    assert shop.visitor.ask(shop.address())[0] == "200"
    assert shop.visitor.ask(shop.service())[0] == "200"
    assert shop.metric("container_spec_cpu_quota") == quota
    assert differences(shop.before[str(shop.web)], shop.deployment()) == ()
    assert fault.wait().verified
    assert {pod["metadata"]["uid"] for pod in shop.pods()} == uids
    assert shop.as_before() == []
    attempt.survived("0 pods touched, 0 objects changed")


@pytest.mark.parametrize("kind", ["cpu_starvation", "cpu_hog", "memory_leak", "latency", "partition", "pause", "wrong_config"])
def test_a_fault_ends_when_it_is_told_to(shop: Shop, kind: str):
    """Long before its stated end, and with nothing left either."""
    fault = shop.injector().inject(shop.request(kind, 0.5, duration_s=300.0))

    begun_s = time.monotonic()
    receipt = fault.wait(lambda: True)

    assert receipt.verified
    assert receipt.note == "it was asked to"
    assert (receipt.reverted or 0) - (receipt.revert_requested or 0) < PROMISE_S
    assert time.monotonic() - begun_s < 60
    assert shop.as_before() == []
    eventually(lambda: answers(shop), 10)


def on_node(fault: str) -> int:
    """The process of our pod on the node for that fault: this machine is the node."""
    word = f'"mark":"tidegauge-{fault}"'.encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_bytes():
                return int(path.parent.name)
        except OSError:
            continue
    raise LookupError(fault)


@pytest.mark.parametrize("kind", ["latency", "partition", "pause"])
def test_a_fault_of_a_node_ends_though_the_pod_there_is_killed(shop: Shop, kind: str, ledger: Ledger):
    """
    SIGKILL of the very process that does it: the kernel lets go, at once or at the stated end.

    What it left behind is taken away by a pod that only cleans.
    """
    shop.cluster.require_node()
    attempt = ledger.begin(row=25, fault="what would revert a fault on a node is killed", where="cluster")
    fault = shop.injector().inject(asked := shop.request(kind))
    assert EFFECTS[kind](shop, set())
    os.kill(on_node(asked.id), signal.SIGKILL)
    begun_s = time.monotonic()
    if kind == "partition":
        assert EFFECTS[kind](shop, set())  # the rule is the kernel's own
    eventually(lambda: quick(shop), 20)
    noted(f"{kind}, its pod on the node killed", time.monotonic() - begun_s)

    receipt = fault.wait()

    assert receipt.verified
    assert shop.as_before() == []
    proof = json.loads((shop.folder / "journal" / f"{asked.id}.proof.json").read_text())
    assert [name for name, said in proof["logs"].items() if name.endswith("-clean") and said[-1]["left"] == []]
    attempt.survived("0 false words of an end")


def test_what_the_cluster_would_not_let_in_is_refused_before_the_first_write(shop: Shop, ledger: Ledger):
    """A quota, and a namespace that takes no privileged pods; a guard is let in even by the strictest rules for pods."""
    attempt = ledger.begin(row=26, fault="a fault whose pods the cluster would not let in", where="cluster")
    namespace = ObjectRef("v1", "Namespace", None, shop.namespace)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tiny", "namespace": shop.namespace},
        "spec": {"hard": {"pods": "2"}},
    }
    enforce = "pod-security.kubernetes.io/enforce"
    shop.kube.create(quota)
    try:
        eventually(lambda: "used" in (shop.kube.find(ObjectRef.of(quota)) or {}).get("status", {}))
        with pytest.raises(PreflightError, match="exceeded quota: tiny"):
            shop.injector().inject(shop.request("service_outage"))
    finally:
        shop.kube.delete(ObjectRef.of(quota))
    try:
        shop.kube.patch(namespace, {"metadata": {"labels": {enforce: "restricted"}}})
        shop.injector().check(shop.request("service_outage"))
        with pytest.raises(PreflightError, match="violates PodSecurity"):
            shop.injector().inject(shop.request("latency"))
    finally:
        shop.kube.patch(namespace, {"metadata": {"labels": {enforce: None}}})

    assert shop.as_before() == []
    assert shop.injector().open_faults() == ()
    attempt.survived("mutating calls 0")


def killed(shop: Shop, request: FaultRequest, kubeconfig: Path) -> None:
    """Another process injects, and is killed once the fault is in effect."""
    place = {
        "namespace": shop.namespace,
        "run": shop.place.run,
        "guard_image": shop.place.guard_image,
        "node_image": shop.place.node_image,
        "targets": {"web": {"name": "web"}},
    }
    asked = {name: getattr(request, name) for name in ("id", "kind", "target", "intensity", "duration_s", "placebo")}
    argv = [sys.executable, "-c", RUNNER, str(kubeconfig), str(shop.folder), json.dumps(place), json.dumps(asked)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    words = [process.stdout.readline(), process.stdout.readline()]
    process.kill()
    _, told = process.communicate()
    assert words == [b"go\n", b"active\n"], told.decode()


def noted(kind: str, seconds: float) -> None:
    """Keep a measured figure."""
    FIGURES.parent.mkdir(exist_ok=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps({**known, kind: round(seconds, 2)}, indent=1, sort_keys=True) + "\n")


GONE: dict[str, Callable[[Shop], bool]] = {
    "service_outage": lambda shop: shop.deployment()["spec"]["replicas"] == 1,
    "cpu_starvation": lambda shop: all(
        one["resources"]["limits"]["cpu"] == "300m" for pod in shop.pods() for one in pod["spec"]["containers"]
    ),
    "black_hole": lambda shop: shop.visitor.ask(shop.service(), 0.5)[0] == "200",
    "wrong_config": lambda shop: "env" not in shop.deployment()["spec"]["template"]["spec"]["containers"][0],
    "cpu_hog": lambda shop: used_cores_now(shop) < 0.1,
    "latency": lambda shop: shop.visitor.ask(shop.address())[1] < 0.35,
    "partition": lambda shop: shop.visitor.ask(shop.address(), 0.5)[0] == "200",
    "pause": lambda shop: shop.visitor.ask(shop.address(), 0.5)[0] == "200",
}
"""How others see that it is over."""


def used_cores_now(shop: Shop) -> float:
    """Over a second and a half."""
    first, begun_s = shop.metric("container_cpu_usage_seconds_total"), time.monotonic()
    while time.monotonic() - begun_s < 1.5:
        time.sleep(0.1)
    return (shop.metric("container_cpu_usage_seconds_total") - first) / (time.monotonic() - begun_s)


@pytest.mark.parametrize("kind", list(GONE))
def test_a_fault_ends_though_everything_of_ours_is_killed(shop: Shop, kind: str, ledger: Ledger):
    """SIGKILL in the middle: the cluster ends it by itself, soon after its stated end; the next start finds it, and finds nothing left."""
    if kind == "cpu_hog":
        shop.cluster.require_node()  # the kubelet of somebody else looks too seldom to tell when it was over
    attempt = ledger.begin(row=23, fault="everything of ours is killed -9 during a fault", where="cluster")
    request = shop.request(kind, duration_s=DURATION_S)
    killed(shop, request, shop.cluster.kubeconfig)
    entry = shop.injector().open_faults()[0]
    acted_s = entry.wall_s("acknowledged") or 0.0

    eventually(lambda: GONE[kind](shop), 2 * (DURATION_S + PROMISE_S))

    seconds = time.time() - acted_s
    noted(kind, seconds)
    assert seconds >= DURATION_S - 1.5  # it did not end with its beginner
    assert [one.id for one in revert_all(shop.kube, shop.folder)] == [request.id]
    assert shop.as_before() == []
    eventually(lambda: answers(shop), 20)
    assert seconds <= DURATION_S + PROMISE_S
    attempt.survived(f"reverted {seconds:.1f} s after a fault of {DURATION_S:g} s began")
