"""A town on the fake API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.faults.kube.town import Town
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An entry and one target, and everything that lives around them."""
    clock = QuickClock()
    with FakeApi() as api:
        kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)
        made = Town(api, kube, clock, tmp_path / "state")
        yield made
        made.swept.set()
