"""A real cluster, made and removed by commands: the tests' own, through the provider that users have for kind and the like."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.cluster.command.inventory import places
from tasks.cluster.command.provider import CommandProvider, inventory, remove
from tasks.cluster.config import CommandCluster
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.cluster.kube.parts import OTHER, RUN
from tests.live.conftest import ROOT, Machine, eventually
from tests.live.harness.layout import Layout
from tests.live.test_harness import changed, looks

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
COMMANDS = Path(__file__).with_name("cluster.yaml")
ENSURE = """
import sys
from pathlib import Path
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster
root, commands, name, run = sys.argv[1:]
CommandProvider(Path(root), CommandCluster(provider="command", namespace="shop", commands=commands, name=name)).ensure(run)
"""


@pytest.fixture
def provider(machine: Machine, tmp_path: Path) -> CommandProvider:
    """The cluster of this session's state folder, for a store of this test's own."""
    settings = CommandCluster(provider="command", namespace="shop", commands=str(COMMANDS), name=machine.state.name)
    return CommandProvider(tmp_path / "store", settings)


def test_a_cluster_is_made_used_and_removed_without_a_trace(bare, provider):
    """By whoever made it; another run that used it meanwhile leaves it."""
    before = looks()
    begun_s = time.monotonic()
    kubeconfig = provider.ensure(RUN)
    bare.ups_s.append(time.monotonic() - begun_s)
    version = Kube.connect(KubeAccess(str(kubeconfig))).version()
    also = provider.ensure(OTHER)
    left_by_other, still = provider.release(OTHER), bare.status()["up"]
    begun_s = time.monotonic()
    left = provider.release(RUN)
    bare.downs_s.append(time.monotonic() - begun_s)

    assert version.startswith("v1.36.")
    assert also == kubeconfig
    assert kubeconfig.parent.parent.parent == provider.root
    assert (left_by_other, still, left) == ((), True, ())
    assert changed(before) == {}
    assert inventory(provider.root) == ()
    assert not kubeconfig.exists()


def test_a_cluster_that_was_there_stays(machine, cluster, provider):
    """It is used, and neither written down nor removed."""
    kubeconfig = provider.ensure(RUN)

    assert Kube.connect(KubeAccess(str(kubeconfig))).version() == machine.seen["version"]
    assert provider.release(RUN) == ()
    assert machine.status()["up"]
    assert places(provider.root) == []


@pytest.mark.parametrize("reached", ["etcd", "kubelet"])
def test_a_killed_run_s_cluster_is_found_and_removed(bare, provider, reached):
    """Killed -9 while the cluster comes up: the store knows of it, and nothing of it is left."""
    before = looks()
    argv = [sys.executable, "-c", ENSURE, str(provider.root), str(COMMANDS), bare.state.name, RUN]
    making = subprocess.Popen(argv, cwd=ROOT)
    eventually(Layout(bare.state).pid_file(reached).exists)
    making.kill()
    making.wait()
    (found,) = inventory(provider.root)
    left = remove(provider.root, found)

    assert (found.run, found.state) == (RUN, "making")
    assert left == ()
    assert changed(before) == {}
    assert inventory(provider.root) == ()
