"""A fake API server, and an adapter that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.cluster.kube.parts import RUN, QuickClock
from tests.kube.fake_api import FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with the namespace ``shop``, in which a ServiceAccount and a ConfigMap are as everywhere."""
    with FakeApi() as running:
        running.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "shop"}})
        running.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": "shop"}})
        yield running


@pytest.fixture
def clock() -> QuickClock:
    """Waits for nothing."""
    return QuickClock()


@pytest.fixture
def kube(api: FakeApi, clock: QuickClock, tmp_path: Path) -> Kube:
    """An adapter that is logged in to :func:`api`."""
    return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)


@pytest.fixture
def provider(kube: Kube, clock: QuickClock) -> KubeProvider:
    """The app of a run in the namespace ``shop``, which is not the run's."""
    return KubeProvider(kube, Bounds(RUN, ("shop",)), patience_s=1.0, clock=clock)
