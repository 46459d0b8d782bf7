"""The collector in a cluster, against an API server in memory: in this process, and as the process that it is."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.base.clock import SystemClock
from tasks.base.errors import CredentialsError, PreflightError, TidegaugeError
from tasks.base.process import ProcessId
from tasks.kube.rights import roles
from tasks.telemetry.certificate_text import sentences
from tasks.telemetry.config import KubeletSource
from tasks.telemetry.kube import rounds
from tasks.telemetry.kube.certified import certified
from tasks.telemetry.kube.collect import KubeletProcess
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.kube.refusals import BEHIND
from tasks.telemetry.kube.rights import needed
from tasks.telemetry.outages import explained, outages
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.series import Series
from tasks.telemetry.source import TelemetrySource
from tests.kube.fake_api import FakeApi
from tests.telemetry.kube.shop import NAMESPACE, Shop, journal, page_of
from tests.telemetry.source_contract import SourceContract, until

PODS = ("front-f00-aaaaa", "front-f00-bbbbb", "front-f00-ccccc")
LOGIN = "s3cr3t-of-the-login"
Step = tuple[Callable[[], Any], Callable[[KubeletProcess], bool]]
"""What is done, and what it should lead to."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    """One pod of ``front`` in a cluster."""
    with FakeApi() as api:
        made = Shop(api)
        made.workload()
        made.pod(PODS[0])
        yield made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where it is recorded to."""
    return tmp_path / "recording"


class Tape:
    """What was recorded."""

    disturbed = False
    """Whether the machine was too busy for the schedule: then scrapes are missing, and known to be."""

    def __init__(self, out: Path) -> None:
        self.series: tuple[Series, ...] = read_series(out)
        self.samples: Samples = read_samples(out)

    def of(self, name: str, service: str = "front", **labels: str) -> list[Series]:
        """The series of that name with these labels among theirs."""
        return [one for one in self.series if (one.name, one.service) == (name, service) and labels.items() <= one.labels.items()]

    def values(self, name: str, service: str = "front", **labels: str) -> dict[int, float]:
        """Value by time in ms of the one such series."""
        (one,) = self.of(name, service, **labels)
        mine = self.samples.series == one.id
        return dict(zip(self.samples.time_ms[mine].tolist(), self.samples.value[mine].tolist(), strict=True))

    def certificate(self) -> Any:
        """Over all of it."""
        up = np.isin(self.samples.series, [one.id for one in self.series if one.name == "up"])
        times = self.samples.time_ms[up] / 1000
        return certified(self.series, self.samples, span=(float(times.min()), float(times.max())))


def recorded(plan: KubeletPlan, *steps: Step) -> Tape:
    """Collect here, while one step is taken after the other; what was recorded."""

    async def run() -> None:
        collector = KubeletProcess(plan, SystemClock())
        working = asyncio.create_task(collector.run())
        try:
            for act, expected in steps:
                act()
                async with asyncio.timeout(20):
                    while not expected(collector) and not working.done():
                        await asyncio.sleep(0.005)
        finally:
            collector.stop()
            try:
                await working
            finally:
                collector.writer.close()
                counts = collector.counts
                disturbed.extend((counts.missed_ticks, counts.discarded, collector.facts()["kubelet"]["unknown_ticks"]))

    disturbed: list[int] = []
    asyncio.run(run())
    tape = Tape(plan.out)
    tape.disturbed = any(disturbed) or any(LATE in str(one.get("error")) for one in happened(plan.out))
    return tape


def nothing() -> None:
    """Is done."""


def scraped(shop: Shop, pod: str, times: int) -> Callable[[Any], bool]:
    """Whether the page of *pod* was asked so often more since the first look."""
    before: list[int] = []

    def reached(_: Any) -> bool:
        count = len(shop.served.get(pod, []))
        before[:] = before or [count]
        return count >= before[0] + times

    return reached


UNHEARD = ("target_unheard", "target_heard", "target_gone")
LATE = "no complete reply within"
"""What a pod is told to have done when this machine is busy with something else."""


def happened(out: Path) -> list[dict[str, Any]]:
    """What happened to the collector."""
    return [json.loads(line) for line in (out / "collector-events.jsonl").read_text().splitlines()]


class TestKubeletIsASource(SourceContract):
    """The source that needs nothing in the cluster keeps the contract of all sources."""

    @contextmanager
    def started(self, out: Path) -> Iterator[TelemetrySource]:
        """A collector on one pod."""
        with FakeApi() as api:
            shop = Shop(api)
            shop.workload()
            shop.pod(PODS[0])
            collector = Collector.start(shop.plan(out))
            try:
                yield collector
            finally:
                collector.stop()

    def process(self, source: TelemetrySource) -> ProcessId:
        """The collector's own."""
        assert isinstance(source, Collector)
        assert source.process is not None
        return source.process


