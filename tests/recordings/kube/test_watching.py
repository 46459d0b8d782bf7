"""A cluster recorded out of a Prometheus: what becomes of pods and workloads, and events, are watched beside it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tasks.app.kube.placement import Placement
from tasks.base.clock import SystemClock
from tasks.base.errors import PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.rights import roles
from tasks.recordings.kube.deployed import KubeDeployed
from tasks.recordings.kube.sampling import cluster_sampling
from tasks.recordings.kube.watching import Accompanied, settled
from tasks.telemetry.config import KubeletSource, TelemetryConfig
from tasks.telemetry.kube.rights import needed
from tasks.telemetry.prometheus.certified import certified
from tasks.telemetry.prometheus.writer import counted
from tasks.telemetry.samples import read_samples, read_series
from tests.kube.fake_api import FakeApi
from tests.prometheus.servers import Job, Prometheus
from tests.telemetry.kube.shop import NAMESPACE, Shop, journal
from tests.telemetry.source_contract import until

POD = "front-f00-aaaaa"


@dataclass(frozen=True)
class Standing:
    """What sampling needs of a deployment: who it is, and the way to its API server."""

    kube: Kube
    login: Path
    where: Placement


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server outside of the cluster that scrapes itself five times a second."""
    with Prometheus(tmp_path_factory.mktemp("server"), jobs=[Job("self", interval_s=0.2)]) as started:
        started.retarget("self", started.url.removeprefix("http://"))
        started.wait(lambda: started.value("up") == 1, "scraped by itself")
        yield started


@pytest.fixture
def shop() -> Iterator[Shop]:
    """One pod of ``front`` in a cluster."""
    with FakeApi() as api:
        made = Shop(api)
        made.workload()
        made.pod(POD)
        yield made


@contextmanager
def sampled(shop: Shop, server: Prometheus, folder: Path) -> Iterator[Accompanied]:
    """A recording of that cluster whose only source is that server, while it goes on."""
    kubeconfig = shop.api.kubeconfig(folder.parent / "kubeconfig")
    standing = Standing(Kube.connect(KubeAccess(str(kubeconfig))), folder.parent / "login", Placement(NAMESPACE, "run-1"))
    source = {"kind": "prometheus", "url": server.url, "interval_s": 0.4, "settle_s": 0.2, "match": ['{__name__="up"}']}
    telemetry = TelemetryConfig.model_validate({"sources": [source], "flush_s": 0.2})
    deployed = cast("KubeDeployed", standing)
    with cluster_sampling(deployed, telemetry, folder, planned_s=60, clock=SystemClock()) as collector:
        assert isinstance(collector, Accompanied)
        yield collector


def names(folder: Path) -> set[tuple[str, str]]:
    """Service and name of each series so far."""
    return {(one.service, one.name) for one in read_series(folder)}


def told(folder: Path, name: str) -> list[float]:
    """The values so far of ``front``'s series of that name, in order of time."""
    samples, mine = read_samples(folder), [one.id for one in read_series(folder) if (one.service, one.name) == ("front", name)]
    return cast("list[float]", samples.value[np.isin(samples.series, mine)].tolist())


