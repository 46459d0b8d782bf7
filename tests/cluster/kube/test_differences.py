"""Whether what is there is what was asked for, although a server writes it another way."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cluster.kube.differences import applied_by_us, why_different
from tests.cluster.kube.parts import deployment

WANTED = deployment("carts", env={"A": "1", "B": "2"})


def as_served():
    """The object as a real server shows it after it was applied: defaults, other amounts, managed fields, fields of others."""
    found = deepcopy(WANTED)
    container = found["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}}
    container["ports"] = [{"containerPort": 80, "protocol": "TCP"}]
    container |= {"terminationMessagePath": "/dev/termination-log"}
    found["spec"]["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "volumes": [{"name": "t", "emptyDir": {"sizeLimit": "512Mi"}}]}
    found["spec"] |= {"progressDeadlineSeconds": 600}
    env = {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}, 'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}
    ports = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    containers = {'k:{"name":"carts"}': {".": {}, "f:name": {}, "f:image": {}, "f:env": env, "f:ports": ports}}
    fields = {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": containers}}}}
    found["metadata"] |= {
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "generation": 1,
        "resourceVersion": "7",
        "managedFields": [
            {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "tidegauge", "operation": "Apply", "fieldsV1": fields},
        ],
    }
    found["status"] = {"replicas": 1}
    return found


def test_an_object_as_a_server_shows_it_is_the_same():
    """Defaults, amounts in canonical form and fields of others are no difference."""
    assert why_different(WANTED, as_served()) is None
    assert applied_by_us(as_served())


def test_what_was_changed_is_named_by_its_path():
    """So that a person sees what a fault, or somebody, has left."""
    found = as_served()
    found["spec"]["replicas"] = 0
    found["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "3"

    assert why_different(WANTED, found) == "differs in spec.replicas, spec.template.spec.containers[carts].env[B].value"


def test_what_is_not_wanted_any_more_is_told_by_the_managed_fields():
    """A variable that was applied, and is not in the manifest now; one that somebody else has put there does not count."""
    fewer = deployment("carts", env={"A": "1"})
    found = as_served()
    found["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "C", "value": "of somebody else"})

    assert why_different(fewer, found) == "differs in spec.template.spec.containers[carts].env[B]"


def test_many_differences_are_counted():
    """Three are named."""
    found = as_served()
    found["spec"]["template"]["spec"]["containers"][0] |= {"image": "x", "env": [], "imagePullPolicy": "Always", "ports": []}

    assert why_different(WANTED, found).endswith("and 2 more")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": None}, {}),
        ({"a": {}}, {}),
        ({"a": []}, {}),
        ({"a": False}, {}),
        ({"a": {"b": {"c": None}}}, {}),
        ({"limits": {"cpu": 1}}, {"limits": {"cpu": "1"}}),
        ({"limits": {"cpu": "1.5"}}, {"limits": {"cpu": "1500m"}}),
        ({"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "injected"}, {"name": "x", "v": 1}]}),
        ({"ports": [{"port": 53}]}, {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}),
        ({"volumeMounts": [{"name": "t", "mountPath": "/a"}, {"name": "t", "mountPath": "/b"}]},) * 2,
    ],
    ids=repr,
)
def test_these_are_the_same(wanted, found):
    """What the server leaves out, writes another way, or adds."""
    assert why_different(wanted, found) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {}),
        ({"a": 0}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": "1500m"}, {"a": "1.5"}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [{"x": 1}]}, {"a": [{"x": 1}, {"x": 2}]}),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}),
        ({"a": {"b": 1}}, {"a": "b"}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "one"}}),
    ],
    ids=repr,
)
def test_these_are_not(wanted, found):
    """Also where the amounts are equal in a place that holds no amounts."""
    assert why_different(wanted, found) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "limits", "a", "b"]), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text("ab", max_size=2), JSON, max_size=4))
def test_everything_is_as_itself(value):
    """Whatever it is."""
    assert why_different(value, deepcopy(value)) is None