def test_a_pod_is_replaced(shop, out):
    """One series goes on, a reset is counted; every value that a page showed and every look of the kubelet is there once, and no other."""
    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 4)),
        (lambda: (shop.pod(PODS[0], leaving=True), shop.pod(PODS[1], running=False)), scraped(shop, PODS[0], 1)),
        (lambda: shop.remove(PODS[0]), lambda _: any(one["pod"] == PODS[1] for one in journal(out, "replica"))),
        (nothing, lambda one: "front/0" in one.counts.errors),
        (lambda: shop.pod(PODS[1]), scraped(shop, PODS[1], 4)),
    )

    told = list(tape.values("requests_total", job="pods", replica="0").values())
    shown = shop.served[PODS[0]] + shop.served[PODS[1]]
    rest = iter(shown)
    assert all(value in rest for value in told), "in their order, and each once"
    lost = told not in (shown, shown[:-1])  # the last scrape may have been under way when it was stopped
    assert not lost or tape.disturbed
    cpu = tape.values("container_cpu_usage_seconds_total", job="cadvisor", replica="0", container="c")
    assert cpu.items() <= shop.looked[PODS[0]].items() | shop.looked[PODS[1]].items()
    found = tape.certificate()
    assert found.counter_resets >= 2
    assert (found.duplicates, found.out_of_order) == (0, 0)
    assert found.samples_found == found.samples_expected
    assert 0.0 in tape.values("up", job="pods").values(), "for a moment nobody was there"
    assert found.gaps == () or tape.disturbed, "which was seen, and is no gap"
    assert [(one["replica"], one["pod"]) for one in journal(out, "replica")] == [(0, PODS[0]), (0, PODS[1])]
    assert sorted(set(tape.values("replica_pods_total", job="state").values())) == [1.0, 2.0]


def test_a_rollout_keeps_one_series(shop, out):
    """The new pod runs beside the old one and waits; when that is asked to go it takes over, with all that it had counted."""
    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 2)),
        (lambda: shop.pod(PODS[1]), scraped(shop, PODS[0], 3)),
        (lambda: shop.served.setdefault("before", [float(PODS[1] in shop.served)]), lambda _: True),
        (lambda: shop.pod(PODS[0], leaving=True), scraped(shop, PODS[1], 2)),
        (lambda: shop.remove(PODS[0]), scraped(shop, PODS[1], 2)),
    )

    assert shop.served["before"] == [0.0]
    assert len(tape.of("requests_total")) == 1
    assert len(tape.of("container_cpu_usage_seconds_total", job="cadvisor")) == 1
    assert journal(out, "replica")[-1]["pod"] == PODS[1]


def test_replicas_have_numbers_of_their_own(shop, out):
    """Scaled out and in again: the second one's place stays looked at, and nobody is missed in it."""
    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 1)),
        (lambda: (shop.workload(wanted=2), shop.pod(PODS[1])), scraped(shop, PODS[1], 2)),
        (lambda: (shop.workload(wanted=1), shop.remove(PODS[1])), scraped(shop, PODS[0], 3)),
        (nothing, lambda one: one.counts.errors == {}),
    )

    second = list(tape.values("up", job="pods", replica="1").values())
    assert (second[0], second[-1]) == (1.0, 0.0)
    assert len(tape.of("requests_total")) == 2
    assert tape.certificate().gaps == () or tape.disturbed


def test_a_workload_that_is_scaled_to_nothing_is_down(shop, out):
    """Whoever wanted that."""
    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 1)),
        (
            lambda: (shop.workload(wanted=0), shop.remove(PODS[0])),
            lambda one: one.counts.errors == {"front/0": "no pod runs in this place"},
        ),
    )

    assert list(tape.values("up", job="pods").values())[-1] == 0.0
    assert list(tape.values("kube_deployment_spec_replicas").values())[-1] == 0.0


@pytest.mark.parametrize("how", ["refused", "silent", "own words"])
def test_a_pod_that_does_not_answer_is_up_0(shop, out, how):
    """It is the API server's word, or the pod's silence while the API server itself answers."""

    def fail() -> None:
        if how == "refused":
            shop.api.fail_next(503, times=3, path=page_of(PODS[0]), message=f"{BEHIND}: dial tcp: connection refused")
        elif how == "silent":
            shop.api.stall_next(times=3, path=page_of(PODS[0]))
        else:
            shop.api.fail_next(502, times=3, path=page_of(PODS[0]), plain=True)

    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 2)),
        (fail, lambda one: "front/0" in one.counts.errors),
        (nothing, lambda one: "front/0" not in one.counts.errors),
    )

    up = list(tape.values("up", job="pods").values())
    assert 0.0 in up
    assert up[-1] == 1.0
    assert tape.certificate().gaps == () or tape.disturbed


