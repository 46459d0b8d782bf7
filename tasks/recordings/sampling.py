"""Starting whatever the document names as the source of a recording's samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.base.clock import Clock
from tasks.base.errors import PreflightError
from tasks.base.files import write_atomically
from tasks.base.stopping import sheltered
from tasks.telemetry.config import PrometheusSource, ScrapeSource, TelemetryConfig
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import OFFSET_S, Client
from tasks.telemetry.prometheus.identity import ROLE_LABEL, SERVICE_LABEL
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.prometheus.preflight import looked_over
from tasks.telemetry.runner import Collector
from tasks.telemetry.targets import Target, address_of

READY_S = 30.0
"""A Prometheus that finds new targets scrapes them within its interval; longer than that and a flush is trouble."""


@contextmanager
def sampling(telemetry: TelemetryConfig, targets: Sequence[Target], folder: Path, *, planned_s: float, clock: Clock) -> Iterator[Collector]:
    """
    A started source that writes into *folder*; stopped, with everything fetched, at the end.

    Raises:
        PreflightError: The server is not there, keeps too little, or its clock is off; or nothing comes.
    """
    source = telemetry.source
    if isinstance(source, ScrapeSource):
        plan = ScrapePlan.of(source, telemetry.flush_s, targets, folder)
        with running(Collector.start(plan)) as collector:
            yield collector
        return
    if not isinstance(source, PrometheusSource) or source.in_cluster:
        raise PreflightError(
            f"telemetry.sources[0]: there is no cluster here that {source.kind} could ask", next_step="take kind: scrape, or give a url"
        )
    require_server(source, planned_s)
    with told_to(source, targets), running(Collector.start(TailPlan.of(source, telemetry.flush_s, clock.wall_s(), folder))) as collector:
        yield collector


@contextmanager
def running(collector: Collector) -> Iterator[Collector]:
    """*collector*, once samples come from it; stopped, with everything fetched, at the end."""
    try:
        collector.ready(READY_S)
        yield collector
    finally:
        with sheltered():
            collector.stop()


def require_server(source: PrometheusSource, planned_s: float, access: Access | None = None) -> None:
    """
    Refuse a server that cannot hold what is planned; *access* is how it is reached where it is in a cluster.

    Raises:
        PreflightError: It does not answer, keeps less than the plan takes, or has another time than this machine.
    """
    client = Client(DirectAdapter(access or source.access))
    facts = looked_over(client, source.way)
    if facts.retention_s is not None and facts.retention_s < planned_s:
        raise PreflightError(
            f"{client.adapter.name} keeps {facts.retention_s / 3600:g} hours, and {planned_s / 3600:.1f} are planned",
            next_step="start it with a longer --storage.tsdb.retention.time",
        )
    if abs(facts.clock_offset_s) > OFFSET_S + facts.clock_error_s:
        raise PreflightError(
            f"the clock of {client.adapter.name} is {facts.clock_offset_s:+.1f} s off this machine's: "
            "faults could not be laid over its samples",
            next_step="set both clocks (chrony, ntpd), then run again",
        )


@contextmanager
def told_to(source: PrometheusSource, targets: Sequence[Target]) -> Iterator[None]:
    """Have the server scrape *targets* for the time inside, where the document names a file that it watches."""
    if source.file_sd is None:
        yield
        return
    path = Path(source.file_sd).expanduser()
    if not path.parent.is_dir():
        raise PreflightError(f"telemetry.sources[0].file_sd: there is no folder {path.parent}", next_step=f"mkdir -p {path.parent}")
    if not _ours(path):
        raise PreflightError(
            f"telemetry.sources[0].file_sd: {path} names targets of somebody else, and would be written over and removed",
            next_step="name a file of its own there, which the server's file_sd_configs cover",
        )
    write_atomically(path, json.dumps([file_sd_group(one, source.interval_s) for one in targets], indent=1))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _ours(path: Path) -> bool:
    """Whether a file of targets is absent, empty, or one that a run of ours left behind when it was killed."""
    try:
        groups = json.loads(path.read_bytes() or b"[]")
        return all(SERVICE_LABEL in group["labels"] for group in groups)
    except FileNotFoundError:
        return True
    except (OSError, ValueError, TypeError, KeyError):
        return False


def file_sd_group(target: Target, interval_s: float) -> dict[str, object]:
    """One target as ``file_sd_configs`` wants it; its labels say whom it is about."""
    address = address_of(target.url)
    every = f"{round(interval_s * 1000)}ms"
    return {
        "targets": [address.authority],
        "labels": {
            "__scheme__": address.scheme,
            "__metrics_path__": address.path,
            "__scrape_interval__": every,
            "__scrape_timeout__": every,
            SERVICE_LABEL: target.name,
            ROLE_LABEL: target.role,
        },
    }
