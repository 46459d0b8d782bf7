"""Whom a raw series is about: by its labels alone, the same for every generation of a workload's pods."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.prometheus.identity import SERVICE_LABELS, about, workload

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of Kubernetes' random names."""


def found(name="m", service_labels=SERVICE_LABELS, /, **labels):
    """Role and service of a series with these labels."""
    return about(tuple(sorted({"__name__": name, **labels}.items())), service_labels)


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        ("orders-7c9d8f6b5-x2x4z", "orders"),
        ("front-end-5f9c6d7b8f-bcdfg", "front-end"),
        ("node-exporter-k8s2x", "node-exporter"),
        ("kube-prometheus-2456b", "kube-prometheus"),
        ("migrate-28391040-zzzzz", "migrate"),
        ("catalogue-db-0", "catalogue-db"),
        ("kafka-12", "kafka"),
        ("carts", "carts"),
        ("carts-db", "carts-db"),
        ("user-proxy", "user-proxy"),
        ("queue-aeiou", "queue-aeiou"),
        ("-0", "-0"),
        ("", ""),
    ],
)
def test_a_pod_belongs_to_its_workload(pod, name):
    """Of a Deployment, a DaemonSet, a Job or a StatefulSet; whatever is none of their names is its own."""
    assert workload(pod) == name


@given(
    st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8}){0,2}", fullmatch=True),
    st.text("456789bcdf", min_size=6, max_size=10),
    st.text(SAFE, min_size=5, max_size=5),
)
def test_every_generation_of_a_deployment_is_the_same(name, template, pod):
    """Whatever Kubernetes calls its ReplicaSet and pod."""
    assert workload(f"{name}-{template}-{pod}") == name


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"job": "a", "instance": "h:1"}, "a"),
        ({"job": "a", "app": "b"}, "b"),
        ({"job": "a", "name": "c", "app": "b"}, "b"),
        ({"job": "a", "app": "", "name": "c"}, "c"),
        ({"job": "a", "app_kubernetes_io_name": "d"}, "d"),
        ({"job": "a", "k8s_app": "e"}, "e"),
        ({"job": "a", "service": "f", "container": "g"}, "f"),
        ({"job": "a", "container": "g"}, "g"),
        ({"job": "kubernetes-pods", "pod": "orders-7c9d8f6b5-x2x4z"}, "orders"),
        ({"job": "kubernetes-pods", "pod": "orders-7c9d8f6b5-x2x4z", "app": "b"}, "b"),
        ({"pod": "carts-db-0"}, "carts-db"),
        ({"instance": "h:1"}, "h:1"),
        ({}, "unnamed"),
        ({"tidegauge_service": "z", "app": "b", "job": "a"}, "z"),
        ({"tidegauge_service": "", "app": "b"}, "b"),
    ],
)
def test_the_first_label_that_is_there_names_the_service(labels, service):
    """Our own wins; a pod's workload comes before the job; an empty label is none."""
    assert found(**labels) == ("service", service)


def test_other_labels_may_name_the_service():
    """In the order in which they are given; without any of them the instance does."""
    labels = {"app": "a", "team": "t", "tier": "front", "instance": "h:1"}

    assert found("m", ("tier", "team"), **labels) == ("service", "front")
    assert found("m", ("none", "team"), **labels) == ("service", "t")
    assert found("m", ("none",), **labels) == ("service", "h:1")


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("node_cpu_seconds_total", {"instance": "h:9100", "job": "node"}, ("node", "node")),
        ("machine_memory_bytes", {"job": "kubelet"}, ("node", "node")),
        ("container_cpu_usage_seconds_total", {"container": "orders", "pod": "orders-7c9d8f6b5-x2x4z"}, ("container", "orders")),
        ("container_cpu_usage_seconds_total", {"container": "mongo", "pod": "orders-db-7c9d8f6b5-x2x4z"}, ("container", "orders-db")),
        ("container_cpu_usage_seconds_total", {"container": "mesh", "pod": "orders-7c9d8f6b5-x2x4z"}, ("container", "orders")),
        ("container_cpu_usage_seconds_total", {"container": "orders", "job": "docker"}, ("container", "orders")),
        ("container_cpu_usage_seconds_total", {"container": "", "pod": "orders-7c9d8f6b5-x2x4z"}, ("pod", "orders")),
        ("container_network_receive_bytes_total", {"container": "POD", "pod": "carts-db-0"}, ("pod", "carts-db")),
        ("container_memory_usage_bytes", {"id": "/", "job": "cadvisor"}, ("node", "node")),
        ("container_x", {"container": "exporter", "exported_container": "orders", "pod": "exporter-0"}, ("container", "orders")),
        ("kube_pod_status_ready", {"pod": "exporter-0", "exported_pod": "orders-7c9d8f6b5-x2x4z"}, ("container", "orders")),
        ("kube_deployment_status_replicas", {"deployment": "carts", "job": "ksm"}, ("container", "carts")),
        ("kube_statefulset_replicas", {"statefulset": "carts-db"}, ("container", "carts-db")),
        ("kube_node_info", {"node": "n1", "job": "ksm"}, ("container", "ksm")),
        ("kube_node_info", {"node": "n1"}, ("container", "unnamed")),
        ("up", {"job": "a", "tidegauge_role": "node", "tidegauge_service": "n"}, ("node", "n")),
        ("up", {"job": "a", "tidegauge_role": "container", "tidegauge_service": "n", "container": "c"}, ("container", "c")),
        ("up", {"job": "a", "tidegauge_role": "container", "tidegauge_service": "n"}, ("container", "n")),
        ("container_x", {"tidegauge_service": "n", "container": "c", "pod": "p-0"}, ("container", "n")),
        ("up", {"job": "a", "tidegauge_role": "nonsense"}, ("service", "a")),
        ("process_cpu_seconds_total", {"job": "a", "container": "c"}, ("service", "c")),
    ],
)
def test_roles(name, labels, expected):
    """Containers, whole pods and nodes by the metric's name; a role that we put there wins, one that is none does not count."""
    assert found(name, **labels) == expected


@given(
    st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8}){0,2}-[a-z]*[aeghijklmnopqrstuvwxyz][a-z]*", fullmatch=True),
    st.text(SAFE, min_size=5, max_size=5),
)
def test_no_word_of_a_daemon_is_taken_for_a_hash(name, pod):
    """The pods of ``node-exporter`` are not those of ``node``."""
    assert workload(f"{name}-{pod}") == name


@given(st.dictionaries(st.sampled_from([*SERVICE_LABELS, "pod", "instance", "exported_pod"]), st.text(string.printable, max_size=12)))
def test_every_series_is_about_somebody(labels):
    """No service without a name, whatever the labels are; and their order does not matter."""
    named = tuple(sorted({"__name__": "m", **labels}.items()))

    assert about(named)[1] != ""
    assert about(named) == about(named[::-1])
