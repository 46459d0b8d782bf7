"""One suite for whoever injects faults: refuse before anything happens, one at a time, revert and verify."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tasks.base.errors import PreflightError
from tasks.faults.injecting import FaultInjector, LocalInjector
from tasks.faults.preflight import FaultRequest
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.faults.kube.town import Town
from tests.faults.small_shop import SmallShop
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi


@dataclass(frozen=True)
class Subject:
    """An injector, and a fault that it can do."""

    injector: FaultInjector
    request: FaultRequest
    journal: Path
    entry: str
    """The entry service."""


class FaultInjectorContract:
    """An injector's test class inherits this and says how to make one, on a deployment that runs."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """A deployment of its own."""
        raise NotImplementedError

    def test_what_cannot_be_done_is_refused_and_leaves_nothing(self, subject: Subject):
        """By every verb; nothing is journalled."""
        wrong = [{"kind": "laziness"}, {"target": "nobody"}, {"target": subject.entry}, {"intensity": 0.0}, {"duration_s": -1.0}]
        for change in wrong:
            for verb in ("check", "dry_run", "inject"):
                with pytest.raises(PreflightError, match="the fault was refused"):
                    getattr(subject.injector, verb)(replace(subject.request, **change))

        assert not subject.journal.exists()

    def test_a_dry_run_says_what_would_be_done(self, subject: Subject):
        """In sentences; nothing is open afterwards."""
        assert len(subject.injector.dry_run(subject.request)) >= 2
        subject.injector.check(subject.request)

        assert subject.injector.open_faults() == ()
        assert not subject.journal.exists()

    def test_one_at_a_time_and_each_id_once(self, subject: Subject):
        """Open until it is verified; the receipt has the moments in their order."""
        fault = subject.injector.inject(subject.request)
        assert [entry.id for entry in subject.injector.open_faults()] == [subject.request.id]
        with pytest.raises(PreflightError, match="one at a time"):
            subject.injector.inject(replace(subject.request, id="other"))
        receipt = fault.revert()
        with pytest.raises(PreflightError, match="an id is used once"):
            subject.injector.inject(subject.request)

        assert receipt.verified
        assert receipt == fault.revert()
        moments = [receipt.requested, receipt.acknowledged, receipt.revert_requested, receipt.reverted]
        assert None not in moments
        assert moments == sorted(moments, key=lambda moment: moment or 0.0)
        assert subject.injector.open_faults() == ()

    def test_waiting_ends_when_it_is_told_to(self, subject: Subject):
        """Long before the stated end, and verified."""
        looks: list[int] = []

        def stop() -> bool:
            looks.append(len(looks))
            return len(looks) > 2

        receipt = subject.injector.inject(subject.request).wait(stop)

        assert receipt.verified
        assert receipt.note

    def test_the_emergency_stop_ends_everything_and_may_be_pulled_twice(self, subject: Subject):
        """What was open is told; the second time there is nothing."""
        subject.injector.inject(subject.request)

        assert [(entry.id, entry.open) for entry in subject.injector.revert_all()] == [(subject.request.id, False)]
        assert subject.injector.revert_all() == ()

    def test_every_kind_says_what_it_does(self, subject: Subject):
        """Under its own name."""
        assert subject.request.kind in subject.injector.kinds()
        assert all(kind.name == name and kind.summary for name, kind in subject.injector.kinds().items())


class TestLocal(FaultInjectorContract):
    """Processes of this machine."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """A small shop."""
        shop = SmallShop.open(tmp_path / "state")
        yield Subject(
            LocalInjector(shop), FaultRequest("t001", "latency", "orders", 0.5, 60.0), tmp_path / "state" / "journal", "front-end"
        )
        shop.close()


class TestCluster(FaultInjectorContract):
    """A namespace of a cluster."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """A town on the fake API server."""
        clock = QuickClock()
        with FakeApi() as api:
            kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)
            town = Town(api, kube, clock, tmp_path / "state")
            yield Subject(town.injector(), FaultRequest("t001", "latency", "carts", 0.5, 60.0), tmp_path / "state" / "journal", "front")
