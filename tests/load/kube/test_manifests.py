"""A load as objects, before anything is asked of a cluster."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tasks.base.errors import DocumentError
from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of
from tasks.load.kube.manifests import LOAD, ROLE, Crew, manifests
from tasks.load.kube.sources import LOCUSTFILE, sources
from tasks.load.plan import plan_of
from tasks.load.shapes import curve_of

CREW = Crew("load-1a2b3c", "shop", "run-1", "tidegauge.local/locust:0.1.0", workers=3, at_most_s=99.5, memory_bytes=1 << 30)


def rendered(crew=CREW, **settings):
    """The objects, by kind; Jobs by their role."""
    config = LoadConfig.model_validate({"users": {"shape": "constant", "users": 9}, "place": "pods", "workers": 3, **settings})
    plan = plan_of(config, curve=curve_of(config.users), journeys=journeys_of(config), host="http://front-end.shop.svc", seed=1, raw=None)
    objects = manifests(crew, plan, sources())
    return {one["metadata"]["name"].rpartition("-")[2] if one["kind"] == "Job" else one["kind"]: one for one in objects}


def pod_of(job):
    """The pod that a Job makes."""
    return job["spec"]["template"]["spec"]


def test_everything_is_found_by_the_labels_of_its_run():
    """In the one namespace, pods included."""
    found = rendered()
    ours = {"app.kubernetes.io/managed-by": "tidegauge", "tidegauge.dev/run": "run-1", "tidegauge.dev/part": "load"}

    assert list(found) == ["ConfigMap", "Service", "master", "workers"]
    assert {one["metadata"]["namespace"] for one in found.values()} == {"shop"}
    labels = [one["metadata"]["labels"] for one in found.values()]
    labels += [found[role]["spec"]["template"]["metadata"]["labels"] for role in ("master", "workers")]
    assert all(ours.items() <= one.items() and one[LOAD] == "load-1a2b3c" for one in labels)


def test_the_number_of_workers_is_that_of_the_document():
    """Numbered pods, all at once; one master."""
    found = rendered()

    sizes = {
        role: [found[role]["spec"].get(name) for name in ("completions", "parallelism", "completionMode")] for role in ("master", "workers")
    }
    assert sizes == {"master": [1, 1, None], "workers": [3, 3, "Indexed"]}
    assert json.loads(found["ConfigMap"]["data"]["plan.json"])["workers"] == 3


def test_no_load_outlives_its_time():
    """The Jobs end by themselves, and are removed by themselves some time later."""
    for role in ("master", "workers"):
        spec = rendered()[role]["spec"]

        assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (100, 3600)


@pytest.mark.parametrize("role", ["master", "workers"])
def test_pods_have_no_rights_and_a_limit_to_all_they_use(role):
    """No token, no root, nothing to write to but a small folder; requests and limits for quotas that ask for them."""
    pod = pod_of(rendered()[role])
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind: sorted(values) for kind, values in container["resources"].items()} == {
        "requests": ["cpu", "memory"],
        "limits": ["cpu", "memory"],
    }


def test_workers_find_the_master_by_name():
    """The Service selects the master's pod alone, at once, and bears the name that workers are told."""
    found = rendered()
    service, (container,) = found["Service"], pod_of(found["workers"])["containers"]
    master_labels = found["master"]["spec"]["template"]["metadata"]["labels"]

    assert service["spec"]["selector"] == {LOAD: "load-1a2b3c", ROLE: "master"}
    assert service["spec"]["selector"].items() <= master_labels.items()
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    told = dict(zip(container["args"][1:], container["args"][2:], strict=False))
    assert (told["--master-host"], told["--master-port"]) == ("load-1a2b3c-master.shop.svc", "5557")


def test_code_and_plan_come_as_files():
    """Every key of the ConfigMap is mounted where a checkout would have it, and the locustfile is the one that is started."""
    found = rendered()
    pod, data = pod_of(found["workers"]), found["ConfigMap"]["data"]
    items = {item["path"]: item["key"] for item in pod["volumes"][0]["configMap"]["items"]}

    assert {path: data[key] for path, key in items.items() if path != "plan.json"} == sources()
    assert set(items.values()) == set(data)
    assert pod["containers"][0]["args"][-2:] == ["-f", LOCUSTFILE]
    assert all(key.replace(".", "").replace("_", "").isalnum() for key in data)


def test_a_worker_may_use_a_little_more_than_its_limit_before_it_is_killed():
    """Its seconds are degraded first."""
    found = rendered(replace(CREW, memory_bytes=400 << 20))

    assert pod_of(found["workers"])["containers"][0]["resources"]["limits"]["memory"] == str(500 << 20)


def test_a_load_that_is_too_long_for_a_config_map_is_refused():
    """Before anything is asked of the cluster, with what to do."""
    request = {"method": "GET", "path": "/" + "x" * 900}
    journeys = [{"name": f"long-{number}", "requests": [request] * 100} for number in range(12)]

    with pytest.raises(DocumentError, match=r"too long to be told to pods: 1,\d{3},\d{3} bytes"):
        rendered(journeys=journeys)
