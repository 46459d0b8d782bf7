"""What the cluster of the tests leaves behind: its own, and not what is of another one that is up beside it. No cluster is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.live.harness.inventory import Inventory, added
from tests.live.harness.others import counted, states_in

OTHER = Path("/var/lib/other")
BEFORE = Inventory(
    ("/var/lib/dpkg",), ("/",), ("/sys/fs/cgroup/memory/user",), (), ("lo",), {"kernel/panic": "0", "net/ipv4/ip_forward": "0"}
)
OF_A_NODE = replace(
    BEFORE,
    paths=("/var/lib/dpkg", "/var/lib/other", "/var/lib/kubelet", "/var/lib/kubelet/pods", "/run/containerd/containerd.sock"),
    mounts=("/", "/var/lib/other/netns", "/run/netns/cni-1", "/var/lib/kubelet/pods/1/volumes/a"),
    cgroups=("/sys/fs/cgroup/memory/user", "/sys/fs/cgroup/memory/kubepods/pod1"),
    namespaces=("cni-1",),
    sysctls={"kernel/panic": "10", "net/ipv4/ip_forward": "0"},
)


def left(after: Inventory, *up: Path) -> list[str]:
    """What is told after a cluster was taken down."""
    return list(counted(added(BEFORE, after), up))


def test_what_is_of_another_cluster_is_not_left_by_ours():
    """Its folder, its network, and all that the one node of this machine has."""
    assert left(OF_A_NODE, OTHER) == []


def test_without_another_cluster_all_that_is_new_is_left():
    """Whatever it is called: it was not there before."""
    found = left(OF_A_NODE)

    assert len(found) == 10
    assert {"mount /var/lib/other/netns", "sysctl kernel/panic is 10, was 0"} <= set(found)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"paths": ("/var/lib/ours",)}, "path /var/lib/ours"),
        ({"paths": ("/var/lib/other2",)}, "path /var/lib/other2"),
        ({"mounts": ("/mnt/x",)}, "mount /mnt/x"),
        ({"cgroups": ("/sys/fs/cgroup/memory/ours",)}, "cgroup /sys/fs/cgroup/memory/ours"),
        ({"interfaces": ("cni0",)}, "interface cni0"),
        ({"sysctls": {"net/ipv4/ip_forward": "1"}}, "sysctl net/ipv4/ip_forward is 1, was 0"),
    ],
)
def test_what_no_node_has_is_ours_beside_another_cluster_too(more, told):
    """A name that only begins like the other's folder among it."""
    assert left(replace(BEFORE, **more), OTHER) == [told]


def test_clusters_that_are_up_are_known_by_the_marks_of_their_processes():
    """A variable that is called almost the same is none."""
    given = [[b"PATH=/bin", b"TIDEGAUGE_LIVE=/var/lib/a"], [b"TIDEGAUGE_LIVE=/var/lib/a"], [b"TIDEGAUGE_LIVE_CONTEXT=kind"], []]

    assert states_in([*given, [b"TIDEGAUGE_LIVE=/var/lib/b c"]]) == {Path("/var/lib/a"), Path("/var/lib/b c")}
