"""What is put into a cluster brings no default password and switches no check off: row 43."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.app.config import DemoShop, SockShop
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.base.errors import PreflightError
from tasks.base.yaml_source import read_source
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.rights import documents
from tasks.faults.kube.guard_job import GuardPlan, account, job
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of
from tasks.load.kube.manifests import Crew
from tasks.load.kube.manifests import manifests as load_manifests
from tasks.load.kube.sources import sources
from tasks.load.plan import plan_of
from tasks.load.shapes import curve_of
from tasks.recordings.kube.smoke_job import smoke_pod
from tasks.telemetry.config import DeployedPrometheus
from tasks.telemetry.kube.deployment import Placed, manifests
from tests.kube.certificates import Authority
from tests.kube.fake_api import FakeApi
from tests.ledger import ROOT, Ledger

HERE = Placement("shop", "run-1")
UNCHECKED = re.compile(r"insecure[-_]?skip[-_]?(tls[-_]?)?verify\W+true|--insecure|sslmode=disable", re.IGNORECASE)
OPEN_TO_ALL = re.compile(r"anonymous\W+(enabled\W+)?true|system:(anonymous|unauthenticated)", re.IGNORECASE)
SECRET = re.compile(r"passw|secret|token|credential", re.IGNORECASE)
KNOWN = {
    "sock-shop": ["MYSQL_ROOT_PASSWORD is written out"],  # a published demonstration's, reached from inside its namespace alone
    "prometheus that asks kubelets itself": ["a certificate is not checked"],  # said so where it is chosen: kubelets sign for themselves
}
"""What is found though everything is as it should be."""


def rendered() -> dict[str, Any]:
    """Everything that we put into a cluster or tell others to, by what it is."""
    demo, socks = (app_of(config) for config in (DemoShop(), SockShop(kind="sock-shop")))
    placed = Placed("shop", 5.0, 3600.0, {}, "run-1")
    ways = {"by the API server": "api-server", "that asks kubelets itself": "kubelet", "of pods alone": "none"}
    prometheus = {
        f"prometheus {name}": manifests(DeployedPrometheus.model_validate({"namespace": "watch", "cadvisor": way}), placed)
        for name, way in ways.items()
    }
    guard = GuardPlan("run-1", "t001", "shop", "tools:1", (), 10.0, 10.0)
    return {
        "demo-shop": manifests_of(demo, HERE),
        "sock-shop": manifests_of(socks, HERE),
        **prometheus,
        "load": load(),
        "smoke test": smoke_pod(HERE, demo, "http://front-end.shop", "tools:1"),
        "guard": [job(guard), *account(guard, "uid")],
        "rights": documents(KubeconfigCluster(provider="kubeconfig", namespace="shop")),
        "values for helm": read_source(ROOT / "configs" / "kubernetes" / "kube-prometheus-stack-values.yaml", what="values").value,
    }


def load() -> Any:
    """Master and workers."""
    config = LoadConfig.model_validate({"users": {"shape": "constant", "users": 9}, "place": "pods"})
    plan = plan_of(config, curve=curve_of(config.users), journeys=journeys_of(config), host="http://front-end.shop", seed=1, raw=None)
    return load_manifests(Crew("load-1", "shop", "run-1", "tools:1", workers=1, at_most_s=60, memory_bytes=1 << 30), plan, sources())


def findings(value: Any) -> Iterator[str]:
    """What is wrong in *value* or anything in it."""
    if isinstance(value, Mapping):
        yield from _of_mapping(value)
        for key, inner in value.items():
            yield from findings(inner)
            yield from _unsafe(f"{key}: {inner}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from findings(inner)
    elif isinstance(value, str):
        yield from _unsafe(value)


def _of_mapping(value: Mapping[str, Any]) -> Iterator[str]:
    if value.get("kind") == "Secret":
        yield "a Secret is made"
    if value.get("kind") == "Service" and (value.get("spec") or {}).get("type", "ClusterIP") != "ClusterIP":
        yield "a Service is open to the outside"
    if SECRET.search(str(value.get("name", ""))) and isinstance(value.get("value"), str):
        yield f"{value['name']} is written out"
    if re.search("admin_?password", " ".join(map(str, value)), re.IGNORECASE):
        yield "an administrator's password is written out"
    if (value.get("grafana") or {}).get("enabled", "grafana" in value):
        yield "Grafana with its default password"


def _unsafe(text: str) -> Iterator[str]:
    if UNCHECKED.search(text):
        yield "a certificate is not checked"
    if OPEN_TO_ALL.search(text):
        yield "open to everybody"


@pytest.mark.parametrize("what", list(rendered()))
def test_nothing_that_is_rendered_brings_a_default_password_or_leaves_a_check_out(what: str, ledger: Ledger) -> None:
    """But for what is known, and said where it is chosen."""
    one = ledger.begin(row=43, fault="a default password, or a check that is off, in what is rendered", where="fake")

    assert sorted(set(findings(rendered()[what]))) == KNOWN.get(what, [])
    one.survived("findings 0")


@pytest.mark.parametrize(
    "planted",
    [
        {"kind": "Secret"},
        {"kind": "Service", "spec": {"type": "NodePort"}},
        {"env": [{"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "admin"}]},
        {"grafana": {"adminPassword": "prom-operator"}},
        {"grafana": {"enabled": True}},
        {"data": {"prometheus.yml": "tls_config:\n  insecure_skip_verify: true"}},
        {"clusters": [{"cluster": {"insecure-skip-tls-verify": True}}]},
        {"args": ["--insecure"]},
        {"auth.anonymous": {"anonymous": True}},
        {"subjects": [{"kind": "Group", "name": "system:unauthenticated"}]},
    ],
)
def test_what_is_looked_for_is_found(planted: dict[str, Any]) -> None:
    """In objects, in their values, in the files that they hold."""
    assert list(findings({"items": [planted]}))


@pytest.mark.parametrize("how", ["another authority", "another name", "no check", "no TLS"])
def test_a_server_that_is_not_checked_gets_nothing(how: str, tmp_path: Path, ledger: Ledger) -> None:
    """Refused with exit code 3 before a request is sent; a setting of its own lets an unchecked one through."""
    one = ledger.begin(row=43, fault="an API server that is not to be trusted", where="fake")
    wrong = {
        "another authority": {"certificate-authority-data": Authority().ca_base64},
        "another name": {"tls-server-name": "shop"},
        "no check": {"insecure-skip-tls-verify": True},
        "no TLS": {"server": "http://192.0.2.1:6443"},
    }
    with FakeApi(tls=True) as api:
        with pytest.raises(PreflightError) as refused:
            Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", cluster=wrong[how]))))
        requests = len(api.requests)

    assert (refused.value.exit_code, requests) == (3, 0)
    one.survived("0 requests without trust")
