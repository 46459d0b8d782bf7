"""Where a cluster keeps its files, and the addresses inside its network namespace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAME = "tidegauge-live"
"""Of the cluster, and of its context."""
NODE = "node1"
NODE_IP = "10.245.0.1"
POD_NET = "10.244.0.0/24"
SERVICE_NET = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
"""The default one: with any other, cAdvisor's rows have neither pod nor namespace."""
CNI_PROGRAMS = Path("/usr/lib/cni")
DEFAULT_STATE = Path("/var/lib") / NAME
LONGEST_STATE = 60
"""Bytes; the kubelet puts Unix sockets below it, whose paths may have no more than 107."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one cluster; all of it is removed in the end."""

    state: Path

    @property
    def inventory(self) -> Path:
        """What there was before; the first file to be written and the last to go."""
        return self.state / "inventory.json"

    @property
    def record(self) -> Path:
        """What came up, and how long it took; written at the end of ``up``."""
        return self.state / "up.json"

    @property
    def netns(self) -> Path:
        """The network namespace, as a file that ``nsenter --net=`` takes."""
        return self.state / "netns"

    @property
    def kubeconfig(self) -> Path:
        """For programs of this machine: through loopback."""
        return self.state / "kubeconfig"

    def pki(self, name: str) -> Path:
        """A key or certificate."""
        return self.state / "pki" / name

    def config(self, name: str) -> Path:
        """A configuration file."""
        return self.state / "config" / name

    def data(self, name: str) -> Path:
        """The folder in which a program keeps what it wants to."""
        return self.state / "data" / name

    def log(self, name: str) -> Path:
        """What a program printed."""
        return self.state / "log" / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        """Pid and start time of a program."""
        return self.state / "pid" / name

    def make_folders(self) -> None:
        """The folders of the files above."""
        for name in ("pki", "config", "data", "log", "pid"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        (self.state / "pki").chmod(0o700)
