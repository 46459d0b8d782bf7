"""
A namespace on the fake API server in which things happen as on a real cluster.

Deployments and StatefulSets get pods, Jobs run their guards, pods on nodes say what they do. It knows nothing of faults but the words that our
programs say.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tasks.faults.kube.deciding import FaultPlace
from tasks.faults.kube.injector import ClusterInjector
from tasks.faults.kube.inner import MARK
from tasks.faults.kube.kind import ClusterAim, NodeAccess
from tasks.faults.kube.looking import look
from tasks.faults.kube.naming import fault_labels
from tasks.faults.kube.target import KINDS, Found, Target
from tasks.faults.preflight import FaultRequest
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.objects import Key
from tests.kube.programs import Ended, Started

NAMESPACE = "shop"
RUN = "r1"
FORMS = {"Deployment": "pod-template-hash", "StatefulSet": "controller-revision-hash"}
"""The label by which pods of a rollout are known."""
MADE = ("Pod", "Job", "ServiceAccount", "Role", "RoleBinding")
LOOKED = "processors 2\nused_kib 40960\nlargest_kib 30720\nfree_kib 8388608\ndead 0\n"


def line(word: str, wall_s: float, **facts: Any) -> bytes:
    """A line of a log, as our programs say it."""
    return json.dumps({"said": word, "wall_s": wall_s, **facts}).encode()


def deployment(name: str, replicas: int = 1, **container: Any) -> dict[str, Any]:
    """A Deployment of pods with limits."""
    labels = {"app": name}
    limits = {"requests": {"cpu": "50m", "memory": "50Mi"}, "limits": {"cpu": "300m", "memory": "120Mi"}}
    ports = [{"containerPort": 8080, "name": "http"}]
    made = {"name": name, "image": "x.test/demo:1", "ports": ports, "resources": limits, **container}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [made]}}
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "strategy": strategy, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def stateful(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    """The same as a StatefulSet; *spec* is added to its own."""
    made = deployment(name, replicas)
    own = {key: value for key, value in made["spec"].items() if key != "strategy"}
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    return {**made, "kind": "StatefulSet", "spec": {**own, "serviceName": name, "updateStrategy": update, **spec}}


def service(name: str) -> dict[str, Any]:
    """A Service to the pods of that name."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}], "clusterIP": "10.0.0.1"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def without_empty(item: dict[str, Any]) -> dict[str, Any]:
    """As the server keeps it: no empty lists of variables, no empty notes."""
    copy = json.loads(json.dumps(item))
    if copy["spec"]["template"]["metadata"].get("annotations") == {}:
        del copy["spec"]["template"]["metadata"]["annotations"]
    for container in copy["spec"]["template"]["spec"]["containers"]:
        if container.get("env") == []:
            del container["env"]
    return copy


