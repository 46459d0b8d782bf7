"""How big the weekend of ``docs/scale.md`` is, and what is assumed of it. None of this was measured at that size."""

from __future__ import annotations

from dataclasses import dataclass, fields

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """The weekend."""

    hours: float = 60.0
    nodes: int = 500
    pods: int = 5000
    services: int = 500
    interval_s: float = 15.0
    flush_s: float = 60.0
    overlap_s: float = 60.0
    own: int = 84
    about: int = 74
    needed: int = 94
    node: int = 107
    node_exporter: int = 134
    answer_s: float = 0.05
    columns: int = 25
    chunk: int = 120
    server_bytes: float = 4096.0
    pod_bytes: float = 3000.0
    requests_per_s: float = 10_000.0
    log_bytes_per_s: float = 1150.0
    parts: int = 15
    task_s: float = 0.12
    faults_ratio: float = 0.2
    before_s: float = 240.0
    fault_s: float = 120.0
    quiet_s: tuple[float, float] = (225.0, 245.0)
    memory_gb: float = 16.0
    node_years: float = 2.0

    @property
    def weekend_s(self) -> float:
        """Its length in seconds."""
        return self.hours * HOUR_S

    @property
    def scrapes(self) -> float:
        """Samples of a series."""
        return self.weekend_s / self.interval_s

    @property
    def series_all(self) -> int:
        """Everything that the app's pods and the nodes show; of node exporters what is read, as nobody counted the rest."""
        return self.pods * (self.own + self.about) + self.nodes * (self.node + self.node_exporter)

    @property
    def series_read(self) -> int:
        """What the default catalogue reads of that, and of a node exporter."""
        return self.pods * self.needed + self.nodes * self.node_exporter

    @property
    def samples_all(self) -> float:
        """In the whole weekend."""
        return self.series_all * self.scrapes

    @property
    def samples_read(self) -> float:
        """In the whole weekend."""
        return self.series_read * self.scrapes

    @property
    def cells(self) -> float:
        """Rows times columns of the feature matrix."""
        return self.scrapes * self.services * self.columns


DEMO = "counted in a recording of the demo shop (8 pods) on a real cluster"
CHOSEN = "chosen for this page"
WHENCE: dict[str, tuple[str, str]] = {
    "hours": ("length of the weekend, in hours", CHOSEN),
    "nodes": ("nodes", CHOSEN),
    "pods": ("pods of the app", CHOSEN),
    "services": ("workloads that they belong to", "ten replicas each, assumed"),
    "interval_s": ("seconds between two scrapes of a series", "chosen: kubelets look at a container every 10 to 19 s"),
    "flush_s": ("`telemetry.flush_s`", CHOSEN),
    "overlap_s": ("`overlap_s` of the Prometheus source", "its default"),
    "own": ("series of a pod's own page", DEMO),
    "about": ("series about a pod: its container, its network, its state", DEMO),
    "needed": ("of both, those that the default catalogue reads", DEMO),
    "node": ("series about a node, of its kubelet", "counted on the one node there"),
    "node_exporter": ("series of a node exporter that the catalogue reads", "16 processors in 8 modes, and 6; assumed"),
    "answer_s": ("seconds until a page has come by way of the API server", "assumed"),
    "columns": ("columns of a service", DEMO),
    "chunk": ("samples in a chunk of a Prometheus, which it sends whole", "its documented default"),
    "server_bytes": ("memory of a Prometheus for each series", "assumed; commonly 3 to 8 kB"),
    "pod_bytes": ("a pod in a list, as JSON", "seen once with 1,029 small pods; real ones are larger"),
    "requests_per_s": ("requests that users send, at the peak", "two a pod, assumed"),
    "log_bytes_per_s": ("log of one load generator", DEMO),
    "parts": ("recordings into which the weekend is divided", CHOSEN),
    "task_s": ("processor time of a Prefect task, client and server", "seen: at most 0.01 and 0.11 s"),
    "faults_ratio": ("share of the weekend in which faults are injected", CHOSEN),
    "before_s": ("seconds before the first fault", "the least that `plan` takes is 211 at this interval"),
    "fault_s": ("seconds of a fault", CHOSEN),
    "quiet_s": ("seconds of quiet between two, drawn from", "the least that `plan` takes is 211 at this interval"),
    "memory_gb": ("memory of the machine that computes, in GB", CHOSEN),
    "node_years": ("years after which a node fails, on average", "assumed"),
}
"""Meaning and origin of each size."""


def sizes_rows(sizes: Sizes) -> list[tuple[str, str, str]]:
    """What, how much, whence."""
    return [(WHENCE[one.name][0], _said(getattr(sizes, one.name)), WHENCE[one.name][1]) for one in fields(sizes)]


def _said(value: float | tuple[float, float]) -> str:
    return " to ".join(f"{one:,g}" for one in (value if isinstance(value, tuple) else (value,)))
