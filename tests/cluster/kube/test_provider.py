"""The provider at an API server: what it makes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base.errors import LeftBehindError, PreflightError
from tasks.cluster.kube.manifests import Bounds
from tasks.kube.errors import Forbidden, Invalid
from tasks.kube.labels import RUN as RUN_LABEL
from tasks.kube.labels import run_labels
from tests.cluster.kube.parts import OTHER, RUN, config_map, deployment, service


def settle(provider, wanted):
    """Apply the whole plan."""
    for change in provider.plan(wanted):
        provider.apply(change)


def elsewhere(provider, *namespaces, **more):
    """The same provider, for other namespaces."""
    return replace(provider, bounds=Bounds(RUN, namespaces, **more))


def test_a_namespace_that_is_not_there_comes_first(provider, api):
    """It is made with the label of its run; one that was there gets none."""
    new = elsewhere(provider, "new", "shop")
    plan = new.plan([config_map("a"), config_map("b", "shop")])
    settle(new, [config_map("a"), config_map("b", "shop")])

    assert (plan[0].action, plan[0].name) == ("create", "namespace/new")
    assert api.object("Namespace", "new")["metadata"]["labels"][RUN_LABEL] == RUN
    assert "labels" not in api.object("Namespace", "shop")["metadata"]
    assert new.plan([config_map("a"), config_map("b", "shop")]) == ()


def test_a_namespace_that_must_not_be_made_is_asked_for(provider, api):
    """Nothing is written."""
    with pytest.raises(PreflightError, match="there is no namespace new") as refusal:
        elsewhere(provider, "new", namespaces_made=False).plan([config_map("a")])

    assert refusal.value.next_step == "kubectl create namespace new"
    assert api.writes == []


def test_a_namespace_on_its_way_out_says_what_keeps_it(provider, api):
    """What the server tells of it, in the refusal."""
    said = {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "Some content has finalizers remaining: x/y in 1 instance"}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stuck", "namespace": "shop", "finalizers": ["x/y"]}})
    api.remove("Namespace", "shop")
    api.put({**api.object("Namespace", "shop"), "status": {"phase": "Terminating", "conditions": [said]}})

    with pytest.raises(PreflightError, match="shop is being removed, but waits for Some content has finalizers remaining: x/y"):
        provider.plan([config_map("a")])

    assert api.writes == []


def test_what_others_have_made_is_left_alone(provider, api):
    """All strangers are named before anything is written; neither plan nor apply touches one."""
    api.put(config_map("theirs", "shop"))
    api.put({**config_map("of-a-run", "shop"), "metadata": {"name": "of-a-run", "namespace": "shop", "labels": run_labels(OTHER, "app")}})

    with pytest.raises(PreflightError) as refusal:
        provider.plan([config_map("theirs"), config_map("of-a-run"), config_map("ours")])

    assert "configmap/theirs in shop is there already" in refusal.value.message
    assert f"configmap/of-a-run in shop belongs to run {OTHER}" in refusal.value.message
    (step,) = elsewhere(provider, "new").plan([config_map("theirs", "new")])[1:]
    with pytest.raises(PreflightError, match="it was left alone"):
        provider.apply(replace(step, spec=config_map("theirs", "shop")))
    assert api.writes == []


def test_apply_refuses_what_plan_refuses(provider, api):
    """A step that was made by hand gets no further."""
    (step,) = provider.plan([config_map("a")])

    with pytest.raises(PreflightError, match="kube-system"):
        provider.apply(replace(step, spec=config_map("a", "kube-system")))

    assert api.writes == []


def test_parts_of_a_run_do_not_see_each_other(provider, api):
    """The plan of the app does not remove the load; taking down removes both."""
    load = replace(provider, part="load")
    settle(provider, [config_map("app")])
    settle(load, [config_map("load")])

    assert provider.plan([config_map("app")]) == ()
    assert [one.name for one in provider.list()] == ["configmap/app in shop"]
    assert [step.name for step in load.plan([])] == ["configmap/load in shop"]
    assert provider.down() == ()
    assert [one["metadata"]["name"] for one in api.all("ConfigMap", "shop")] == ["kube-root-ca.crt"]


def test_a_stranger_is_never_removed(provider, api):
    """Only what carries the label of the run is, whatever a step says."""
    settle(provider, [config_map("a")])
    (removal,) = provider.plan([])
    api.put({**api.object("ConfigMap", "a", "shop"), "metadata": {"name": "a", "namespace": "shop", "labels": run_labels(OTHER, "app")}})

    provider.apply(removal)

    assert api.object("ConfigMap", "a", "shop") is not None


def test_what_cannot_be_changed_is_made_anew(provider, api):
    """A Deployment's selector, a Job's template: removed and made, when the new one would be taken."""
    settle(provider, [deployment("carts")])
    before = api.object("Deployment", "carts", "shop")["metadata"]["uid"]
    (change,) = provider.plan([deployment("carts", image="other:1")])
    api.fail_next(422, message="field is immutable", reason="Invalid", method="PATCH", path="/deployments/carts")
    provider.apply(change)

    after = api.object("Deployment", "carts", "shop")
    assert after["metadata"]["uid"] != before
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "other:1"


def test_what_is_wrong_in_itself_does_not_cost_the_old_one(provider, api):
    """A manifest that is refused under any name."""
    settle(provider, [deployment("carts")])
    (change,) = provider.plan([deployment("carts", image="other:1")])
    api.fail_next(422, message="spec is wrong", reason="Invalid", times=2, method="PATCH", path="/deployments/carts")

    with pytest.raises(Invalid, match="spec is wrong"):
        provider.apply(change)

    assert api.object("Deployment", "carts", "shop")["spec"]["template"]["spec"]["containers"][0]["image"] != "other:1"


def test_a_claim_is_never_made_anew(provider, api):
    """What is in its volume would be lost."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
    }
    settle(provider, [claim])
    (change,) = provider.plan([{**claim, "spec": {"resources": {"requests": {"storage": "2Gi"}}}}])
    api.fail_next(422, message="field is immutable", reason="Invalid", method="PATCH")

    with pytest.raises(Invalid):
        provider.apply(change)

    assert api.object("PersistentVolumeClaim", "data", "shop") is not None