def test_a_recording_out_of_a_prometheus_keeps_what_happened_in_the_cluster(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """Events, restarts, readiness and replicas as data, as with the kubelet source; no kubelet and no pod is asked for anything."""
    folder = tmp_path / "recording"
    with sampled(shop, server, folder):
        until(lambda: ("front", "kube_pod_status_ready") in names(folder))
        shop.pod(POD, restarts=1)
        shop.event("fell")
        shop.workload(wanted=2)
        until(lambda: told(folder, "kube_deployment_spec_replicas")[-1] == 2)
        until(lambda: told(folder, "kube_pod_container_status_restarts_total")[-1] == 1)
        until(lambda: journal(folder / "kubernetes", "event") != [])

    assert [(one["object"], one["reason"]) for one in journal(folder, "event")] == [("pod/front-f00-aaaaa", "BackOff")]
    assert [one["containers"][0]["restarts"] for one in journal(folder, "pod")] == [0, 1]
    assert [one["wanted"] for one in journal(folder, "workload")] == [1, 2]
    assert [(one["replica"], one["pod"]) for one in journal(folder, "replica")] == [(0, POD)]
    assert ("self", "up") in names(folder)
    assert shop.api.asked("proxy") == []
    assert shop.api.asked("nodes") == []


def test_the_record_says_which_source_told_what(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """Certified as a recording of the server, and whole; what was watched is told apart, and its looks are a target."""
    folder = tmp_path / "recording"
    with sampled(shop, server, folder):
        until(lambda: told(folder, "replica_pods_total") != [])
    samples, series = read_samples(folder), read_series(folder)
    span = (float(samples.time_ms.min()) / 1000, float(samples.time_ms.max()) / 1000)
    said = json.loads((folder / "collector.json").read_text())["server"]
    found = certified(counted(folder), span=span, server=said)
    watched = [one.id for one in series if one.labels["job"] == "state"]

    assert said["server"] == server.url
    assert said["watched"]["by"] == "watches of the API server"
    assert (said["watched"]["series"], said["watched"]["not_allowed"]) == (len(watched), [])
    assert said["watched"]["samples"] == int(np.isin(samples.series, watched).sum())
    assert found.samples_found == found.samples_expected == len(samples.series)
    assert found.targets == 2


def test_nothing_of_the_watching_process_is_left_but_what_it_saw(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """Its samples are in the recording's chunks; what happened to it and what it saw stand beside them."""
    folder = tmp_path / "recording"
    with sampled(shop, server, folder):
        pass
    settled(folder)

    assert {path.name for path in folder.iterdir()} >= {"kubernetes.jsonl", "watch-events.jsonl", "collector-events.jsonl"}
    assert not (folder / "kubernetes").exists()


def test_a_watching_process_that_dies_is_started_again(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """As the reader of the server is; seats and events go on where they stood."""
    folder = tmp_path / "recording"
    with sampled(shop, server, folder) as collector:
        assert collector.watch is not None
        until(lambda: told(folder, "replica_pods_total") != [])
        first = collector.watch.process
        assert first is not None
        assert not collector.keep()
        first.signal(signal.SIGKILL)
        until(collector.keep)
        shop.workload(wanted=3)
        until(lambda: told(folder, "kube_deployment_spec_replicas")[-1] == 3)

    assert [(one["replica"], one["pod"]) for one in journal(folder, "replica")] == [(0, POD)]
    assert set(told(folder, "replica_pods_total")) == {1.0}


def test_events_that_may_not_be_seen_are_named(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """The rest is recorded."""
    folder = tmp_path / "recording"
    shop.api.granted = rights_without("events")
    with sampled(shop, server, folder):
        until(lambda: told(folder, "replica_pods_total") != [])
        until(lambda: watched_facts(folder)["not_allowed"] == ["events"])

    assert journal(folder, "event") == []
    assert journal(folder, "replica") != []


def test_a_cluster_that_may_not_be_watched_is_refused(shop: Shop, server: Prometheus, tmp_path: Path) -> None:
    """Before anything counts, in the words of whoever looked; nothing of the attempt goes on."""
    folder = tmp_path / "recording"
    shop.api.granted = rights_without("pods")
    with pytest.raises(PreflightError, match="to list pods in shop is not allowed"), sampled(shop, server, folder):
        pytest.fail("it was recorded")

    assert json.loads((folder / "collector.json").read_text())["alive"] is False


def rights_without(resource: str) -> list[dict[str, Any]]:
    """What watching needs, but for that resource: nothing of nodes is among it."""
    every = needed(KubeletSource(kind="kubelet", containers="none"), NAMESPACE)
    return roles("run", [one for one in every if one.what not in (resource, "pods/proxy")])


def watched_facts(folder: Path) -> dict[str, Any]:
    """What the reader of the server says of the watching process."""
    return cast("dict[str, Any]", json.loads((folder / "collector.json").read_text())["server"]["watched"])
