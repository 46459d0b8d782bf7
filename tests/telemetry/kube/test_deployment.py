"""A Prometheus for the run: what is put into the cluster, and what it is told to scrape."""

from __future__ import annotations

import json
import re

import pytest

from tasks.base.shipped import shipped
from tasks.base.yaml_source import read_source
from tasks.kube.permission import Permission
from tasks.kube.rights import granted
from tasks.telemetry.config import DeployedPrometheus
from tasks.telemetry.kube.deployment import Placed, manifests, retention_s
from tasks.telemetry.kube.jobs import ANY, META, Scraping, cadvisor_job, pods_job, prometheus_yml

LABELS = {"app.kubernetes.io/managed-by": "tidegauge", "tidegauge.dev/run": "r1", "tidegauge.dev/part": "telemetry"}
PLACED = Placed("shop", 5.0, 7200.0, LABELS, "r1")


def made(**settings):
    """The objects, by kind."""
    wanted = DeployedPrometheus(namespace="watch", image="registry/prometheus:3", **settings)
    found = {}
    for one in manifests(wanted, PLACED):
        found.setdefault(one["kind"], []).append(one)
    return found


def test_all_of_it_is_found_again():
    """By the run's labels, the pod too; nothing is written outside of the two namespaces but the rights on nodes, under the run's name."""
    found = [one for members in made().values() for one in members]

    assert all(one["metadata"]["labels"] == LABELS for one in found)
    assert {one["metadata"].get("namespace") for one in found} == {"watch", "shop", None}
    assert {one["kind"]: one["metadata"]["name"] for one in found if "namespace" not in one["metadata"]} == {
        "ClusterRole": "tidegauge-prometheus-r1",
        "ClusterRoleBinding": "tidegauge-prometheus-r1",
    }
    (deployment,) = made()["Deployment"]
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= LABELS.items()


@pytest.mark.parametrize(
    ("cadvisor", "may"),
    [
        ("api-server", {"list nodes", "watch nodes", "get nodes/proxy"}),
        ("kubelet", {"list nodes", "watch nodes", "get nodes/metrics"}),
        ("none", set()),
    ],
)
def test_its_rights_are_what_its_jobs_need(cadvisor, may):
    """The app's pods; of the cluster only what the way to the kubelets takes, and nothing where they are not asked."""
    found = made(cadvisor=cadvisor)
    documents = [*found.get("ClusterRole", []), *found["Role"]]

    told = {
        f"{verb} {resource}"
        for role in found.get("ClusterRole", [])
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert told == may
    assert granted(Permission("watch", "", "pods", namespace="shop"), documents)
    assert not granted(Permission("watch", "", "pods", namespace="watch"), documents)
    assert not any("*" in json.dumps(one) for one in documents)
    assert ("cadvisor" in json.dumps(found["ConfigMap"][0])) == (cadvisor != "none")
    assert len(found.get("ClusterRoleBinding", [])) == len(found.get("ClusterRole", []))
    assert all(
        one["subjects"] == [{"kind": "ServiceAccount", "name": "tidegauge-prometheus", "namespace": "watch"}]
        for one in found["RoleBinding"]
    )


@pytest.mark.parametrize(("settings", "planned_s", "kept_s"), [({}, 60, 7200), ({}, 36_000, 54_000), ({"retention_s": 600.0}, 36_000, 600)])
def test_it_keeps_longer_than_is_planned(settings, planned_s, kept_s):
    """Unless the document says otherwise."""
    assert retention_s(DeployedPrometheus(namespace="watch", **settings), planned_s) == kept_s


def test_where_its_samples_lie():
    """In its pod, or on a volume that is claimed for them."""
    (deployment,), (claim,) = made()["Deployment"], made(volume_gib=2.5, storage_class="fast")["PersistentVolumeClaim"]

    assert deployment["spec"]["template"]["spec"]["volumes"][1] == {"name": "data", "emptyDir": {}}
    assert "--storage.tsdb.retention.time=10800s" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2560Mi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_change_of_the_configuration_is_a_new_pod():
    """A running Prometheus would not notice it."""
    annotations = [
        next(
            one
            for one in manifests(DeployedPrometheus(namespace="watch"), Placed("shop", interval_s, 60, LABELS, "r1"))
            if one["kind"] == "Deployment"
        )
        for interval_s in (5.0, 2.0)
    ]
    first, second = (one["spec"]["template"]["metadata"]["annotations"]["tidegauge.dev/config"] for one in annotations)
    assert first != second


def relabelled(rules, labels):
    """What Prometheus makes of a target's labels by *rules*; None: it is dropped. By its documentation, for the actions that we use."""
    found = dict(labels)
    for rule in rules:
        value = ";".join(found.get(name, "") for name in rule.get("source_labels", ()))
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        action = rule.get("action", "replace")
        if action in ("keep", "drop"):
            if (match is None) == (action == "keep"):
                return None
        elif match is not None:
            found[rule["target_label"]] = (
                match.expand(re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))) if match.groups() or "replacement" in rule else ""
            )
    return {name: value for name, value in found.items() if not name.startswith("__meta")}


