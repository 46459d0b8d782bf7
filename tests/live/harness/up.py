"""
Bring a cluster up, from nothing to a Ready node with names.

Whatever an earlier ``up`` left is taken down first; when it fails, what it started is taken down again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.errors import LeftBehindError, TidegaugeError
from tasks.base.files import write_atomically
from tasks.base.process import ProcessId
from tests.live.harness import network, pki, programs
from tests.live.harness.down import down
from tests.live.harness.inventory import take
from tests.live.harness.layout import API_PORT, CONTAINERD_SOCKET, DNS_SERVICE_IP, NAME, NODE, Layout
from tests.live.harness.preflight import Parts, require
from tests.live.harness.processes import Program, inside, start
from tests.live.harness.waits import succeeds, until
from tests.live.images import ARCHIVE, read_recipe
from tests.live.own_images import OWN_ARCHIVE, built_own_images

FORWARDER = Path(__file__).with_name("forward.py")
DNS = Path(__file__).with_name("dns.yaml")
LINES_OF_A_LOG = 8
"""Told when a step fails."""


@dataclass(slots=True)
class Rise:
    """One cluster on its way up."""

    layout: Layout
    parts: Parts
    say: Callable[[str], None]
    begun_s: float = field(default_factory=time.monotonic)
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds after the beginning at which each step was done."""

    def all(self) -> None:
        """Every step, the runtime and its images beside the control plane."""
        network.make(self.layout)
        pki.make(self.layout)
        self.done("network and certificates")
        with ThreadPoolExecutor(1) as beside:
            runtime = beside.submit(self.runtime)
            self.control_plane()
            runtime.result()
        self.node()
        self.names()

    def runtime(self) -> None:
        """Containerd, and every image."""
        self.run(programs.containerd(self.layout, read_recipe().names()["pause"]))
        own = built_own_images(self.parts.images, self.say)  # a second at most, and only when the product's code has changed
        for archive in (self.parts.images / ARCHIVE, own / OWN_ARCHIVE):
            _must(["ctr", "-a", str(CONTAINERD_SOCKET), "-n", "k8s.io", "images", "import", str(archive)])
        self.done("images")

    def control_plane(self) -> None:
        """Store, API and what watches it; a way to the API from outside the namespace."""
        self.run(programs.etcd(self.layout, self.parts.binaries))
        self.run(programs.api_server(self.layout, self.parts.binaries))
        self.run(programs.controllers(self.layout, self.parts.binaries))
        self.run(programs.scheduler(self.layout, self.parts.binaries))
        port = forwarded(self.layout, "api", f"127.0.0.1:{API_PORT}")
        self.layout.kubeconfig.touch(0o600)
        self.layout.kubeconfig.write_text(pki.kubeconfig(self.layout, "admin", f"https://127.0.0.1:{port}"))

    def node(self) -> None:
        """The node, until it is Ready and pods have an account to run under."""
        self.run(programs.kubelet(self.layout, self.parts.binaries))
        self.run(programs.proxy(self.layout, self.parts.binaries))
        self.kubectl_holds("node", "get", "node", NODE)
        self.kubectl_holds("node Ready", "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=20s")
        self.kubectl_holds("default account", "get", "serviceaccount", "default")

    def names(self) -> None:
        """The cluster's DNS."""
        text = DNS.read_text().replace("@image@", read_recipe().names()["coredns"]).replace("@address@", DNS_SERVICE_IP)
        _must([*self.kubectl(), "apply", "-f", "-"], given=text)
        self.kubectl_holds("names", "--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=20s")

    def run(self, program: Program) -> None:
        """Start a program and wait until it is ready."""
        process = start(self.layout, program)
        if program.ready is not None:
            ready = inside(self.layout, program.ready) if program.inside else program.ready
            until(lambda: _alive(self.layout, program, process) and succeeds(ready), program.ready_within_s, f"{program.name} is ready")
        self.done(program.name)

    def kubectl(self) -> list[str]:
        """How kubectl is called."""
        return [
            str(self.parts.binaries / "kubectl"),
            f"--kubeconfig={self.layout.kubeconfig}",
            f"--cache-dir={self.layout.data('kubectl')}",
        ]

    def kubectl_holds(self, what: str, *arguments: str) -> None:
        """Wait until kubectl ends with 0."""
        until(lambda: succeeds([*self.kubectl(), *arguments]), 90, what)
        self.done(what)

    def done(self, step: str) -> None:
        """Note the time of a step."""
        self.steps[step] = round(time.monotonic() - self.begun_s, 2)
        self.say(f"{self.steps[step]:6.2f} s  {step}")


def up(layout: Layout, say: Callable[[str], None]) -> float:
    """
    Bring the cluster up, and write ``up.json``; the time it took, in seconds.

    Raises:
        PreflightError: Something that it needs is missing; nothing was started.
        LeftBehindError: An earlier one could not be taken down whole.
        TidegaugeError: A step failed; everything was taken down again.
    """
    if left := down(layout):
        raise LeftBehindError(f"an earlier cluster left behind: {'; '.join(left)}", next_step="remove these, then bring it up again")
    rise = Rise(layout, require(layout), say)
    before = take()
    layout.state.mkdir()
    write_atomically(layout.inventory, json.dumps(before.to_json()))
    layout.make_folders()
    try:
        rise.all()
        took_s = round(time.monotonic() - rise.begun_s, 2)
        write_atomically(layout.record, json.dumps({"context": NAME, "up_s": took_s, "steps": rise.steps}))
    except BaseException as error:
        if isinstance(error, TidegaugeError):
            _tell_logs(layout, say)  # they go with the rest
        down(layout)
        raise
    return took_s


def forwarded(layout: Layout, name: str, target: str) -> int:
    """
    A loopback port of this machine for *target* (``HOST:PORT`` inside the namespace), until the cluster is taken down.

    Args:
        layout: The cluster's folder.
        name: Of this way; a second call with it opens another one.
        target: An address, with a port; no name, since there is nobody to ask.

    Raises:
        TidegaugeError: The forwarder does not start.
    """
    port_file = layout.data(f"forward-{name}")
    port_file.unlink(missing_ok=True)
    argv = (sys.executable, "-I", str(FORWARDER), str(layout.netns), "0", target, str(port_file))
    start(layout, Program(f"forward-{name}", argv, inside=False))
    until(port_file.exists, 10, f"the way to {target}")
    return int(port_file.read_text())


def _alive(layout: Layout, program: Program, process: ProcessId) -> bool:
    if process.alive():
        return True
    raise TidegaugeError(f"{program.name} has ended before it was ready")


def _tell_logs(layout: Layout, say: Callable[[str], None]) -> None:
    for path in sorted(layout.log("*").parent.glob("*.log")):
        say(f"--- {path.name}")
        for line in path.read_text(errors="replace").splitlines()[-LINES_OF_A_LOG:]:
            say(f"    {line}")


def _must(argv: list[str], given: str | None = None) -> None:
    ran = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise TidegaugeError(f"{argv[0]} {' '.join(argv[-3:])}: {ran.stderr.strip()[-1000:]}")
