"""The checks of ``doctor`` on a Prometheus that a document names: is it there, does it keep enough, what time does it have."""

from flows.document import Experiment
from flows.drawing import minutes
from flows.findings import Check
from tasks.base.errors import TidegaugeError
from tasks.telemetry.config import PrometheusSource
from tasks.telemetry.prometheus.adapter import DirectAdapter, Unreachable
from tasks.telemetry.prometheus.client import OFFSET_S, Client, ServerFacts
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.preflight import looked_over

QUICK_S = 5.0


def source_checks(document: Experiment, planned_s: float) -> list[Check]:
    """A line a subject; none where samples are scraped by ourselves."""
    source = document.telemetry.source
    if not isinstance(source, PrometheusSource) or source.in_cluster:  # in a cluster it is asked once the way there is open
        return []
    try:
        client = Client(DirectAdapter(source.access), timeout_s=QUICK_S)
        facts = looked_over(client, source.way)
    except TidegaugeError as error:
        return [Check("prometheus", "fail", error.message, error.next_step or "")]
    there = Check("prometheus", "ok", f"{source.url} is Prometheus {facts.version}; samples come by {facts.way}: {facts.why}")
    found = [there, clock(facts), retention(facts, planned_s)]
    if source.file_sd is None:  # otherwise its targets come with the app, and nothing can be there yet
        found += [metric(client, name) for name in document.telemetry.required_metrics]
    return found


def clock(facts: ServerFacts) -> Check:
    """The server's clock against this machine's."""
    text = f"the server's clock is {facts.clock_offset_s:+.3f} s off this machine's (give or take {facts.clock_error_s:.3f} s)"
    if abs(facts.clock_offset_s) <= OFFSET_S + facts.clock_error_s:
        return Check("clock", "ok", text)
    return Check("clock", "fail", text, "set both clocks (chrony, ntpd)")


def retention(facts: ServerFacts, planned_s: float) -> Check:
    """How long the server keeps samples, against the length of the run."""
    if facts.retention_s is None:
        return Check("retention", "warn", "the server keeps by size alone, or does not say how long", "watch its disk during the run")
    text = f"the server keeps {minutes(facts.retention_s)}; about {minutes(planned_s)} are planned"
    if facts.retention_s >= planned_s:
        return Check("retention", "ok", text)
    return Check("retention", "fail", text, "start it with a longer --storage.tsdb.retention.time")


def metric(client: Client, name: str) -> Check:
    """Whether a required metric has a sample now: ``success`` with nothing in it is an answer too."""
    try:
        found = client.api("/api/v1/query", query=f'count({{__name__="{name}"}})')["result"]
    except (Unreachable, MalformedReply, ServerRefused) as error:
        return Check("metric", "fail", f"{name} could not be looked up: {error}", "see that the server answers")
    if found:
        return Check("metric", "ok", f"{name}: {float(found[0]['value'][1]):.0f} series")
    return Check("metric", "fail", f"the server has no {name} now", "see that its exporter is scraped, or take it out of required_metrics")
