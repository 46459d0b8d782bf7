"""The rights that removing a run takes are those that removing it uses; what is not there asks for none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.cluster.kube.holding import forget
from tasks.cluster.kube.kinds import OTHERS
from tasks.cluster.kube.lease import Holder, new_lease
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import roles
from tests.cluster.kube.parts import OTHER, RUN, QuickClock, config_map, deployment, service
from tests.kube.fake_api import FakeApi

PLACES = {"shop": "which was there before", "new": "which the run has made"}


@pytest.fixture
def found(api: FakeApi, clock: QuickClock, tmp_path: Path) -> Callable[[str], KubeProvider]:
    """Put a run of three kinds into a namespace, with its Lease; a new login that is to remove it."""

    def deployed(name: str) -> KubeProvider:
        access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))
        provider = KubeProvider(Kube.connect(access, clock=clock), Bounds(RUN, (name,)), patience_s=1.0, clock=clock)
        for change in provider.plan([deployment("carts"), service("carts"), config_map("c")]):
            provider.apply(change)
        api.put(new_lease(name, Holder(RUN), 60, clock.wall_s()))
        return replace(provider, kube=Kube.connect(access, clock=clock))

    return deployed


def asked(provider: KubeProvider) -> set[Permission]:
    """What is told to be lacking."""
    return {need.permission for need in provider.lacking()}


def strict(one: Permission) -> bool:
    """Whether nothing can be done without it: volumes that cannot be seen are told, and others' kinds are passed over."""
    return one.namespace is not None and one.resource not in {kind.plural for kind in OTHERS}


def remove(provider: KubeProvider) -> None:
    """All of the run, as ``down`` does it."""
    assert provider.down() == ()
    forget(provider.kube, provider.bounds.namespaces[0], RUN)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_asked_for_is_what_is_used(api, found, clock, place):
    """With the rights that a removal used nothing lacks, and it goes the same way; each one less is told, by name or for its kind."""
    remove(first := found(place))
    used = {one for one in first.kube.used if strict(one)}
    assert {one.verb for one in used} == {"get", "list", "delete"}

    for lacking in sorted(used, key=str):
        api.granted = None
        provider = found(place)
        api.granted = roles("run", used - {lacking})
        writes = len(api.writes)
        told = asked(provider)

        assert told & {lacking, replace(lacking, name="")}, lacking
        assert len(api.writes) == writes
        with pytest.raises((Forbidden, AssertionError)):
            remove(provider)
    api.granted = None
    provider = found(place)
    api.granted = roles("run", used)
    assert asked(provider) == set()
    remove(provider)


def test_nothing_lacks_where_nothing_is_there_to_remove(api, provider):
    """To look is enough; a kind that the cluster does not know is not asked for."""
    api.kinds = [one for one in api.kinds if one.plural != "jobs"]
    looking = {one for one in asked_of_nobody(api, provider) if one.verb != "delete"}
    api.granted = roles("run", looking)

    assert "jobs" not in {one.resource for one in looking}
    assert asked(provider) == set()


def asked_of_nobody(api: FakeApi, provider: KubeProvider) -> set[Permission]:
    """What a login without any right is told."""
    api.granted = []
    return asked(provider)


def test_a_login_without_rights_is_told_what_may_be_there_too(api, found):
    """It may not look: what it takes to remove each kind is told at once, so that one Role is enough."""
    provider = found("shop")
    api.granted = roles("run", asked_of_nobody(api, provider))

    assert asked(provider) <= {Permission("delete", "coordination.k8s.io", "leases", namespace="shop", name="tidegauge")}


def test_a_namespace_that_stays_needs_no_right_to_remove_it(api, found):
    """Something of others is in it, so that it is kept."""
    provider = found("new")
    api.put(config_map("theirs", "new"))
    remove_namespace = Permission("delete", "", "namespaces", namespace="new", name="new")
    everything = {one for one in asked_of_nobody(api, provider) if one.resource != "namespaces"}
    more = {
        Permission("get", "", "namespaces", namespace="new", name="new"),
        Permission("delete", "coordination.k8s.io", "leases", "", "new"),
    }
    api.granted = roles("run", everything | more)

    assert asked(provider) == set()
    api.remove("ConfigMap", "theirs", "new")
    assert asked(provider) == {remove_namespace}


def test_the_lease_of_another_run_is_left_to_it(api, found, clock):
    """It is not removed, so that no right for that is missed."""
    provider = found("shop")
    api.put(new_lease("shop", Holder(OTHER), 60, clock.wall_s()))
    leases = ("coordination.k8s.io", "leases")
    api.granted = roles("run", asked_of_nobody(api, provider) | {Permission("get", *leases, namespace="shop")})

    assert asked(provider) == set()


def test_a_second_namespace_that_the_run_has_made_is_looked_at_for_others_too(api, clock, tmp_path):
    """Once what is told was granted, it goes: another run may hold it, which takes a right of its own to see."""

    def login() -> Kube:
        return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)

    provider = KubeProvider(login(), Bounds(RUN, ("shop", "new")), patience_s=1.0, clock=clock)
    provider.make_namespaces()
    have: set[Permission] = set()
    for _ in range(3):
        api.granted = roles("run", have)
        provider = replace(provider, kube=login())
        have |= (told := asked(provider))

    assert told == set()
    assert Permission("get", "coordination.k8s.io", "leases", namespace="new", name="tidegauge") in have
    assert provider.down() == ()
    assert api.object("Namespace", "new") is None


def test_only_the_namespace_that_is_gone_is_left_out(api, clock, tmp_path):
    """The other one is removed as always; a Lease of it, which lay in the first one, is not looked for there."""

    def login() -> Kube:
        return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)

    provider = KubeProvider(login(), Bounds(RUN, ("new", "shop")), patience_s=1.0, clock=clock)
    for change in provider.plan([deployment("carts"), {**config_map("c"), "metadata": {"name": "c", "namespace": "shop"}}]):
        provider.apply(change)
    provider.kube.delete(ObjectRef("v1", "Namespace", None, "new"))
    provider = replace(provider, kube=login())
    look = Permission("get", "", "namespaces", name="new")
    api.granted = roles("viewer", {look})
    needed = asked(provider)

    assert {one.namespace for one in needed} == {"shop"}
    assert not any(one.resource == "leases" and one.verb == "get" for one in needed)
    api.granted = roles("run", {look, *needed})
    assert asked(provider) == set()
    assert provider.down() == ()
    assert api.object("ConfigMap", "c", "shop") is None
