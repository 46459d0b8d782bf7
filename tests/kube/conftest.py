"""A fake API server, and an adapter that talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.kube.fake_api import FakeApi


@dataclass
class QuickClock:
    """A clock that goes on by what is slept, without waiting."""

    now_s: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], None] = lambda _: None

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return self.now_s

    def monotonic_s(self) -> float:
        """The same."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Be later at once."""
        self.slept.append(seconds)
        self.now_s += seconds
        self.on_sleep(seconds)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with the namespace ``shop``."""
    with FakeApi() as running:
        yield running


@pytest.fixture
def clock() -> QuickClock:
    """Waits for nothing."""
    return QuickClock()


@pytest.fixture
def kube(api: FakeApi, clock: QuickClock, tmp_path: Path) -> Kube:
    """An adapter that is logged in to :func:`api`."""
    return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")), auth_wait_s=20), clock=clock)