@pytest.mark.parametrize(
    ("how", "words"),
    [("cut", {"cut"}), ("refuses", {"500"}), ("too busy", {"429"}), ("hangs", {"silent", "timeout"}), ("new login", {"401"})],
)
def test_when_the_api_server_does_not_answer_nothing_is_said(shop, out, how, words):
    """Of pods that nobody could ask nothing is known: a gap with its cause, no ``up 0``, and no secret anywhere."""

    def fail() -> None:
        if how == "cut":
            shop.api.cut_next(times=10_000)
            shop.api.cut_watches()
        elif how == "hangs":
            shop.api.stall_next(times=10_000, path="/proxy/")
        elif how == "new login":
            shop.api.bearer = "another"
        else:
            shop.api.fail_next(500 if how == "refuses" else 429, times=10_000, message="etcdserver: request timed out")

    def mend() -> None:
        shop.api.bearer = LOGIN
        shop.api.plan.clear()

    shop.api.bearer = LOGIN
    tape = recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 3)),
        (fail, lambda one: one.facts()["kubelet"]["unknown_ticks"] >= 3),
        (mend, scraped(shop, PODS[0], 2)),
        (nothing, lambda one: "API server" not in one.counts.errors),
        (nothing, scraped(shop, PODS[0], 2)),
    )

    assert [one for one in happened(out) if one["kind"] == "target_down" and LATE not in one["error"]] == []
    gaps = explained([gap for gap in tape.certificate().gaps if gap.missing >= 2], outages(happened(out), scraping=True))
    assert {gap.target for gap in gaps} - {"kubernetes"} == {None}, "how pods are may be known a moment later than they are scraped"
    assert tape.disturbed or {gap.cause and gap.cause.word for gap in gaps} <= words
    assert all(LOGIN not in path.read_text(errors="replace") for path in out.rglob("*") if path.is_file())
    assert [one["kind"] for one in happened(out) if one["kind"].startswith("api_")][:2] == ["api_down", "api_up"]


def test_one_page_that_the_api_server_will_not_ask_for_is_a_gap_of_that_target(shop, out):
    """It answers otherwise, so its words about the one page say nothing about the pod."""
    shop.workload(wanted=2)
    shop.pod(PODS[1])
    tape = recorded(
        shop.plan(out, containers="none"),
        (nothing, scraped(shop, PODS[1], 3)),
        (
            lambda: shop.api.fail_next(500, times=4, path=PODS[1], message="no tunnel"),
            lambda _: not any(one.times for one in shop.api.plan.planned),
        ),
        (nothing, scraped(shop, PODS[1], 3)),
    )

    known = outages(happened(out), scraping=True)
    whole = [one for one in explained(tape.certificate().gaps, known) if one.target == "front" and one.missing >= 3]
    assert [(one.cause.word, one.cause.said) for one in whole] == [("500", "the API server answers 500: no tunnel")] or tape.disturbed
    assert [one["target"] for one in happened(out) if one["kind"] == "target_unheard"] == ["front/1"] or tape.disturbed


def test_a_page_that_could_not_be_asked_explains_nothing_once_its_replica_is_gone(shop, out):
    """It is scaled in while the API server has too much to do for its page: that ends there."""
    shop.workload(wanted=2)
    shop.pod(PODS[1])
    recorded(
        shop.plan(out, containers="none"),
        (nothing, scraped(shop, PODS[1], 2)),
        (lambda: shop.api.fail_next(429, times=10_000, path=PODS[1]), lambda _: "target_unheard" in kinds(out, "front/1")),
        (lambda: (shop.workload(wanted=1), shop.remove(PODS[1])), lambda _: "target_gone" in kinds(out, "front/1")),
        (nothing, scraped(shop, PODS[0], 2)),
    )

    assert kinds(out, "front/1")[:2] == ["target_unheard", "target_gone"]
    known = [one for one in outages(happened(out), scraping=True) if one.target == "front"]
    assert known
    assert all(one.end_s < time.time() for one in known), "none of them goes on"


