"""What a Prometheus in a cluster is told to scrape: the app's pods, and the kubelets' pages about their containers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tasks.telemetry.prometheus.identity import ROLE_LABEL, SERVICE_LABEL

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SERVER = "kubernetes.default.svc:443"
META = "__meta_kubernetes_"
HASH, RANDOM = "[456789bcdf]{6,10}", "[bcdfghjklmnpqrstvwxz2456789]{5}"
"""What Kubernetes puts behind the name of a Deployment: the template's hash, and five letters a pod."""
ANY = "(.+)"

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scraping:
    """What is scraped how often."""

    namespace: str
    """Of the app."""
    interval_s: float
    """Of the pods' own pages."""
    kubelet_interval_s: float
    """Of the kubelets' pages."""
    cadvisor: str
    """``api-server``, ``kubelet`` or ``none``: the way to the kubelets."""


def prometheus_yml(wanted: Scraping) -> str:
    """The configuration file; JSON is YAML."""
    jobs = [pods_job(wanted)] + ([] if wanted.cadvisor == "none" else [cadvisor_job(wanted)])
    told = {"scrape_interval": duration(wanted.interval_s), "scrape_timeout": duration(wanted.interval_s)}
    return json.dumps({"global": told, "scrape_configs": jobs}, indent=1) + "\n"


def pods_job(wanted: Scraping) -> dict[str, Any]:
    """Pods by their annotations; those that have ended are not asked. The workload, not the pod, names the service."""
    return {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [wanted.namespace]}}],
        "relabel_configs": [
            _rule("keep", ["pod_annotation_prometheus_io_scrape"], "true"),
            _rule("drop", ["pod_phase"], "Succeeded|Failed"),
            _rule("drop", ["pod_label_tidegauge_dev_part"], "load|telemetry|fault|lease"),
            _put("__metrics_path__", ["pod_annotation_prometheus_io_path"], ANY),
            {**_put("__address__", ["pod_ip", "pod_annotation_prometheus_io_port"], r"(.+);(\d+)"), "replacement": "$1:$2"},
            *(_put(label, [source], ANY) for label, source in (("namespace", "namespace"), ("pod", "pod_name"), ("node", "pod_node_name"))),
            _put(SERVICE_LABEL, ["pod_label_app"], ANY),
            _put(SERVICE_LABEL, ["pod_controller_kind", "pod_controller_name"], f"ReplicaSet;(.+)-{HASH}"),
            _put(SERVICE_LABEL, ["pod_controller_kind", "pod_controller_name"], "(?:StatefulSet|DaemonSet);(.+)"),
            _put(SERVICE_LABEL, ["pod_label_tidegauge_dev_service"], ANY),
            {"target_label": ROLE_LABEL, "replacement": "service"},
        ],
    }


def cadvisor_job(wanted: Scraping) -> dict[str, Any]:
    """Every node's cAdvisor page; of its rows those of the app's pods, and those of the node itself."""
    through = wanted.cadvisor == "api-server"
    way: list[Rule] = [_put("node", ["node_name"], ANY)]
    if through:
        way += [
            {"target_label": "__address__", "replacement": SERVER},
            {**_put("__metrics_path__", ["node_name"], ANY), "replacement": "/api/v1/nodes/$1/proxy/metrics/cadvisor"},
        ]
    return {
        "job_name": "cadvisor",
        "scheme": "https",
        "scrape_interval": duration(wanted.kubelet_interval_s),
        "scrape_timeout": duration(wanted.kubelet_interval_s),
        **({} if through else {"metrics_path": "/metrics/cadvisor"}),
        "authorization": {"credentials_file": f"{ACCOUNT}/token"},
        "tls_config": {"ca_file": f"{ACCOUNT}/ca.crt"} if through else {"insecure_skip_verify": True},
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": way,
        "metric_relabel_configs": [
            {"action": "drop", "source_labels": ["__name__"], "regex": "container_last_seen|container_tasks_state|cadvisor_version_info"},
            {"action": "keep", "source_labels": ["namespace", "id"], "regex": f"{wanted.namespace};.*|;/|;"},
            {"action": "labeldrop", "regex": "image|machine_id|system_uuid|boot_id"},
        ],
    }


def duration(seconds: float) -> str:
    """As Prometheus writes it: whole milliseconds."""
    return f"{max(1, round(seconds * 1000))}ms"


def _rule(action: str, sources: list[str], regex: str) -> Rule:
    return {"action": action, "source_labels": [META + name for name in sources], "regex": regex}


def _put(label: str, sources: list[str], regex: str) -> Rule:
    """Put what *regex* finds in *sources* into *label*; nothing where it does not match."""
    return {"source_labels": [META + name for name in sources], "regex": regex, "target_label": label}