@dataclass
class Town:
    """The namespace, its life, and a way to inject faults into it."""

    api: FakeApi
    kube: Kube
    clock: QuickClock
    folder: Path
    targets: Mapping[str, Target] = field(default_factory=lambda: {"front": Target("front", entry=True), "carts": Target("carts")})
    guards: str = "armed"
    """What guards say; ``never`` starts none, ``ErrImagePull`` leaves their containers waiting."""
    resizes: bool = True
    """Whether the API has pods/resize."""
    node_said: Callable[[Town], list[bytes]] = lambda town: [line("effective", town.clock.now_s)]
    """What our pods on nodes say once they run."""
    cleaner_left: list[str] = field(default_factory=list)
    """What a pod that cleans could not clean."""
    hogs: dict[str, int] = field(default_factory=dict)
    """Pod -> living processes of a script."""
    dead: int = 0
    """Dead processes in each container."""
    numbers: int = 0

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        """One on a server of its own, whose files lie in *folder*."""
        clock = QuickClock()
        with FakeApi() as api:
            kube = Kube.connect(KubeAccess(str(api.kubeconfig(folder / "kubeconfig"))), clock=clock)
            made = cls(api, kube, clock, folder / "state")
            yield made
            made.swept.set()

    def __post_init__(self) -> None:
        """Let everything live, and deploy the app."""
        self.api.control(self.changed)
        self.api.run = self.execute
        self.swept = threading.Event()
        delete = self.api.objects.delete

        def deleted(key: Key) -> dict[str, Any]:
            item = delete(key)
            self.gone(item)
            return item

        self.api.objects.delete = deleted  # type: ignore[method-assign]
        if self.resizes:
            names = [(one.plural, one.kind, one.namespaced) for one in self.api.kinds if one.api_version == "v1"]
            every = [*names, ("pods/resize", "Pod", True)]
            resources = [{"name": name, "kind": kind, "namespaced": inside} for name, kind, inside in every]
            self.api.texts["/api/v1"] = json.dumps({"kind": "APIResourceList", "resources": resources})
        for name, target in self.targets.items():
            self.api.put(deployment(name, target.replicas))
            self.api.put(service(name))
        self.before = self.state()

    # -- life ------------------------------------------------------------------------------------------------------------------

    def changed(self, item: dict[str, Any]) -> None:
        """What follows when an object was made or changed."""
        if item["kind"] in KINDS:
            self._pods_of(item) if without_empty(item) == item else self.api.put(without_empty(item))
        elif item["kind"] == "Job":
            self._guard_of(item)
        elif item["kind"] == "Pod" and item["spec"].get("hostPID"):
            self._node_pod(item)
        elif item["kind"] == "Pod" and "containers" in item["spec"]:
            self._kubelet(item)

    def gone(self, item: dict[str, Any]) -> None:
        """What follows when one was removed."""
        owner = (item["metadata"].get("labels") or {}).get("app") if item["kind"] == "Pod" else None
        for kind in KINDS:
            if owner and (found := self.api.object(kind, owner, NAMESPACE)):
                self._pods_of(found)

    def _pods_of(self, item: dict[str, Any]) -> None:
        kind, name, template = item["kind"], item["metadata"]["name"], item["spec"]["template"]
        form = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        pods = [pod for pod in self.api.all("Pod", NAMESPACE) if (pod["metadata"].get("labels") or {}).get("app") == name]
        kept = [pod for pod in pods if pod["metadata"]["labels"].get(FORMS[kind]) == form]
        for pod in [*(pod for pod in pods if pod not in kept), *kept[item["spec"]["replicas"] :]]:
            self.api.remove("Pod", pod["metadata"]["name"], NAMESPACE)
        for _ in range(item["spec"]["replicas"] - len(kept)):
            self._new_pod(kind, name, form, template)
        there = [pod for pod in self.api.all("Pod", NAMESPACE) if (pod["metadata"].get("labels") or {}).get("app") == name]
        serve = sum(pod["status"]["conditions"][0]["status"] == "True" for pod in there)
        counts = {"replicas": len(there), "updatedReplicas": len(there), "readyReplicas": serve, "availableReplicas": serve}
        latest = self.api.object(kind, name, NAMESPACE) or item
        self.api.put({**latest, "status": {**counts, "observedGeneration": latest["metadata"]["generation"]}})

    def _new_pod(self, kind: str, name: str, form: str, template: Mapping[str, Any]) -> None:
        self.numbers += 1
        taken = {pod["metadata"]["name"] for pod in self.api.all("Pod", NAMESPACE)}
        ordinal = next(f"{name}-{number}" for number in range(len(taken) + 1) if f"{name}-{number}" not in taken)
        wrong = any("valueFrom" in one for container in template["spec"]["containers"] for one in container.get("env") or ())
        stable = kind == "StatefulSet"
        owner = {"kind": kind if stable else "ReplicaSet", "name": name if stable else f"{name}-{form}", "controller": True, "uid": "none"}
        labels = {**template["metadata"]["labels"], FORMS[kind]: form}
        metadata = {
            "name": ordinal if stable else f"{name}-{form}-{self.numbers}",
            "namespace": NAMESPACE,
            "labels": labels,
            "ownerReferences": [owner],
        }
        metadata["annotations"] = template["metadata"].get("annotations") or {}
        state = {"waiting": {"reason": "CreateContainerConfigError"}} if wrong else {"running": {}}
        statuses = [
            {"name": one["name"], "containerID": f"containerd://c{self.numbers}", "state": state} for one in template["spec"]["containers"]
        ]
        status = {"phase": "Running", "podIP": "10.1.0.7", "containerStatuses": statuses}
        status["conditions"] = [{"type": "Ready", "status": "False" if wrong else "True"}]
        spec = {**template["spec"], "nodeName": "n1"}
        self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})

    def _kubelet(self, item: dict[str, Any]) -> None:
        """Limits that are asked for come into force."""
        limits = {one["name"]: one.get("resources", {}) for one in item["spec"]["containers"]}
        statuses = (item.get("status") or {}).get("containerStatuses") or []
        if any(one.get("resources") != limits[one["name"]] for one in statuses if limits.get(one["name"])):
            fresh = [{**one, "resources": limits[one["name"]]} for one in statuses]
            self.api.put({**item, "status": {**item["status"], "containerStatuses": fresh}})

    def _guard_of(self, item: dict[str, Any]) -> None:
        metadata, spec = item["metadata"], item["spec"]
        name = f"{metadata['name']}-pod"
        if spec.get("suspend"):
            if self.api.object("Pod", name, NAMESPACE):
                self.api.remove("Pod", name, NAMESPACE)
            return
        if self.api.object("Pod", name, NAMESPACE) or self.guards == "never":
            return
        state: dict[str, Any] = {"running": {}}
        if self.guards == "armed":
            self.api.logs[NAMESPACE, name, "guard"] = [line("armed", self.clock.now_s)]
        elif self.guards != "silent":
            state = {"waiting": {"reason": self.guards, "message": "it is not there"}}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        labels = {**spec["template"]["metadata"]["labels"], "job-name": metadata["name"]}
        status = {"phase": "Running", "containerStatuses": [{"name": "guard", "state": state}]}
        made = {"name": name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [owner]}
        self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": {}, "status": status})

    def _node_pod(self, item: dict[str, Any]) -> None:
        """One that acts says so; one that is told to end, or only cleans, ends."""
        name = item["metadata"]["name"]
        lines = self.api.logs.setdefault((NAMESPACE, name, "node"), [])
        cleans = name.endswith("-clean")
        if not lines and not cleans:
            lines += self.node_said(self)
        if (cleans or item["spec"]["activeDeadlineSeconds"] == 1) and (item.get("status") or {}).get("phase") != "Succeeded":
            if cleans or not any(b'"over"' in one for one in lines):
                lines.append(line("over", self.clock.now_s, why="told to", left=self.cleaner_left if cleans else []))
            self.api.put({**item, "status": {"phase": "Succeeded"}})
        elif "status" not in item:
            self.api.put({**item, "status": {"phase": "Running"}})

    def execute(self, started: Started) -> Ended:
        """A shell that knows our scripts by their last arguments."""
        text, pod = started.argv[2], started.pod
        if "MemAvailable" in text:
            return Ended(0, LOOKED)
        if text.startswith(f": {MARK}"):
            self.hogs[pod] = int(started.argv[4]) + 1
            self.swept.wait(20)
            self.hogs.pop(pod, None)
            return Ended(0)
        if "kill " in text:
            self.hogs.pop(pod, None)
            self.swept.set()
            return Ended(0, "dead 0\n")
        return Ended(0, "".join(f"process {number}\n" for number in range(self.hogs.get(pod, 0))) + f"dead {self.dead}\n")

    # -- faults ----------------------------------------------------------------------------------------------------------------

    def place(self, **changes: Any) -> FaultPlace:
        """Where faults are injected."""
        settings = {
            "namespace": NAMESPACE,
            "run": RUN,
            "targets": self.targets,
            "guard_image": "x.test/demo:1",
            "node_image": "x.test/fault:1",
        }
        return FaultPlace(**{**settings, **changes})

    def injector(self, kube: Any = None, **changes: Any) -> ClusterInjector:
        """A new one, as a new start has it."""
        return ClusterInjector(kube or self.kube, self.place(**changes), self.folder, self.clock)

    def request(
        self,
        kind: str,
        *,
        target: str = "carts",
        intensity: float = 1.0,
        placebo: bool = False,
        fault: str = "t001",
        duration_s: float = 3.0,
    ) -> FaultRequest:
        """A fault of some seconds."""
        return FaultRequest(fault, kind, target, intensity, duration_s, placebo)

    def found(self, name: str = "carts") -> Found:
        """A target as it is now."""
        return look(self.kube, NAMESPACE, self.targets[name])

    def aim(self, *, intensity: float = 1.0, placebo: bool = False, name: str = "carts", **more: Any) -> ClusterAim:
        """What a kind may know."""
        node = NodeAccess("x.test/fault:1", fault_labels(RUN, "t001"))
        return ClusterAim("t001", self.found(name), intensity, placebo, 8.0, node=node, **more)

    def state(self) -> dict[str, Any]:
        """What matters of the app: nothing of it may be another after a fault."""
        kept = {}
        for kind in (*KINDS, "Service"):
            for item in self.api.all(kind, NAMESPACE):
                kept[f"{kind}/{item['metadata']['name']}"] = item["spec"]
        for pod in self.api.all("Pod", NAMESPACE):
            if "app" in (pod["metadata"].get("labels") or {}):
                kept.setdefault(f"pods of {pod['metadata']['labels']['app']}", []).append([pod["spec"], pod["status"]["conditions"]])
        return json.loads(json.dumps(kept))

    def ours(self) -> list[str]:
        """What of faults is there."""
        found = [item for kind in MADE for item in self.api.all(kind, NAMESPACE)]
        return [
            f"{one['kind']}/{one['metadata']['name']}" for one in found if "tidegauge.dev/fault" in (one["metadata"].get("labels") or {})
        ]


class Killed(BaseException):
    """As if the process had ended here."""


class Mortal:
    """An adapter whose owner is killed at its *lives*-th request: nothing it does afterwards reaches the server."""

    def __init__(self, kube: Any, lives: int) -> None:
        self.kube, self.lives = kube, lives

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.kube, name)
        if name in ("server", "path_of"):
            return found

        def call(*given: Any, **how: Any) -> Any:
            self.lives -= 1
            if self.lives < 0:
                raise Killed
            return found(*given, **how)

        return call