def test_a_node_is_not_gone_at_the_ticks_between(shop, out):
    """It is asked at every third tick only; that it could not be asked goes on until it is."""
    page = "/api/v1/nodes/node1/proxy/metrics/resource"
    recorded(
        shop.plan(out, kubelet_interval_s=0.45),
        (nothing, scraped(shop, PODS[0], 4)),
        (
            lambda: shop.api.fail_next(500, times=10_000, path=page, message="no tunnel"),
            lambda _: "target_unheard" in kinds(out, "node1/resource"),
        ),
        (nothing, scraped(shop, PODS[0], 7)),
        (shop.api.plan.clear, lambda _: "target_heard" in kinds(out, "node1/resource")),
    )

    assert kinds(out, "node1/resource") == ["target_unheard", "target_heard"]


def kinds(out: Path, target: str) -> list[str]:
    """What happened about whether *target* can be asked."""
    return [one["kind"] for one in happened(out) if one.get("target") == target and one["kind"] in UNHEARD]


def test_a_round_that_is_longer_than_the_interval_is_told(shop, out, monkeypatch):
    """Two connections for eight slow pages: each is read now and then, nobody is called down, and the certificate says what to do."""
    monkeypatch.setattr(rounds, "CONNECTIONS", 2)
    names = [f"front-f00-slow{number}" for number in range(8)]
    shop.remove(PODS[0])
    shop.workload(wanted=len(names))
    for name in names:
        shop.pod(name)
        shop.api.texts[page_of(name)] = partial(slowly, shop.api.texts[page_of(name)])
    tape = recorded(
        shop.plan(out, interval_s=0.3, containers="none"),
        (nothing, lambda one: one.rounds.late >= 3 and all(len(shop.served.get(name, ())) >= 2 for name in names)),
    )

    told = json.loads((out / "collector.json").read_text())["kubelet"]["rounds"]
    said = sentences(replace(tape.certificate(), rounds=told).to_json())
    assert (told["connections"], told["targets"]) == (2, 8)
    assert [one["kind"] for one in happened(out) if one["kind"].startswith("rounds_")][:1] == ["rounds_late"]
    assert any(one.startswith("warning: a round takes ") and one.endswith("raise interval_s or use a Prometheus") for one in said)
    assert [one for one in happened(out) if one["kind"] == "target_down"] == [] or tape.disturbed
    assert len(tape.of("requests_total")) == len(names)


def slowly(page: Callable[[Any], str], seen: Any) -> str:
    """*page*, after a while."""
    time.sleep(0.15)
    return page(seen)


def test_a_collector_that_has_nothing_to_write_still_shows_that_it_lives(shop, out):
    """Otherwise whoever looks after it would take it for hung while the API server is away."""
    seen: list[float] = []

    def written() -> float:
        return float(json.loads((out / "collector.json").read_text())["written_s"])

    recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 2)),
        (lambda: shop.api.fail_next(500, times=10_000), lambda one: one.facts()["kubelet"]["unknown_ticks"] >= 2),
        (lambda: seen.append(written()), lambda _: written() > seen[0]),
    )


def test_a_killed_collector_goes_on(shop, out):
    """Replicas keep their numbers, rows that were recorded are not recorded again, events are not told again."""
    shop.workload(wanted=2)
    shop.pod(PODS[1])
    collector = Collector.start(shop.plan(out))
    try:
        shop.event("once")
        until(lambda: len(journal(out, "event")) == 1 and collector.status().chunk >= 2)
        assert collector.process is not None
        collector.process.signal(signal.SIGKILL)
        until(lambda: not collector.status().alive)
        shop.remove(PODS[0])
        shop.pod(PODS[2])
        assert collector.keep()
        until(lambda: len(shop.served.get(PODS[2], [])) >= 3)
    finally:
        collector.stop()

    tape = Tape(out)
    assert [(one["replica"], one["pod"]) for one in journal(out, "replica")] == [(0, PODS[0]), (1, PODS[1]), (0, PODS[2])]
    assert {one.labels["replica"] for one in tape.of("requests_total")} == {"0", "1"}
    assert list(tape.values("replica_pods_total", job="state", replica="0").values())[-1] == 2.0
    assert tape.certificate().duplicates == 0
    assert len(journal(out, "event")) == 1


def test_events_are_told_each_time_that_they_happen(shop, out):
    """Not those from before, none twice though it was listed anew, and once more when it happened once more."""
    shop.event("old", at_s=time.time() - 60)
    recorded(
        shop.plan(out),
        (nothing, scraped(shop, PODS[0], 1)),
        (lambda: shop.event("new"), lambda _: len(journal(out, "event")) == 1),
        (nothing, lambda _: shop.api.cut_watches() or len([one for one in shop.api.asked("events") if not one.watches]) >= 2),
        (lambda: shop.event("new", count=2), lambda _: len(journal(out, "event")) == 2),
    )

    lines = journal(out, "event")
    assert [(one["count"], one["reason"], one["object"], one["service"]) for one in lines] == [
        (count, "BackOff", "pod/front-f00-aaaaa", "front") for count in (1, 2)
    ]


