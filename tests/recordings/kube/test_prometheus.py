"""A Prometheus that a run puts into the cluster: who may, and that nothing of it stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import PreflightError
from tasks.base.shipped import shipped
from tasks.kube.errors import Forbidden
from tasks.kube.rights import granted, role_text
from tasks.recordings.kube.deployed import KubeDeployed
from tasks.recordings.kube.grants import NAMESPACE, for_prometheus
from tasks.recordings.kube.rights import needs_of
from tasks.recordings.kube.sampling import _placed, _put
from tasks.telemetry.config import DeployedPrometheus, PrometheusSource, TelemetryConfig
from tests.kube.fake_api import FakeApi
from tests.recordings.kube.deployments import deployed_in
from tests.recordings.kube.test_rights import CLUSTER, FIRST, rbac

HOME = "tidegauge"
FORMS = [
    {"namespace": NAMESPACE},
    {"namespace": NAMESPACE, "volume_gib": 5.0, "cadvisor": "kubelet"},
    {"namespace": NAMESPACE, "cadvisor": "none"},
    {"namespace": HOME, "cadvisor": "none"},
]
_DOCUMENTS = [("run", "prometheus", "nodes-proxy"), ("run", "prometheus"), ("run", "prometheus"), ("run",)]
GRANTED = list(zip(FORMS, _DOCUMENTS, strict=True))
"""Each form, and what has to be applied for it."""


def source(form: dict[str, Any]) -> PrometheusSource:
    """The section of a document."""
    return PrometheusSource(kind="prometheus", deploy=DeployedPrometheus.model_validate(form))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with both namespaces, whose Deployments are ready at once."""
    with FakeApi(namespaces=(HOME, NAMESPACE)) as running:

        def ready(item: dict[str, Any]) -> None:
            if item["kind"] == "Deployment" and not item.get("status"):
                whole = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
                running.put({**item, "status": {"observedGeneration": item["metadata"].get("generation", 1), **whole}})

        running.control(ready)
        yield running


def put(deployed: KubeDeployed, form: dict[str, Any]) -> None:
    """What a run does before it records."""
    wanted = source(form)
    assert wanted.deploy is not None
    _put(deployed, wanted.deploy, _placed(wanted, deployed.where, 3600.0), deployed.clock)


def ours(api: FakeApi) -> list[str]:
    """Everything that carries the label of a run."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Service", "Lease")
    return [f"{kind} {one['metadata']['name']}" for kind in kinds for one in api.all(kind) if one["metadata"].get("labels")]


def test_the_shipped_document_is_what_the_code_makes():
    """For the namespaces that stand in it; comments aside."""
    text = re.sub(r"^#.*\n", "", shipped("rbac/prometheus.yaml").read_text(), flags=re.MULTILINE)

    assert text == role_text(for_prometheus(CLUSTER))


def test_it_is_no_wider_than_it_says():
    """No wildcard, no Secrets, no right to give away what one has not."""
    words = {word for role in rbac("prometheus") for rule in role["rules"] for words in rule.values() for word in words}

    assert words & {"*", "secrets", "escalate", "bind", "impersonate", "deletecollection", "update", "nodes/proxy"} == set()


@pytest.mark.parametrize(("form", "names"), GRANTED)
def test_each_form_says_which_documents_grant_it(form, names):
    """And they do: nothing lacks for whoever has applied them."""
    needed = [one for one in needs_of(replace(FIRST, telemetry=TelemetryConfig(sources=(source(form),)))) if not one.optional]

    assert {one.document for one in needed} == set(names)
    assert [str(one.permission) for one in needed if not granted(one.permission, rbac(*names))] == []


@pytest.mark.parametrize(("form", "names"), GRANTED)
def test_it_is_put_there_and_removed_with_these_rights_alone(api, tmp_path, form, names):
    """By a server that lets nobody give away what he has not."""
    api.granted = rbac(*names)
    deployed = deployed_in(
        api, tmp_path, *dict.fromkeys((HOME, form["namespace"])), say=lambda _: None, wide=form.get("cadvisor") != "none"
    )

    put(deployed, form)
    assert "Deployment tidegauge-prometheus" in ours(api)
    assert deployed.down() == []
    assert ours(api) == []


def test_rights_that_the_login_has_not_are_given_to_nobody(api, tmp_path):
    """Who may make ClusterRoles, and not ask the kubelets, makes none that may; what was made before that is removed."""
    api.granted = rbac("run", "prometheus")
    deployed = deployed_in(api, tmp_path, HOME, NAMESPACE, say=lambda _: None, wide=True)

    with pytest.raises((Forbidden, PreflightError), match="not currently held: get nodes/proxy"):
        put(deployed, FORMS[0])
    assert deployed.down() == []
    assert ours(api) == []
