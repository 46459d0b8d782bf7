"""What is up."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

from tests.live.artifacts import binaries
from tests.live.harness.layout import NAME, NODE, Layout
from tests.live.harness.processes import remembered

READY = "{.status.conditions[?(@.type=='Ready')].status} {.status.nodeInfo.kubeletVersion}"


@dataclass(frozen=True, slots=True)
class Status:
    """A cluster as it is now."""

    up: bool
    """The API answers and the node is Ready."""
    context: str
    version: str | None
    """Of Kubernetes, as the node says; None when it does not answer."""
    kubeconfig: str | None
    netns: str | None
    """A file for ``nsenter --net=``."""
    up_s: float | None
    """How long it took to come up."""
    processes: dict[str, int | None]
    """Pid of each program; None: it has ended."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return asdict(self)


def status(layout: Layout) -> Status:
    """Look at the cluster of *layout*."""
    known = remembered(layout) if layout.state.is_dir() else {}
    record = json.loads(layout.record.read_text()) if layout.record.is_file() else {}
    ready, version = _node(layout)
    return Status(
        up=bool(record) and ready,
        context=NAME,
        version=version,
        kubeconfig=str(layout.kubeconfig) if layout.kubeconfig.is_file() else None,
        netns=str(layout.netns) if layout.netns.exists() else None,
        up_s=record.get("up_s"),
        processes={name: process.pid if process.alive() else None for name, process in known.items()},
    )


def _node(layout: Layout) -> tuple[bool, str | None]:
    folder = binaries()
    if folder is None or not layout.kubeconfig.is_file():
        return False, None
    argv = [str(folder / "kubectl"), f"--kubeconfig={layout.kubeconfig}", f"--cache-dir={layout.data('kubectl')}", "--request-timeout=5s"]
    asked = subprocess.run([*argv, "get", "node", NODE, f"-o=jsonpath={READY}"], capture_output=True, text=True, check=False)
    words = asked.stdout.split()
    return (words[0] == "True", words[1]) if asked.returncode == 0 and len(words) == 2 else (False, None)