def test_our_own_pods_are_not_observed(shop, out):
    """Load and telemetry in the same namespace leave no series."""
    shop.pod("locust-f00-zzzzz", workload="locust", **{"tidegauge.dev/part": "load"})
    tape = recorded(shop.plan(out), (nothing, scraped(shop, PODS[0], 3)))

    assert {one.service for one in tape.series} == {"front", "node", "kubernetes"}


def granted(shop: Shop, *but: str) -> None:
    """Let the login do what the source needs, but for what is named."""
    rights = [one for one in needed(KubeletSource(kind="kubelet"), NAMESPACE) if one.what not in but]
    shop.api.granted = roles("run", rights)


def not_allowed(one: KubeletProcess) -> list[str]:
    """What it may not see."""
    found: list[str] = one.facts()["kubelet"]["not_allowed"]
    return found


def test_the_rights_that_it_says_are_all_that_it_needs(shop, out):
    """Under the smallest Roles: samples of pods, nodes and state come, nothing is refused."""
    granted(shop)
    refused: list[str] = []
    tape = recorded(shop.plan(out), (nothing, scraped(shop, PODS[0], 3)), (nothing, lambda one: refused.extend(not_allowed(one)) is None))

    assert {one.labels["job"] for one in tape.series} == {"pods", "cadvisor", "resource", "state"}
    assert refused == []


@pytest.mark.parametrize(
    ("denied", "error", "said"),
    [
        ("nodes/proxy", PreflightError, "nodes/proxy"),
        ("pods", PreflightError, "to list pods in shop"),
        (None, CredentialsError, "let us in"),
    ],
)
def test_what_would_be_missing_from_all_of_it_is_refused_at_once(shop, out, denied, error, said):
    """Without the kubelets, the pods or a login there is nothing to record; the message names the right."""
    plan = shop.plan(out)
    if denied is None:
        shop.api.bearer = "another"
    else:
        granted(shop, denied)

    with pytest.raises(TidegaugeError, match=said) as caught:
        recorded(plan, (nothing, lambda _: False))

    assert type(caught.value) is error


def test_without_the_wide_right_the_rest_is_recorded(shop, out):
    """``containers: none`` asks no kubelet; workloads that may not be seen are named."""
    granted(shop, "nodes/proxy", "deployments", "statefulsets", "daemonsets")
    refused: list[str] = []
    tape = recorded(
        shop.plan(out, containers="none"),
        (nothing, scraped(shop, PODS[0], 3)),
        (nothing, lambda one: refused.extend(not_allowed(one)) is None),
    )

    assert {one.labels["job"] for one in tape.series} == {"pods", "state"}
    assert refused == ["deployments", "statefulsets", "daemonsets"]


def test_to_watch_alone_asks_nobody_for_metrics(shop, out):
    """Beside a Prometheus it records how pods are, and what happened."""
    tape = recorded(shop.plan(out, watch_alone=True), (nothing, lambda one: one.counts.scrapes >= 2))

    assert shop.api.asked("proxy") == []
    assert {one.name for one in tape.series} >= {"kube_pod_status_ready", "kube_deployment_spec_replicas", "up"}


def test_labels_of_an_app_that_are_ours_are_renamed(shop, out):
    """As Prometheus does it; a port or an instance is no part of a series."""
    shop.api.texts[page_of(PODS[0])] = 'm{job="mine",replica="7",instance="i",port="1",x="y"} 1\n'
    tape = recorded(shop.plan(out), (nothing, lambda one: one.counts.scrapes >= 6))

    (one,) = tape.of("m")
    assert one.labels == {"exported_job": "mine", "exported_replica": "7", "x": "y", "job": "pods", "replica": "0"}


def test_a_page_may_be_named_by_workload(shop, out):
    """Where the pods do not say it themselves."""
    shop.api.texts[page_of(PODS[0]).replace(":80/proxy/metrics", ":81/proxy/own")] = "m 1\n"
    tape = recorded(shop.plan(out, pages={"front": "81/own"}), (nothing, lambda one: one.counts.scrapes >= 6))

    assert tape.of("m")


def test_it_uses_neither_the_kubernetes_client_nor_pydantic():
    """What runs beside the load stays light."""
    code = "import sys, tasks.telemetry.kube.collect; print([m for m in ('kubernetes', 'pydantic', 'pandas', 'urllib3', 'httpx') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
