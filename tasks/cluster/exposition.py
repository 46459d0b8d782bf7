"""The supervisor's own metrics as text: cAdvisor's and kube-state-metrics' names, node-exporter's, and the harness's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tasks.cluster import procfs
from tasks.cluster.accounting import Accounts, Usage, own_usage
from tasks.cluster.kept import Kept

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


_USAGE: Mapping[str, Callable[[Usage], float]] = {
    "cpu": lambda usage: round(usage.counters.cpu_s, 6),
    "pss": lambda usage: float(usage.memory.pss_bytes),
    "rss": lambda usage: float(usage.memory.rss_bytes),
    "read": lambda usage: float(usage.counters.read_bytes),
    "written": lambda usage: float(usage.counters.written_bytes),
    "processes": lambda usage: float(usage.processes),
    "threads": lambda usage: float(usage.threads),
    "descriptors": lambda usage: float(usage.descriptors),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: name, type, meaning, and its rows of (labels, value)."""

    name: str
    type: str
    help: str
    rows: tuple[tuple[Mapping[str, str], float], ...]

    def lines(self) -> Iterator[str]:
        """As Prometheus's text format 0.0.4 has it; nothing when there are no rows."""
        if not self.rows:
            return
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.type}"
        for labels, value in self.rows:
            inner = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in sorted(labels.items()))
            yield f"{self.name}{{{inner}}} {value!r}" if inner else f"{self.name} {value!r}"


def render(families: Iterable[Family]) -> str:
    """The text of *families*."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def containers(accounts: Accounts, kept: Mapping[str, Kept]) -> str:
    """Page ``/metrics/cadvisor``: each service, label ``container``."""
    services = {name: one for name, one in sorted(kept.items()) if one.spec.role == "service"}
    usages = {name: accounts.usage(name) for name in services}

    def each(name: str, kind: str, meaning: str, value: str) -> Family:
        return Family(name, kind, meaning, tuple(({"container": key}, _USAGE[value](usage)) for key, usage in usages.items()))

    def own(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> Family:
        return Family(name, kind, meaning, tuple(({"container": key}, value) for key, value in values.items()))

    limits = {key: float(one.spec.memory_limit_bytes) for key, one in services.items() if one.spec.memory_limit_bytes is not None}
    reasons = tuple(({"container": key, "reason": one.last_reason}, 1.0) for key, one in services.items() if one.last_reason is not None)
    return render(
        (
            each("container_cpu_usage_seconds_total", "counter", "CPU time used.", "cpu"),
            each("container_memory_working_set_bytes", "gauge", "Proportional set size (PSS).", "pss"),
            each("container_memory_rss", "gauge", "Resident memory.", "rss"),
            each("container_fs_reads_bytes_total", "counter", "Bytes read from storage.", "read"),
            each("container_fs_writes_bytes_total", "counter", "Bytes written to storage.", "written"),
            each("container_processes", "gauge", "Running processes.", "processes"),
            each("container_threads", "gauge", "Running threads.", "threads"),
            each("container_file_descriptors", "gauge", "Open file descriptors.", "descriptors"),
            own(
                "container_start_time_seconds",
                "gauge",
                "Start of the present life, seconds since 1970.",
                {key: round(one.started_wall_s, 3) for key, one in services.items()},
            ),
            own("container_spec_memory_limit_bytes", "gauge", "Memory limit.", limits),
            own(
                "container_oom_events_total",
                "counter",
                "Times it was killed for its memory.",
                {key: float(one.oom_events) for key, one in services.items()},
            ),
            own(
                "kube_pod_container_status_restarts_total",
                "counter",
                "Starts after the first.",
                {key: float(one.restarts) for key, one in services.items()},
            ),
            Family("kube_pod_container_status_last_terminated_reason", "gauge", "Why it ended last.", reasons),
        )
    )


def node() -> str:
    """Page ``/metrics/node``: the machine."""
    memory = procfs.node_memory_bytes()
    return render(
        (
            Family(
                "node_cpu_seconds_total",
                "counter",
                "CPU time of all cores, by mode.",
                tuple(({"mode": mode}, value) for mode, value in procfs.node_cpu_s().items()),
            ),
            Family("node_load1", "gauge", "Load average over one minute.", (({}, procfs.node_load1()),)),
            *(Family(f"node_memory_{key}_bytes", "gauge", f"{key}.", (({}, float(value)),)) for key, value in sorted(memory.items())),
        )
    )


def harness(accounts: Accounts, services: Iterable[str]) -> str:
    """Page ``/metrics/harness``: what is not the app. Witnesses only, never features."""
    apart = set(services)
    usages: dict[str, Usage] = {name: accounts.usage(name) for name in sorted(accounts.open_accounts) if name not in apart}
    cpu_s, memory = own_usage()
    cpu = {"supervisor": round(cpu_s, 6), **{name: round(usage.counters.cpu_s, 6) for name, usage in usages.items()}}
    pss = {"supervisor": memory.pss_bytes, **{name: usage.memory.pss_bytes for name, usage in usages.items()}}
    return render(
        (
            Family(
                "harness_cpu_seconds_total", "counter", "CPU time used.", tuple(({"process": key}, value) for key, value in cpu.items())
            ),
            Family(
                "harness_memory_bytes",
                "gauge",
                "Proportional set size (PSS).",
                tuple(({"process": key}, float(value)) for key, value in pss.items()),
            ),
        )
    )
