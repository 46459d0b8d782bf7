"""What goes through the API server, who sends the load, and what happens in a cluster of that size by itself."""

from __future__ import annotations

from math import ceil

from flows.timeline import CALMING_S
from tasks.load.config import Constant, LoadConfig
from tasks.telemetry.config import KubeletSource
from tasks.telemetry.kube.api import CONNECTIONS
from tasks.telemetry.kube.rounds import connections
from tests.bench.kubelet import PODS
from tests.bench.many_pods import MANY
from tests.docs.scale.costs import Costs
from tests.docs.scale.said import Line, reckoned
from tests.docs.scale.sizes import Sizes

SOURCE = KubeletSource(kind="kubelet")
LOAD = LoadConfig(users=Constant(shape="constant", users=1))
YEAR_H = 8766.0
HALF = 0.5


def kubelets(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """The source that installs nothing: everything through the API server, in one process."""
    times, targets = sizes.pods / PODS, sizes.pods + sizes.nodes
    count = connections(targets, SOURCE.timeout_s, SOURCE.interval_s)
    return (
        Line(
            "requests",
            f"{sizes.pods:,} pods / {SOURCE.interval_s:g} s + {sizes.nodes} nodes / {SOURCE.kubelet_interval_s:g} s",
            sizes.pods / SOURCE.interval_s + sizes.nodes / SOURCE.kubelet_interval_s,
            "requests/s",
        ),
        Line("asked in one round", f"{sizes.pods:,} pods + {sizes.nodes} nodes", targets),
        Line(
            "over so many connections",
            f"{targets:,} / how often `timeout_s` {SOURCE.timeout_s:g} fits into `interval_s` {SOURCE.interval_s:g}; at most {CONNECTIONS}",
            count,
        ),
        Line("a round, by the wait alone", f"{targets:,} x {sizes.answer_s:g} s / {count}", targets * sizes.answer_s / count, "s"),
        Line(
            "a round, by the processor alone",
            f"`kubelet.scrape.cpu` x {SOURCE.interval_s:g} s x {sizes.pods:,} / {PODS}; the interval is {SOURCE.interval_s:g} s",
            reckoned(lambda one: one * SOURCE.interval_s * times, costs["kubelet.scrape.cpu"]),
            "s",
        ),
        Line(
            "recorder's processor",
            f"`kubelet.scrape.cpu` x {sizes.pods:,} / {PODS}; it is one process and has one core",
            reckoned(lambda one: one * times, costs["kubelet.scrape.cpu"]),
            "cores",
        ),
        Line(
            "pods at half a core",
            f"{HALF} / `kubelet.scrape.cpu` x {PODS}",
            reckoned(lambda one: HALF / one * PODS, costs["kubelet.scrape.cpu"]),
            "pods",
        ),
        Line(
            "the API server's processor",
            f"`kubelet.scrape.api_cpu` x {sizes.pods:,} / {PODS}",
            reckoned(lambda one: one * times, costs["kubelet.scrape.api_cpu"]),
            "cores",
        ),
        Line(
            "through the API server",
            f"`kubelet.scrape.received` x {sizes.pods:,} / {PODS}",
            reckoned(lambda one: one * times, costs["kubelet.scrape.received"]),
            "bytes/s",
        ),
        Line(
            "samples",
            f"`kubelet.scrape.samples` x {sizes.pods:,} / {PODS}",
            reckoned(lambda one: one * times, costs["kubelet.scrape.samples"]),
            "samples/s",
        ),
    )


def objects(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """Lists and watches, whatever the source: to find targets and to follow pods."""
    times = sizes.pods / MANY
    return (
        Line("one list of all pods, ours", "`kube.pods`", reckoned(lambda one: one * times, costs["kube.pods"]), "cpu s"),
        Line("memory of it", "`kube.pods.rss`", costs["kube.pods.rss"], "bytes"),
        Line("bytes of it", f"{sizes.pods:,} pods x {sizes.pod_bytes:,.0f} bytes, in pages of 500", sizes.pods * sizes.pod_bytes, "bytes"),
        Line(
            "every pod changes once, told by a watch",
            "`kube.pods.watch`",
            reckoned(lambda one: one * times, costs["kube.pods.watch"]),
            "cpu s",
        ),
        Line("memory of it", "`kube.pods.watch.rss`", costs["kube.pods.watch.rss"], "bytes"),
    )


def workers_of(sizes: Sizes, costs: Costs) -> float | None:
    """Load generators for the peak."""
    return reckoned(lambda one: ceil(sizes.requests_per_s / (LOAD.generator_cpu_limit_ratio * one)), costs["load.generator.requests"])


def generators(sizes: Sizes, costs: Costs) -> tuple[Line, ...]:
    """Locust's workers as pods."""
    limit, workers = LOAD.generator_cpu_limit_ratio, workers_of(sizes, costs)
    return (
        Line(
            "requests of one worker",
            f"`load.generator.requests` x {limit:g} of a core, above which its seconds are degraded",
            reckoned(lambda one: limit * one, costs["load.generator.requests"]),
            "requests/s",
        ),
        Line("workers", f"{sizes.requests_per_s:,.0f} requests/s / that, rounded up", workers),
        Line("their memory", "workers x `load.generator.rss`", reckoned(lambda a, b: a * b, workers, costs["load.generator.rss"]), "bytes"),
        Line(
            "their logs, on our disk",
            f"workers x {sizes.log_bytes_per_s:,.0f} bytes/s x {sizes.hours:g} h",
            reckoned(lambda one: one * sizes.log_bytes_per_s * sizes.weekend_s, workers),
            "bytes",
        ),
    )


def events(sizes: Sizes) -> tuple[Line, ...]:
    """Faults that are injected, time without any, and what breaks by itself."""
    faults_s = sizes.faults_ratio * sizes.weekend_s
    quiet_h = (1 - sizes.faults_ratio) * sizes.hours
    each_s = sizes.fault_s + sum(sizes.quiet_s) / 2 + CALMING_S
    return (
        Line(
            "faults, one after the other",
            f"({sizes.faults_ratio:.0%} of {sizes.hours:g} h - {sizes.before_s:g} s) / "
            f"({sizes.fault_s:g} + {sum(sizes.quiet_s) / 2:g} + {CALMING_S:g}) s",
            (faults_s - sizes.before_s) // each_s,
        ),
        Line("time without injected faults", f"{1 - sizes.faults_ratio:.0%} of {sizes.hours:g} h", quiet_h * 3600, "s"),
        Line("false alarms that none in that time rules out, at 95 %", f"3 / ({quiet_h:g} h / 24)", 72 / quiet_h, "a day"),
        Line(
            "nodes that fail by themselves",
            f"{sizes.nodes} nodes x {sizes.hours:g} h / {sizes.node_years:g} years",
            sizes.nodes * sizes.hours / (sizes.node_years * YEAR_H),
        ),
    )
