"""The output of the app's pods: fetched where it can be, and never in the way of what has to be removed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.kube.labels import run_labels
from tasks.recordings.kube.deployed import KubeDeployed
from tests.cluster.kube.parts import RUN
from tests.kube.fake_api import FakeApi
from tests.recordings.kube.deployments import deployed_in

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "carts-1", "namespace": "shop", "labels": run_labels(RUN, "app")}}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server on which a run has a pod with two containers."""
    with FakeApi() as running:
        running.put({**POD, "spec": {"containers": [{"name": "carts"}, {"name": "proxy"}]}})
        running.logs["shop", "carts-1", "carts"] = [b"one", b"two"]
        running.logs["shop", "carts-1", "proxy"] = [b"three"]
        yield running


@pytest.fixture
def said() -> list[str]:
    """What is told while it is taken down."""
    return []


@pytest.fixture
def deployed(api: FakeApi, said: list[str], tmp_path: Path) -> KubeDeployed:
    """The run's deployment."""
    return deployed_in(api, tmp_path, "shop", say=said.append)


def test_each_container_has_its_file(deployed: KubeDeployed, api: FakeApi):
    """One that cannot be read says why; the others are there."""
    api.fail_next(404, times=1, path="/log")

    assert deployed.down() == []
    kept = {path.name: gzip.decompress(path.read_bytes()) for path in (deployed.state_dir / "logs").iterdir()}
    assert kept["carts-1.carts.log.gz"].startswith(b"[tidegauge: not read: ")
    assert kept["carts-1.proxy.log.gz"] == b"three\n"
    assert api.all("Pod", "shop") == []


def test_output_that_cannot_be_written_leaves_nothing_in_the_cluster(deployed: KubeDeployed, api: FakeApi, said: list[str]):
    """A disk that takes nothing any more: it is told, and everything is removed all the same."""
    (deployed.state_dir / "logs").write_text("in the way")

    assert deployed.down() == []
    assert api.all("Pod", "shop") == api.all("Lease", "shop") == []
    assert [text for text in said if text.startswith("the output of the pods is not kept: cannot write ")]
