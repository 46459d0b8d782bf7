"""The section ``cluster``: three providers, told apart by their name."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.cluster.config import ClusterConfig, CommandCluster, KubeconfigCluster, LocalCluster

SECTION = TypeAdapter(ClusterConfig)


def test_this_machine_is_meant_where_nothing_is_said():
    """As before there were others."""
    assert SECTION.validate_python({}) == LocalCluster()
    assert SECTION.validate_python({"ttl_s": 60}) == LocalCluster(ttl_s=60)
    assert SECTION.validate_python(LocalCluster(ttl_s=60)).ttl_s == 60


def test_every_other_provider_has_to_be_named():
    """Settings that only they have do not name one."""
    with pytest.raises(ValidationError, match="discriminator"):
        SECTION.validate_python({"namespace": "shop"})


def test_little_has_to_be_said():
    """A namespace; and by which commands a cluster is made. What costs rights or money is off."""
    there = SECTION.validate_python({"provider": "kubeconfig", "namespace": "shop"})
    made = SECTION.validate_python({"provider": "command", "namespace": "shop", "commands": "kind"})

    assert isinstance(there, KubeconfigCluster)
    assert isinstance(made, CommandCluster)
    for one in (there, made):
        assert (one.node_proxy, one.node_helper, one.insecure, one.allow_load_balancers) == (False,) * 4
        assert (one.create_namespace, one.ready_timeout_s, one.auth_wait_s) == (True, 300, 600)
    assert (there.context, there.kubeconfig) == (None, None)
    assert (made.name, made.keep) == ("tidegauge", False)


@pytest.mark.parametrize(
    "name", ["kube-system", "kube-public", "kube-node-lease", "default", "kube-flannel", "a-", "A", "a.b", "", "x" * 64]
)
def test_some_namespaces_are_never_written(name):
    """Those of the cluster, the one of whoever names none, and what is no name."""
    with pytest.raises(ValidationError):
        SECTION.validate_python({"provider": "kubeconfig", "namespace": name})


def test_a_hold_outlasts_what_a_request_may_take():
    """A request is repeated for 30 s; what is removed within the hold is ours for sure."""
    with pytest.raises(ValidationError):
        SECTION.validate_python({"provider": "kubeconfig", "namespace": "shop", "lease_s": 30})


def test_it_reads_back_as_it_was_written():
    """As in the key of a recording."""
    for value in (
        {"provider": "kubeconfig", "namespace": "shop", "context": "kind-x"},
        {"provider": "command", "namespace": "s", "commands": "k3d"},
    ):
        one = SECTION.validate_python(value)
        assert SECTION.validate_json(one.model_dump_json()) == one
