"""What a deployment in a cluster notes down, the pod of the smoke test, and the logs that are kept: decided without a cluster."""

from __future__ import annotations

import json

import pytest

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.base.process import identify
from tasks.cluster.config import CommandCluster, KubeconfigCluster, LocalCluster
from tasks.cluster.kube.kinds import further_kinds
from tasks.recordings.kube.logs import LONGEST_BYTES, bounded
from tasks.recordings.kube.noted import Noted
from tasks.recordings.kube.place import KubePlace, label_of
from tasks.recordings.kube.smoke_job import LONGEST_S, hopeless, smoke_pod
from tasks.recordings.settling import judging_features, provider_of
from tasks.telemetry.config import DeployedPrometheus, PrometheusSource, TelemetryConfig

CLUSTERS = (
    KubeconfigCluster(provider="kubeconfig", namespace="shop", context="kind-mine"),
    CommandCluster(provider="command", namespace="shop", commands="kind", keep=True),
)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda one: one.provider)
def test_a_note_is_read_as_it_was_written(cluster, tmp_path):
    """Everything that is needed to find and remove the objects is in it, for a process that knows nothing else."""
    widgets = further_kinds([{"apiVersion": "a.test/v1", "kind": "Widget", "metadata": {"name": "w"}}])
    noted = Noted("training-1", cluster, ("shop", "monitoring"), str(tmp_path), "run-1", DemoShop(), True, identify(1), widgets)
    noted.write(tmp_path)

    assert Noted.read(tmp_path) == noted
    assert noted.looked_after


def test_a_deployment_on_this_machine_has_no_note(tmp_path):
    """None, not an error: most deployments have none."""
    assert Noted.read(tmp_path) is None


def test_what_nobody_looks_after_is_known_as_such(tmp_path):
    """Its process is gone, or it never had one."""
    noted = Noted("shop-1", CLUSTERS[0], ("shop",), str(tmp_path), "run-1", DemoShop(), False, None)

    assert not noted.looked_after


def test_only_the_namespaces_that_the_document_names_are_written_to():
    """The app's, and the one of a Prometheus that is put there; each once."""
    placed = PrometheusSource(kind="prometheus", deploy=DeployedPrometheus(namespace="monitoring"))
    names = [
        KubePlace(CLUSTERS[0], DemoShop(), TelemetryConfig(sources=sources), None, "run-1", None).namespaces
        for sources in (TelemetryConfig().sources, (placed,), (placed.model_copy(update={"deploy": DeployedPrometheus(namespace="shop")}),))
    ]

    assert names == [("shop",), ("shop", "monitoring"), ("shop",)]


@pytest.mark.parametrize(("name", "label"), [("Faults_A-12ab", "faults-a-12ab"), ("x" * 80, "x" * 63), ("-a-", "a"), ("a/b c", "a-b-c")])
def test_a_name_becomes_the_value_of_a_label(name, label):
    """Lower case, digits and dashes, at most 63."""
    assert label_of(name) == label


def test_the_smoke_test_runs_in_a_pod_that_may_do_nothing_else():
    """The steps of the app go with it; no account, no writable disk, no capability, and an end."""
    app = app_of(DemoShop())
    pod = smoke_pod(Placement("shop", "run-1"), app, "http://front-end.shop:80", "locust:1")
    (container,) = pod["spec"]["containers"]
    told = json.loads(container["env"][0]["value"])

    assert [step["name"] for step in told["steps"]] == [step.name for step in app.smoke]
    assert told["settle_s"] + told["timeout_s"] < LONGEST_S
    assert container["command"][:2] == ["python3", "-c"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["activeDeadlineSeconds"] > 0
    assert pod["metadata"]["labels"]["tidegauge.dev/run"] == "run-1"


def test_a_pod_without_hope_is_told_from_one_that_waits():
    """An image that cannot be pulled will not come; a container that is being made will."""

    def waiting(reason: str) -> dict[str, object]:
        return {"status": {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "no such image"}}}]}}

    assert hopeless(waiting("ErrImagePull")) == "ErrImagePull: no such image"
    assert hopeless(waiting("ContainerCreating")) is None
    assert hopeless({"status": {}}) is None


def test_output_that_is_too_long_is_cut_with_a_word():
    """What is kept is bounded, and says so."""
    lines = list(bounded(iter([b"x" * (LONGEST_BYTES // 2)] * 4)))

    assert len(lines) == 2
    assert lines[-1] == b"[tidegauge: more was said than is kept]"
    assert list(bounded(iter([b"a", b"b"]))) == [b"a", b"b"]


def test_faults_and_windows_follow_from_where_the_app_runs():
    """Kinds of a cluster for both of its providers; the rate window of the kubelets where it is longer than five scrapes."""
    assert [provider_of(one) for one in (None, LocalCluster(), *CLUSTERS)] == ["local", "local", "kubernetes", "kubernetes"]
    assert judging_features(5.0).rate_window_s == 25.0
    assert judging_features(5.0, 60.0).rate_window_s == 60.0