def test_a_pod_waits_for_the_account_of_a_new_namespace(provider, api):
    """A controller makes it some time after the namespace."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}
    said = 'pods "p" is forbidden: error looking up service account shop/default: serviceaccount "default" not found'
    api.fail_next(403, times=3, message=said, reason="Forbidden", method="PATCH")
    settle(provider, [pod])

    assert api.object("Pod", "p", "shop") is not None


def test_a_quota_is_told_as_the_server_tells_it(provider, api):
    """With the code of something that is refused."""
    api.fail_next(403, message='services "a" is forbidden: exceeded quota: few', reason="Forbidden", method="PATCH")

    with pytest.raises(Forbidden, match="exceeded quota: few") as refusal:
        settle(provider, [service("a")])

    assert refusal.value.exit_code == 3
    assert "ResourceQuota" in str(refusal.value.next_step)


def test_what_is_on_its_way_out_is_waited_for(provider, api, clock):
    """And made anew once it is gone."""
    settle(provider, [config_map("a")])
    api.put(
        {**api.object("ConfigMap", "a", "shop"), "metadata": {**api.object("ConfigMap", "a", "shop")["metadata"], "finalizers": ["x/y"]}}
    )
    api.remove("ConfigMap", "a", "shop")
    (step,) = provider.plan([config_map("a")])

    assert (step.action, step.why) == ("replace", "is on its way out")
    with pytest.raises(PreflightError, match="still there, but waits for its finalizer x/y"):
        provider.apply(step)


def test_namespaces_can_be_made_alone(provider, api):
    """The Lease that keeps other runs away lies in one."""
    new = elsewhere(provider, "new", "shop")
    new.make_namespaces()
    new.make_namespaces()

    assert api.object("Namespace", "new") is not None
    assert len(api.writes) == 1


def test_a_namespace_that_is_refused_takes_the_others_along(provider, api):
    """Nothing is left of a run that could not even begin."""
    api.control(lambda item: item["metadata"]["name"] == "new" and api.fail_next(403, path="/namespaces", method="POST", message="no"))

    with pytest.raises(Forbidden, match="no"):
        elsewhere(provider, "new", "next").make_namespaces()

    assert api.object("Namespace", "new") is api.object("Namespace", "next") is None


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/namespaces/new"), ("GET", "/apis/apps/v1/namespaces/new")], ids=["stays", "unseen"]
)
def test_a_namespace_that_does_not_go_again_is_told(provider, api, method, path):
    """By the error for which the run's note is kept: nobody would find it otherwise."""

    def refuse(item):
        if item["metadata"]["name"] == "new":
            api.fail_next(403, path="/namespaces", method="POST", message="no")
            api.fail_next(403, path=path, method=method, message="not yours")

    api.control(refuse)

    with pytest.raises(LeftBehindError, match="not yours") as told:
        elsewhere(provider, "new", "next").make_namespaces()

    assert "tidegauge down" in str(told.value)
    assert api.object("Namespace", "new") is not None