def meta(**labels):
    """What the discovery says of a pod."""
    return {META + name: value for name, value in labels.items()}


POD = {
    "pod_annotation_prometheus_io_scrape": "true",
    "pod_annotation_prometheus_io_port": "8080",
    "pod_ip": "10.1.2.3",
    "pod_phase": "Running",
    "pod_name": "orders-7c9d8f6b5-x2x4z",
    "namespace": "shop",
    "pod_node_name": "node1",
    "pod_controller_kind": "ReplicaSet",
    "pod_controller_name": "orders-7c9d8f6b5",
}
SCRAPING = Scraping("shop", 5.0, 10.0, "api-server")


def of_the_chart():
    """The rules that the shipped values give to kube-prometheus-stack."""
    values = read_source(shipped("kubernetes") / "kube-prometheus-stack-values.yaml", what="values").value
    (job,) = values["prometheus"]["prometheusSpec"]["additionalScrapeConfigs"]
    return [{**rule, "source_labels": list(rule["source_labels"])} for rule in job["relabel_configs"]]


BOTH = pytest.mark.parametrize("rules", [lambda: pods_job(SCRAPING)["relabel_configs"], of_the_chart], ids=["ours", "chart"])


@pytest.mark.parametrize(
    ("change", "service"),
    [
        ({}, "orders"),
        ({"pod_label_app": "release"}, "orders"),
        ({"pod_label_tidegauge_dev_service": "orders-api"}, "orders-api"),
        ({"pod_controller_kind": "StatefulSet", "pod_controller_name": "orders-db"}, "orders-db"),
        ({"pod_controller_kind": "", "pod_controller_name": "", "pod_label_app": "a"}, "a"),
    ],
)
@BOTH
def test_a_pod_becomes_a_target(change, service, rules):
    """At its own address, as its workload; the same names as by the kubelet source, and as by the chart with our values."""
    found = relabelled(rules(), meta(**{**POD, **change}))

    assert found is not None
    assert found["__address__"] == "10.1.2.3:8080"
    assert (found["tidegauge_service"], found["pod"], found["node"]) == (service, "orders-7c9d8f6b5-x2x4z", "node1")


@pytest.mark.parametrize(
    "change",
    [{"pod_annotation_prometheus_io_scrape": ""}, {"pod_phase": "Succeeded"}, {"pod_label_tidegauge_dev_part": "load"}],
)
@BOTH
def test_others_are_no_targets(change, rules):
    """Those that do not ask for it, have ended, or are our own."""
    assert relabelled(rules(), meta(**{**POD, **change})) is None


def test_the_path_of_a_page():
    """As the annotation says."""
    found = relabelled(pods_job(SCRAPING)["relabel_configs"], meta(**POD, pod_annotation_prometheus_io_path="/prometheus"))

    assert found is not None
    assert found["__metrics_path__"] == "/prometheus"


def test_the_way_to_the_kubelets():
    """By the API server with its certificate checked; or straight, with a right that opens metrics alone."""
    through, straight = cadvisor_job(SCRAPING), cadvisor_job(Scraping("shop", 5.0, 10.0, "kubelet"))

    found = relabelled(through["relabel_configs"], meta(node_name="node1"))
    assert found == {
        "node": "node1",
        "__address__": "kubernetes.default.svc:443",
        "__metrics_path__": "/api/v1/nodes/node1/proxy/metrics/cadvisor",
    }
    assert "insecure_skip_verify" not in through["tls_config"]
    assert straight["metrics_path"] == "/metrics/cadvisor"


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ({"namespace": "shop", "id": "/kubepods/x"}, True),
        ({"namespace": "kube-system", "id": "/kubepods/x"}, False),
        ({"namespace": "shop-2", "id": "/kubepods/x"}, False),
        ({"namespace": "", "id": "/"}, True),
        ({"namespace": "", "id": "/system.slice"}, False),
        ({}, True),
    ],
)
def test_rows_of_others_are_not_stored(labels, kept):
    """Those of the app's namespace and of the node itself are."""
    rules = [rule for rule in cadvisor_job(SCRAPING)["metric_relabel_configs"] if rule["action"] in ("keep", "drop")]

    assert (relabelled(rules, {"__name__": "container_cpu_usage_seconds_total", **labels}) is not None) == kept


def test_its_times_are_the_document_s():
    """In milliseconds, so that parts of a second are kept."""
    told = json.loads(prometheus_yml(Scraping("shop", 0.5, 10.0, "kubelet")))

    assert (told["global"]["scrape_interval"], told["scrape_configs"][1]["scrape_interval"]) == ("500ms", "10000ms")
    assert ANY in json.dumps(told)
