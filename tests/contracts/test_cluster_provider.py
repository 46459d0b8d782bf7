"""One suite for every cluster provider: plan purely, apply one step, list what is there, tear down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic

import pytest

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessSpec
from tasks.cluster import control
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.local import LocalProvider
from tasks.cluster.provider import ClusterProvider, Spec
from tasks.cluster.remains import supervisor_of
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.cluster.kube.parts import RUN, QuickClock, config_map
from tests.cluster.parts import QUICK, eventually, services
from tests.kube.fake_api import FakeApi


class ClusterProviderContract(Generic[Spec]):
    """A provider's test class inherits this and says how to make one and what to run on it."""

    @pytest.fixture
    def provider(self) -> Iterator[ClusterProvider[Spec]]:
        """An empty place."""
        raise NotImplementedError

    @pytest.fixture
    def wanted(self) -> list[Spec]:
        """Three things of one kind to run, called ``orders``, ``carts`` and ``user``: not in alphabetical order."""
        raise NotImplementedError

    def changed(self, spec: Spec) -> Spec:
        """The same thing with other settings."""
        raise NotImplementedError

    def impossible(self) -> Spec:
        """Something that must not be."""
        raise NotImplementedError

    def name(self, short: str) -> str:
        """How the provider calls what is called *short* here."""
        return short

    def settled(self, provider: ClusterProvider[Spec]) -> None:
        """Wait until what was applied runs."""

    def settle(self, provider: ClusterProvider[Spec], wanted: list[Spec]) -> None:
        """Apply the whole plan."""
        for change in provider.plan(wanted):
            provider.apply(change)
        self.settled(provider)

    def test_an_empty_place_is_empty(self, provider, wanted):
        """Nothing is there, and the plan is to make everything, in alphabetical order."""
        plan = provider.plan(wanted)

        assert provider.list() == ()
        assert [(step.action, step.name) for step in plan] == [("create", self.name(one)) for one in ("carts", "orders", "user")]
        assert provider.list() == ()

    def test_applied_twice_is_applied_once(self, provider, wanted):
        """After the plan was applied nothing is planned, and a step done again changes nothing."""
        plan = provider.plan(wanted)
        for change in plan:
            provider.apply(change)
        self.settled(provider)
        before = provider.list()
        for change in plan:
            provider.apply(change)
        after = provider.list()

        assert provider.plan(wanted) == ()
        assert [(one.name, one.identity) for one in after] == [(one.name, one.identity) for one in before]
        assert [(one.name, one.state) for one in before] == [(self.name(one), "running") for one in ("carts", "orders", "user")]

    def test_differences_become_changes(self, provider, wanted):
        """What is not wanted goes, what differs is replaced, what fits is not touched."""
        self.settle(provider, wanted)
        before = {one.name: one.identity for one in provider.list()}
        orders, carts, _ = wanted
        target = [self.changed(orders), carts]
        plan = provider.plan(target)
        self.settle(provider, target)
        after = {one.name: one.identity for one in provider.list()}

        assert [(step.action, step.name) for step in plan] == [("replace", self.name("orders")), ("remove", self.name("user"))]
        assert after.keys() == {self.name("carts"), self.name("orders")}
        assert after[self.name("carts")] == before[self.name("carts")]
        assert after[self.name("orders")] != before[self.name("orders")]

    def test_down_removes_everything_and_again_nothing(self, provider, wanted):
        """Nothing is left, and nothing is there to remove the second time."""
        self.settle(provider, wanted)

        assert provider.down() == ()
        assert provider.list() == ()
        assert provider.down() == ()

    def test_what_cannot_be_is_refused_before_anything_is_done(self, provider, wanted):
        """It is refused by the plan, and leaves no trace."""
        with pytest.raises(PreflightError):
            provider.plan([*wanted, self.impossible()])

        assert provider.list() == ()


class TestLocalProvider(ClusterProviderContract[ProcessSpec]):
    """Processes of this machine."""

    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[LocalProvider]:
        """A state folder that is taken down in the end."""
        provider = LocalProvider(tmp_path / "state", QUICK)
        yield provider
        assert provider.down() == ()

    @pytest.fixture
    def wanted(self) -> list[ProcessSpec]:
        """Three small services."""
        return services("orders", "carts", "user")

    def changed(self, spec: ProcessSpec) -> ProcessSpec:
        """Another environment."""
        return replace(spec, env={"CHANGED": "1"})

    def impossible(self) -> ProcessSpec:
        """A name becomes a path."""
        return ProcessSpec("../escape", ("true",))

    def test_what_lost_its_keeper_is_found_and_replaced(self, provider, wanted):
        """Orphans are listed as such, planned for replacement, and replaced (Kubernetes has keepers of its own)."""
        self.settle(provider, wanted)
        supervisor = supervisor_of(provider.state_dir)
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        eventually(lambda: not supervisor.alive())
        orphaned = provider.list()
        plan = provider.plan(wanted)
        self.settle(provider, wanted)

        assert {one.state for one in orphaned} == {"orphaned"}
        assert {step.action for step in plan} == {"replace"}
        assert [one.state for one in provider.list()] == ["running"] * 3
        assert not {one.identity for one in orphaned} & {one.identity for one in provider.list()}

    def test_what_ends_slowly_is_gone_when_the_step_returns(self, provider):
        """A process that takes no SIGTERM is waited for until it is killed, by whoever asks a second time as well."""
        program = "import pathlib, signal, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('deaf').touch(); time.sleep(60)"
        self.settle(provider, [ProcessSpec("deaf", (sys.executable, "-S", "-c", program))])
        eventually((provider.state_dir / "data" / "deaf" / "deaf").exists)
        (removal,) = provider.plan([])
        control.ask(provider.state_dir, "stop", name="deaf")
        provider.apply(removal)

        assert provider.list() == ()


class TestKubeProvider(ClusterProviderContract[dict[str, Any]]):
    """Objects of a Kubernetes API that is none, in a namespace that is there; ``tests/live`` has a real one."""

    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[KubeProvider]:
        """An API server in memory."""
        with FakeApi() as api:
            kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))))
            yield KubeProvider(kube, Bounds(RUN, ("shop",)), clock=QuickClock())

    @pytest.fixture
    def wanted(self) -> list[dict[str, Any]]:
        """What needs no controllers."""
        return [config_map("orders"), config_map("carts"), config_map("user")]

    def changed(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Other data."""
        return spec | {"data": {"a": "2"}}

    def impossible(self) -> dict[str, Any]:
        """Never there."""
        return config_map("escape", "kube-system")

    def name(self, short: str) -> str:
        """With its kind and place."""
        return f"configmap/{short} in shop"
