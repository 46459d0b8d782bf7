"""
The Job controller and the kubelet of a fake API server: Jobs become pods, and pods are played by somebody.

A pod that is asked to end lingers until its player has ended; one that is lost comes back with its number.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tasks.load.kube.manifests import CONTAINER, HOME, NUMBER, ROLE
from tests.kube.fake_api import FakeApi
from tests.load.kube.robot import Robot

FINALIZER = "tidegauge.test/kubelet"
POLL_S = 0.02


class Player(Protocol):
    """Whoever plays one pod."""

    def end(self) -> None:
        """Asked to end; may be asked again."""

    def kill(self) -> None:
        """Ended at once."""

    @property
    def exit_code(self) -> int | None:
        """None: it is still at work."""


Casting = Callable[[dict[str, Any], list[bytes]], Player]
"""Starts the player of a pod, who writes into that log."""


@dataclass
class Kubelet:
    """At work inside a ``with`` block."""

    api: FakeApi
    namespace: str
    cast: Casting
    players: dict[str, Player] = field(default_factory=dict)
    """By name of the pod; those that are gone stay."""
    waiting: dict[str, str] | None = None
    """Why containers do not start; None: they do."""
    born: int = 0
    """Pods so far; each has its number at the end of its name."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Kubelet:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for player in self.players.values():
            player.kill()

    def pods(self) -> list[dict[str, Any]]:
        """Those that are there."""
        return copy.deepcopy(self.api.all("Pod", self.namespace))

    def worker(self, number: int) -> str:
        """Name of the pod of a worker."""
        return next(pod["metadata"]["name"] for pod in self.pods() if f"-workers-{number}-" in pod["metadata"]["name"])

    def lose(self, name: str) -> None:
        """A pod vanishes, as when it is deleted without grace."""
        pod = self.api.object("Pod", name, self.namespace)
        assert pod is not None
        if name in self.players:
            self.players[name].kill()
        self._change(pod, finalizers=[])
        self.api.remove("Pod", name, self.namespace)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            for job in self.api.all("Job", self.namespace):
                self._staff(job)
            for pod in self.pods():
                self._look_after(pod)

    def _staff(self, job: dict[str, Any]) -> None:
        for index in range(job["spec"]["completions"]):
            begins = f"{job['metadata']['name']}-{index}-"
            if any(pod["metadata"]["name"].startswith(begins) for pod in self.pods()):
                continue
            self.born += 1
            template, name = job["spec"]["template"], f"{begins}{self.born}"
            metadata = {"name": name, "namespace": self.namespace, "labels": template["metadata"]["labels"], "finalizers": [FINALIZER]}
            metadata["annotations"] = {NUMBER: str(index)}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], "nodeName": f"node{index}"}}
            if self.waiting is not None:
                self.api.put({**pod, "status": status("Pending", 0, {"waiting": self.waiting})})
                continue
            self.players[name] = self.cast(pod, self.api.logs.setdefault((self.namespace, name, CONTAINER), []))
            self.api.put({**pod, "status": status("Running", 0, {"running": {}})})

    def _look_after(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        player = self.players.get(name)
        if "deletionTimestamp" in pod["metadata"]:
            if player is not None:
                player.kill() if self._at_once(name) else player.end()
            if player is None or player.exit_code is not None:
                self._change(pod, finalizers=[])
        elif player is not None and player.exit_code is not None and pod["status"]["phase"] == "Running":
            self._ended(pod, name, player.exit_code)

    def _at_once(self, name: str) -> bool:
        """Whether somebody has asked for the pod's end without grace."""
        return any(json.loads(seen.body).get("gracePeriodSeconds") == 0 for seen in self.api.asked(f"/pods/{name}", "DELETE"))

    def _ended(self, pod: dict[str, Any], name: str, code: int) -> None:
        if code == 0:
            pod["status"] = status("Succeeded", 0, {"terminated": {"exitCode": 0}})
        else:
            self.players[name] = self.cast(pod, self.api.logs[self.namespace, name, CONTAINER])
            restarts = pod["status"]["containerStatuses"][0]["restartCount"] + 1
            pod["status"] = status("Running", restarts, {"running": {}}, {"terminated": {"exitCode": code}})
        self._change(pod)

    def _change(self, pod: dict[str, Any], **metadata: Any) -> None:
        fresh = self.api.object("Pod", pod["metadata"]["name"], self.namespace)
        if fresh is not None:
            self.api.put({**fresh, "status": pod["status"], "metadata": {**fresh["metadata"], **metadata}})


def status(phase: str, restarts: int, state: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A pod's status."""
    return {"phase": phase, "containerStatuses": [{"name": CONTAINER, "restartCount": restarts, "state": state, "lastState": last or {}}]}


@dataclass
class Process:
    """A pod played by a process of this machine, with what the pod would have been given."""

    child: subprocess.Popen[bytes]

    @classmethod
    def casting(cls, api: FakeApi, folder: Path) -> Casting:
        """Plays every pod with the program that its image would start."""

        def cast(pod: dict[str, Any], log: list[bytes]) -> Process:
            number = pod["metadata"]["annotations"][NUMBER]
            container = pod["spec"]["containers"][0]
            home = folder / f"{pod['metadata']['name']}-{len(log)}"
            unpack(api, pod, home)
            environment = {item["name"]: item["value"].replace(HOME, str(home)) for item in container["env"]} | {"HOME": str(home)}
            arguments = ["127.0.0.1" if word.endswith(".svc") else word for word in container["args"]]
            child = subprocess.Popen(
                [sys.executable, "-m", "locust", *arguments],
                cwd=home,
                env={"PATH": os.environ["PATH"], "JOB_COMPLETION_INDEX": number, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            threading.Thread(target=pump, args=(child, api, log), daemon=True).start()
            return cls(child)

        return cast

    def end(self) -> None:
        """Asked once, by the signal that a kubelet sends."""
        if self.child.poll() is None and not getattr(self, "_asked", False):
            self._asked = True
            self.child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """As without grace."""
        self.child.kill()

    @property
    def exit_code(self) -> int | None:
        """Its own, or as a shell tells the signal that killed it."""
        code = self.child.poll()
        return code if code is None or code >= 0 else 128 - code


def unpack(api: FakeApi, pod: Mapping[str, Any], home: Path) -> None:
    """The files of the pod's ConfigMap."""
    volume = pod["spec"]["volumes"][0]["configMap"]
    found = api.object("ConfigMap", volume["name"], pod["metadata"]["namespace"])
    assert found is not None
    for item in volume["items"]:
        path = home / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["data"][item["key"]])


def pump(child: subprocess.Popen[bytes], api: FakeApi, log: list[bytes]) -> None:
    """From a process's output into a log."""
    assert child.stdout is not None
    for line in child.stdout:
        with api.objects.changed:
            log.append(line.rstrip(b"\n"))
            api.objects.changed.notify_all()


@dataclass
class Act:
    """A pod played by a robot, which has begun at once and says what a test has it say."""

    robot: Robot
    log: list[bytes]
    exit_code: int | None = None
    begins_s: float = 0.0

    @classmethod
    def casting(cls, workers: int) -> Casting:
        """Plays every pod; the load began at the whole second in which this was called."""
        begins_s = float(int(time.time()))

        def cast(pod: dict[str, Any], log: list[bytes]) -> Act:
            act = cls(Robot(int(pod["metadata"]["annotations"][NUMBER]), workers), log, begins_s=begins_s)
            if pod["metadata"]["labels"][ROLE] == "worker":
                log.append(act.robot.begin(begins_s))
            return act

        return cast

    def works(self, second: int) -> None:
        """It has logged *second* of the load."""
        self.log.append(self.robot.second(int(self.begins_s) + second))

    def end(self) -> None:
        """It says that it has ended in order, and lingers until it is killed."""
        if not self.robot.over:
            self.log.append(self.robot.end())

    def kill(self) -> None:
        """Without a word."""
        self.exit_code = 137
