"""The arithmetic of ``docs/scale.md``: right by hand at a small size, silent about what was not measured, and all of it on the page."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import fields, replace

import pytest

from flows.document import validate
from flows.timeline import timeline
from tasks.base.errors import DocumentError
from tasks.base.yaml_source import Source, parse_source
from tasks.features.catalogue import read_catalogue
from tasks.telemetry.config import PrometheusSource
from tasks.telemetry.prometheus.selectors import parse_selector
from tests.bench import many_pods, snapshot
from tests.bench.kubelet import PODS
from tests.bench.rows import made
from tests.bench.run import NAMES
from tests.docs.generated import ROOT, table
from tests.docs.scale import computing, costs, match, samples
from tests.docs.scale.cluster import generators, kubelets
from tests.docs.scale.costs import COSTS, PLACE, read_costs, refresh, refreshed
from tests.docs.scale.page import scale_blocks
from tests.docs.scale.said import UNKNOWN, Line, figure, reckoned
from tests.docs.scale.sizes import WHENCE, Sizes

NOTHING = dict.fromkeys((one.row for one in COSTS), None)
SMALL = Sizes(hours=1, nodes=2, pods=10, services=5, interval_s=10, own=3, about=2, needed=4, node=7, node_exporter=1, columns=2)


def value(lines: tuple[Line, ...], what: str) -> float | None:
    """The figure of a line."""
    (found,) = (line.value for line in lines if line.what == what)
    return found


def test_every_cost_is_a_row_that_make_bench_knows():
    """By its name, once."""
    rows = [one.row for one in COSTS]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(NAMES)


def test_costs_are_described_with_the_sizes_at_which_they_are_measured():
    """The benchmark may change; the words must follow."""
    said = {one.row: one.what for one in COSTS}
    assert f"{samples.BENCH_SERIES:,} series, {samples.BENCH.hours} h" in said["snapshot.remote_read.wall"]
    assert f"{samples.BENCH.samples / 1e6:.2f} million" in said["snapshot.remote_read.wall"]
    appended = f"{snapshot.APPEND_S} s, {snapshot.APPEND_S // samples.BENCH.step_s} samples"
    assert appended in said["snapshot.tail.cpu"]
    assert f"{PODS} pods" in said["kubelet.scrape.cpu"]
    assert f"{many_pods.MANY:,} pods" in said["kube.pods"]
    assert f"{computing.DAY_SERIES:,} series" in said["matrix.day.cpu"]


def test_what_was_measured_is_kept_in_three_digits_and_the_rest_stays():
    """A row without a figure does not wipe out an earlier one; of a row against a peer it may be the ratio that counts."""
    rows = [
        made("kube.pods", 0.48257, "cpu s", machine="x"),
        made("kube.pods.rss", None, "bytes", machine="x"),
        replace(made("snapshot.tsdb_ratio", 5e6, "bytes", machine="x"), ratio=0.39873),
    ]
    found = refreshed({**NOTHING, "kube.pods.rss": 65.0}, rows)

    assert (found["kube.pods"], found["kube.pods.rss"], found["snapshot.tsdb_ratio"]) == (0.483, 65.0, 0.399)
    assert found["matrix.day.cpu"] is None


def test_costs_survive_a_round_trip_and_are_written_only_when_they_change(tmp_path):
    """On a machine that measured nothing the file stays as it is."""
    place = tmp_path / "costs.json"
    refresh([], place)
    assert not place.exists()

    refresh([made("kube.pods", 0.5, "cpu s", machine="x")], place)

    assert read_costs(place) == {**NOTHING, "kube.pods": 0.5}


def test_samples_and_bytes_by_hand():
    """Ten pods of five series and two nodes of seven and one, 360 samples each."""
    known = {**NOTHING, "snapshot.bytes_per_sample": 1.0, "snapshot.tsdb_ratio": 0.5}
    assert value(samples.amounts(SMALL), "series that there are") == 10 * 5 + 2 * (7 + 1)
    assert value(samples.amounts(SMALL), "samples in all") == 66 * 360
    assert value(samples.stored(SMALL, known), "the server's disk") == 66 * 360 * 2
    assert value(samples.stored(SMALL, known), "our store, `match` of the catalogue") == (10 * 4 + 2 * 1) * 360


def test_a_server_sends_whole_chunks():
    """Half an open chunk of 120, and what is asked for, for six new samples; asked seldom, hardly more than is new."""
    assert samples.sent(10, 60, 0, 120) == (60 + 6) / 6
    assert samples.sent(10, 86_400, 0, 120) == pytest.approx(1, abs=0.01)


def test_workers_are_rounded_up_to_whole_ones():
    """A thousand requests a second, 70 % of 400 each: four."""
    small = replace(SMALL, requests_per_s=1000)
    assert value(generators(small, {**NOTHING, "load.generator.requests": 400.0}), "workers") == 4


def test_a_dozen_pods_cost_what_was_measured():
    """At the benchmark's own size the product is the unit cost."""
    found = kubelets(replace(SMALL, pods=PODS), {**NOTHING, "kubelet.scrape.cpu": 0.02, "kubelet.scrape.api_cpu": 0.03})
    assert value(found, "recorder's processor") == 0.02
    assert value(found, "the API server's processor") == 0.03
    assert value(found, "pods at half a core") == 300


