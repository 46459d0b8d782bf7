"""A cluster that is none: a fake API server, with somebody who plays its pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.load.kube.api import PodPlace
from tests.kube.fake_api import FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with the namespace ``shop``."""
    with FakeApi() as running:
        yield running


@pytest.fixture
def place(api: FakeApi, tmp_path: Path) -> PodPlace:
    """The namespace ``shop`` on it."""
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))))
    return PodPlace(kube, "shop", "run-1", at_most_s=600.0)
