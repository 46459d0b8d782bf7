"""What is applied, and what is refused before anything is asked."""

from __future__ import annotations

import pytest

from tasks.base.errors import PreflightError
from tasks.cluster.config import NEVER_WRITTEN
from tasks.cluster.kube.manifests import Bounds, prepared
from tasks.kube.labels import MANAGED_BY, PART, RUN
from tasks.kube.safety import PROTECTED
from tests.cluster.kube.parts import RUN as ID
from tests.cluster.kube.parts import config_map, deployment, service

BOUNDS = Bounds(ID, ("shop", "prometheus"))
LABELS = {MANAGED_BY: "tidegauge", RUN: ID, PART: "app"}


def test_every_object_gets_a_namespace_and_the_labels_of_its_run():
    """And so do the pods that it will make, whose selector is left alone."""
    (made,) = prepared([deployment("carts")], BOUNDS, "app")

    assert made["metadata"]["namespace"] == "shop"
    assert made["metadata"]["labels"] == LABELS
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "carts", **LABELS}
    assert made["spec"]["selector"] == {"matchLabels": {"app": "carts"}}


def test_pods_of_pods_of_cron_jobs_are_labelled_too():
    """A template in a template."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {}}}}},
    }

    (made,) = prepared([job], BOUNDS, "load")

    template = made["spec"]["jobTemplate"]
    assert template["metadata"]["labels"] == template["spec"]["template"]["metadata"]["labels"] == LABELS | {PART: "load"}


def test_the_part_that_an_object_names_itself_stays():
    """Guards of faults come with the app's objects, and are not the app."""
    guard = config_map("guard")
    guard["metadata"]["labels"] = {PART: "fault"}

    (made,) = prepared([guard], BOUNDS, "app")

    assert made["metadata"]["labels"][PART] == "fault"


def test_a_status_is_not_applied_and_a_secret_is_written_as_it_is_kept():
    """What was copied from a cluster carries more than what is wanted."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "b"},
        "data": {"c": "ZA=="},
        "status": {},
    }

    (made,) = prepared([secret], BOUNDS, "app")

    assert made["data"] == {"a": "Yg==", "c": "ZA=="}
    assert {"stringData", "status"} & made.keys() == set()


CLUSTER_ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}, "rules": []}


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (config_map("a", "kube-system"), "the namespace kube-system is never written to"),
        (config_map("a", "default"), "the namespace default is never written to"),
        (config_map("a", "kube-flannel"), "the namespace kube-flannel is never written to"),
        (config_map("a", "other"), "other is none of the namespaces that the document names (shop, prometheus)"),
        (CLUSTER_ROLE, "clusterrole/all belongs to the whole cluster"),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}, "namespace/other belongs to the whole cluster"),
        ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}, "belongs to the whole cluster"),
        (service("a", type="LoadBalancer"), "cluster.allow_load_balancers lets it through"),
        (service("a", externalIPs=["192.0.2.1"]), "externalIPs"),
        (config_map("../a"), "is no name for a ConfigMap"),
        (config_map("a\n"), "is no name for a ConfigMap"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "without metadata.name"),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "without apiVersion"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_not_be_written_is_refused_with_a_sentence(manifest, said):
    """All problems at once, and nothing of what is fine is done either."""
    with pytest.raises(PreflightError) as refusal:
        prepared([config_map("fine"), manifest, config_map("also", "kube-public")], BOUNDS, "app")

    assert said in refusal.value.message
    assert "kube-public" in refusal.value.message
    assert refusal.value.exit_code == 3


def test_the_flag_lets_load_balancers_through():
    """Only the flag does."""
    bounds = Bounds(ID, ("shop",), load_balancers=True)

    assert len(prepared([service("a", type="LoadBalancer", externalIPs=["192.0.2.1"])], bounds, "app")) == 1


def test_one_object_twice_is_refused():
    """Whichever came last would win, in silence."""
    with pytest.raises(PreflightError, match="configmap/a in shop is there twice"):
        prepared([config_map("a"), config_map("a", "shop")], BOUNDS, "app")


def test_the_document_refuses_the_namespaces_that_the_adapter_refuses():
    """One list in two places, since the document's models import nothing."""
    assert NEVER_WRITTEN == PROTECTED