def test_services_that_fit_are_whole_ones():
    """What one needs of samples and cells, into what is left of the memory."""
    sizes = replace(SMALL, memory_gb=1e-4)
    needed = (sizes.samples_read * 8 + sizes.cells * 6) / sizes.services
    found = computing.features(sizes, {**NOTHING, "matrix.day.rss": 4e4})
    assert value(found, "services in 0.0001 GB") == (1e5 - 4e4) // needed == 2
    assert value(found, "parts of the app, then") == 3


def test_what_was_not_measured_is_said_to_be_so():
    """A product with an unknown is unknown, and never zero."""
    assert reckoned(lambda a, b: a * b, 2.0, None) is None
    assert figure(None, "bytes") == UNKNOWN
    found = scale_blocks(table, costs=NOTHING)
    assert f"| {UNKNOWN} |" in found["scale-load"]
    assert f"| {UNKNOWN} |" in found["scale-kubelets"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (39.6e9, "bytes", "39.6 GB"),
        (1.98e6, "bytes/s", "1.98 MB/s"),
        (1746.0, "s", "29.1 min"),
        (231.0, "cpu s", "3.85 min of a processor"),
        (12.15e9, "", "12.2 billion"),
        (844_000, "", "844,000"),
        (0.0234, "cpu s", "0.0234 s of a processor"),
        (0.0, "cores", "0 cores"),
    ],
)
def test_figures_are_readable(value, unit, text):
    """Three digits, and a multiple that people use."""
    assert figure(value, unit) == text


def test_every_size_says_what_it_is_and_whence():
    """No number without an origin."""
    assert set(WHENCE) == {one.name for one in fields(Sizes)}


def test_every_table_is_on_the_page():
    """In the order of the page; none is reckoned for nobody."""
    shown = re.findall(r"<!-- printed: (scale-[a-z]+) -->", (ROOT / "docs" / "scale.md").read_text())
    assert sorted(shown) == sorted(scale_blocks(table))


def test_less_than_two_thirds_of_the_samples_are_read():
    """As the page says."""
    assert Sizes().series_read < 2 / 3 * Sizes().series_all


@pytest.mark.parametrize(("seconds", "fits"), [(210.0, False), (211.0, True)])
def test_quiet_time_is_the_least_that_a_plan_takes(seconds, fits):
    """The page names it: one second less is refused."""
    sizes = Sizes(before_s=seconds, quiet_s=(seconds, seconds + 20))
    whole = parse_source((ROOT / "configs" / "kubernetes-demo.yaml").read_bytes(), "demo").value
    document = validate(Source("page", {**whole, **match.as_mapping(sizes)}, {}))

    with nullcontext() if fits else pytest.raises(DocumentError, match="quiet_s"):
        timeline(document, str(ROOT / "configs" / "kubernetes-demo.yaml"))


def test_selectors_ask_for_each_name_of_the_catalogue_once():
    """Each is one that the source takes, and no series can be asked for twice."""
    found = match.selectors()
    asked = [name for one in found for name in re.findall(r'__name__=~"([^"]+)"', one)[0].split("|")]
    wanted = {name for metric in read_catalogue("default").metrics for name in match.names_of(metric)}

    assert len(asked) == len(set(asked))
    assert set(asked) == wanted - set(match.OURS)
    for one in found:
        parse_selector(one)
    section = match.as_mapping(Sizes())["telemetry"]["sources"][0]
    assert PrometheusSource.model_validate(section).match == found


def test_the_kept_costs_are_those_of_known_rows():
    """The file has nothing that is not reckoned with."""
    assert set(costs.read_json(PLACE)) == {one.row for one in COSTS}
