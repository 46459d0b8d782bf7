"""The network namespace of the cluster: its node's address, its routes, and how pods get theirs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from tasks.base.errors import TidegaugeError
from tests.live.harness.layout import NAME, NODE_IP, POD_NET, SERVICE_NET, Layout
from tests.live.harness.processes import inside

NODE_LINK = "node0"
SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.route_localnet=1", "net.bridge.bridge-nf-call-iptables=1")
COMMANDS = (
    ("ip", "link", "set", "lo", "up"),
    ("ip", "link", "add", NODE_LINK, "type", "bridge"),  # without ports; not every kernel has dummy links
    ("ip", "address", "add", f"{NODE_IP}/32", "dev", NODE_LINK),
    ("ip", "link", "set", NODE_LINK, "up"),
    ("ip", "route", "add", SERVICE_NET, "dev", NODE_LINK),  # so that what runs on the node reaches services, too
    ("ip", "route", "add", "unreachable", "default"),  # no way out: a pull or a foreign name fails at once, and never hangs
    *(("sysctl", "-qw", setting) for setting in SYSCTLS),
)


def make(layout: Layout) -> None:
    """The namespace, kept by a mount in the state folder, and everything in it that pods build upon."""
    layout.netns.touch()
    _run(["unshare", f"--net={layout.netns}", "true"])
    for command in COMMANDS:
        _run(inside(layout, command))
    layout.config("cni").mkdir()
    layout.config("cni/10-cluster.conflist").write_text(pod_network(layout))
    layout.config("resolv.conf").write_text("")


def pod_network(layout: Layout) -> str:
    """The CNI configuration: a bridge, addresses of the node's range, host ports."""
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.data("addresses")),
        "ranges": [[{"subnet": POD_NET}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "ipam": addresses}
    host_ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return json.dumps({"cniVersion": "0.4.0", "name": NAME, "plugins": [bridge, host_ports]}, indent=1)


def _run(argv: Sequence[str]) -> None:
    ran = subprocess.run(list(argv), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise TidegaugeError(f"{' '.join(argv)}: {ran.stderr.strip() or f'ended with {ran.returncode}'}")
