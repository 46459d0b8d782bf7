"""One suite for every cluster provider: plan purely, apply one step, list what is there, tear down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessSpec
from tasks.cluster import control
from tasks.cluster.local import LocalProvider
from tasks.cluster.provider import ClusterProvider
from tasks.cluster.remains import supervisor_of
from tests.cluster.parts import QUICK, eventually, services


class ClusterProviderContract:
    """A provider's test class inherits this and says how to make one and what to run on it."""

    @pytest.fixture
    def provider(self) -> Iterator[ClusterProvider]:
        """An empty place."""
        raise NotImplementedError

    @pytest.fixture
    def wanted(self) -> list[ProcessSpec]:
        """Three things to run, not in alphabetical order."""
        return services("orders", "carts", "user")

    def lose_the_keeper(self, provider: ClusterProvider) -> None:
        """Kill whatever looks after the processes."""
        raise NotImplementedError

    def settle(self, provider: ClusterProvider, wanted: list[ProcessSpec]) -> None:
        """Apply the whole plan."""
        for change in provider.plan(wanted):
            provider.apply(change)

    def test_an_empty_place_is_empty(self, provider, wanted):
        """Nothing is there, and the plan is to make everything, in alphabetical order."""
        plan = provider.plan(wanted)

        assert provider.list() == ()
        assert [(step.action, step.name) for step in plan] == [("create", "carts"), ("create", "orders"), ("create", "user")]
        assert provider.list() == ()

    def test_applied_twice_is_applied_once(self, provider, wanted):
        """After the plan was applied nothing is planned, and a step done again changes nothing."""
        plan = provider.plan(wanted)
        for change in plan:
            provider.apply(change)
        before = provider.list()
        for change in plan:
            provider.apply(change)

        assert provider.plan(wanted) == ()
        assert provider.list() == before
        assert [(one.name, one.state) for one in before] == [("carts", "running"), ("orders", "running"), ("user", "running")]

    def test_differences_become_changes(self, provider, wanted):
        """What is not wanted goes, what differs is replaced, what fits is not touched."""
        self.settle(provider, wanted)
        before = {one.name: one.identity for one in provider.list()}
        orders, carts, _ = wanted
        target = [replace(orders, env={"CHANGED": "1"}), carts]
        plan = provider.plan(target)
        self.settle(provider, target)
        after = {one.name: one.identity for one in provider.list()}

        assert [(step.action, step.name) for step in plan] == [("replace", "orders"), ("remove", "user")]
        assert after.keys() == {"carts", "orders"}
        assert after["carts"] == before["carts"]
        assert after["orders"] != before["orders"]

    def test_down_removes_everything_and_again_nothing(self, provider, wanted):
        """Nothing is left, and nothing is there to remove the second time."""
        self.settle(provider, wanted)

        assert provider.down() == ()
        assert provider.list() == ()
        assert provider.down() == ()

    def test_what_lost_its_keeper_is_found_and_replaced(self, provider, wanted):
        """Orphans are listed as such, planned for replacement, and replaced."""
        self.settle(provider, wanted)
        self.lose_the_keeper(provider)
        orphaned = provider.list()
        plan = provider.plan(wanted)
        self.settle(provider, wanted)

        assert {one.state for one in orphaned} == {"orphaned"}
        assert {step.action for step in plan} == {"replace"}
        assert [one.state for one in provider.list()] == ["running"] * 3
        assert not {one.identity for one in orphaned} & {one.identity for one in provider.list()}

    def test_what_cannot_be_is_refused_before_anything_is_done(self, provider, wanted):
        """A wrong name is refused by the plan, and leaves no trace."""
        with pytest.raises(PreflightError):
            provider.plan([*wanted, ProcessSpec("../escape", ("true",))])

        assert provider.list() == ()


class TestLocalProvider(ClusterProviderContract):
    """Processes of this machine."""

    @pytest.fixture
    def provider(self, tmp_path: Path) -> Iterator[LocalProvider]:
        """A state folder that is taken down in the end."""
        provider = LocalProvider(tmp_path / "state", QUICK)
        yield provider
        assert provider.down() == ()

    def lose_the_keeper(self, provider: ClusterProvider) -> None:
        """Kill the supervisor."""
        assert isinstance(provider, LocalProvider)
        supervisor = supervisor_of(provider.state_dir)
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        eventually(lambda: not supervisor.alive())

    def test_what_ends_slowly_is_gone_when_the_step_returns(self, provider):
        """A process that takes no SIGTERM is waited for until it is killed, by whoever asks a second time as well."""
        program = "import pathlib, signal, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('deaf').touch(); time.sleep(60)"
        self.settle(provider, [ProcessSpec("deaf", (sys.executable, "-S", "-c", program))])
        eventually((provider.state_dir / "data" / "deaf" / "deaf").exists)
        (removal,) = provider.plan([])
        control.ask(provider.state_dir, "stop", name="deaf")
        provider.apply(removal)

        assert provider.list() == ()
