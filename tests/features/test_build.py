"""From samples to the matrix."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.base.errors import DocumentError
from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig

EDGES = {"0.01": 10.0, "0.1": 90.0, "+Inf": 100.0}


def cumulative(per_s, since=0.0):
    """Cumulative counts that grow by *per_s* a second from *since* on."""
    return lambda t: per_s * max(0.0, t - since)


def seconds(count, offset=0.0):
    return [t + offset for t in range(count)]


def test_gauge_and_rate_become_columns(tape):
    """A gauge stands as it is, a counter becomes its growth a second; the names are service/metric."""
    tape.add("container_memory_working_set_bytes", dict.fromkeys(seconds(20), 50000000.0), role="container")
    tape.add("container_cpu_usage_seconds_total", {t: 100 + 0.25 * t for t in seconds(20)}, role="container")

    matrix = tape.build(until=19)

    assert matrix.names == ("orders/cpu_cores", "orders/memory_working_set_bytes")
    assert matrix.values.dtype == np.float32
    assert matrix.time_s[0] == tape.start + 0.5, "a row is stamped with its end"
    assert matrix.column("orders/cpu_cores")[2:] == pytest.approx(0.25)
    assert np.isnan(matrix.column("orders/cpu_cores")[0])
    assert matrix.column("orders/memory_working_set_bytes") == pytest.approx(5e7)
    assert (matrix.valid == ~np.isnan(matrix.values)).all()


def test_scrapes_between_rows_go_to_the_nearest(tape):
    """Jitter of a fifth of a second around the row loses no sample and shifts none."""
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, 60)
    tape.add("up", {t + jitter[t]: float(t) for t in range(60)})

    assert tape.build(until=59).column("orders/up").tolist() == list(range(60))


def test_jitter_across_the_border_of_two_rows_masks_nothing(tape):
    """Scrapes half-way between rows fall to either side; no row counts as a gap for that."""
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, 60)
    tape.add("up", {t + 0.5 + jitter[t]: 1.0 for t in range(60)})

    assert tape.build(until=59).valid[1:].all()


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.49, 0.51, 0.8])
def test_a_row_is_stamped_no_earlier_than_what_it_tells(tape, phase):
    """A step in the samples is seen at its own time or up to a row later, never before."""
    tape.add("up", {t + phase: float(t >= 10) for t in range(20)})

    matrix = tape.build(until=19)

    seen = matrix.time_s[np.flatnonzero(matrix.column("orders/up") == 1)[0]]
    assert 0 <= seen - (tape.start + 10 + phase) <= 1


def test_missing_scrapes_are_masked_not_filled(tape):
    """Three scrapes that failed are three masked rows."""
    tape.add("up", {t: 1.0 for t in seconds(20) if not 8 <= t <= 10})

    assert np.flatnonzero(~tape.build(until=19).valid[:, 0]).tolist() == [8, 9, 10]


def test_rare_scrapes_stand_until_the_next_is_overdue(tape):
    """Scraped every fifteen seconds on a grid of five: every row has the last value, until a scrape is missed."""
    tape.add("up", {t: t for t in (0.0, 15.0, 30.0, 60.0)})

    matrix = tape.build(until=60, grid_s=5.0, rate_window_s=60.0)

    column = matrix.column("orders/up")
    assert column[:9].tolist() == [0, 0, 0, 15, 15, 15, 30, 30, 30]
    assert np.isnan(column[11])
    assert column[12] == 60
    assert matrix.interval_s[0] == 15


def test_no_row_knows_the_future(tape):
    """What is sampled after a row's end does not change the row."""
    tape.add("up", dict.fromkeys(seconds(30), 1.0))
    tape.add("process_cpu_seconds_total", {t: t * t for t in seconds(30)})
    tape.histogram({edge: cumulative(rate) for edge, rate in EDGES.items()}, seconds(30), status_code="200")
    whole = tape.build(until=29)
    tape.points = [p for p in tape.points if p[1] <= 15]
    cut = tape.build(until=29)

    assert np.array_equal(whole.values[:16], cut.values[:16], equal_nan=True)


def test_rate_is_never_negative_across_a_restart(tape):
    """A counter that begins again at zero keeps its rate; the restart is counted."""
    tape.add("process_cpu_seconds_total", {t: 0.5 * t if t < 10 else 0.5 * (t - 9.5) for t in seconds(20)})

    matrix = tape.build(until=19)

    rates = matrix.column("orders/process_cpu_cores")[1:]
    assert rates.min() > 0.4
    assert rates.max() <= 0.5 + 1e-6
    assert matrix.resets.tolist() == [1]


def test_imprecise_reading_is_no_restart(tape):
    """A counter that falls by a hair adds nothing: it does not spike by all it ever counted."""
    tape.add("process_cpu_seconds_total", {t: 1000.0 + t - (1.5 if t == 10 else 0) for t in seconds(20)})

    matrix = tape.build(until=19)

    assert np.nanmax(matrix.values) < 2
    assert matrix.resets.tolist() == [0]


def test_first_event_of_a_new_label_set_counts(tape):
    """The counter of the first 500 appears with the value 1; it was zero at the scrape before."""
    tape.add("request_duration_seconds_count", {t: 10.0 * t for t in seconds(20)}, status_code="200")
    tape.add("request_duration_seconds_count", {t: 1.0 for t in seconds(20) if t >= 10}, status_code="500")

    ratio = tape.build(until=19).column("orders/error_ratio")

    assert ratio[2:10] == pytest.approx(0)
    assert ratio[10] == pytest.approx(0.25 / 10.25)
    assert ratio[18:] == pytest.approx(0)


def test_counter_seen_from_the_first_scrape_on_is_not_born(tape):
    """What a service had counted before the recording is in no rate, also after a failed scrape."""
    tape.add("up", {t: float(t > 2) for t in seconds(20)})
    tape.add("process_cpu_seconds_total", {t: 5000.0 for t in seconds(20) if t > 2})

    assert np.nanmax(tape.build(until=19).column("orders/process_cpu_cores")) == 0


def test_histogram_gives_rate_mean_and_quantiles(tape):
    """Two routes of one service are one histogram; quantiles are linear within a bucket."""
    for route in ("/orders", "/orders/{id}"):
        tape.histogram({edge: cumulative(rate / 2) for edge, rate in EDGES.items()}, seconds(20), status_code="200", route=route)

    matrix = tape.build(until=19)

    assert matrix.column("orders/request_rate_per_s")[5:] == pytest.approx(100, rel=1e-5)
    assert matrix.column("orders/latency_mean_s")[5:] == pytest.approx(0.02, rel=1e-5)
    assert matrix.column("orders/latency_p50_s")[5:] == pytest.approx(0.01 + 0.09 * 40 / 80, rel=1e-5)
    assert matrix.column("orders/latency_p95_s")[5:] == pytest.approx(0.1)


def test_services_are_never_added_up(tape):
    """Each service has columns of its own."""
    for service in ("orders", "carts"):
        tape.histogram({edge: cumulative(rate) for edge, rate in EDGES.items()}, seconds(20), service=service, status_code="200")

    matrix = tape.build(until=19)

    assert matrix.column("carts/request_rate_per_s")[5:] == pytest.approx(100, rel=1e-5)


def test_quiet_service_has_rate_zero_and_undefined_latency(tape):
    """No request: the rate is zero, latency and error ratio do not exist; that is not a gap."""
    tape.histogram({edge: lambda t, n=n: n for edge, n in EDGES.items()}, seconds(20), status_code="200")

    matrix = tape.build(until=19)

    assert matrix.column("orders/request_rate_per_s")[5:].tolist() == [0] * 15
    for metric in ("latency_mean_s", "latency_p50_s", "latency_p99_s", "error_ratio"):
        place = matrix.names.index(f"orders/{metric}")
        assert np.isnan(matrix.values[5:, place]).all()
        assert matrix.undefined[5:, place].all()
    assert not matrix.undefined[:, matrix.names.index("orders/request_rate_per_s")].any()


def test_a_service_that_was_not_scraped_is_a_gap_not_undefined(tape):
    """Latency during an outage of the scrape is unknown, not non-existent."""
    times = [t for t in seconds(30) if not 10 <= t <= 20]
    tape.histogram({edge: cumulative(rate) for edge, rate in EDGES.items()}, times, status_code="200")

    matrix = tape.build(until=29)

    assert not matrix.valid[12:20].any()
    assert not matrix.undefined.any()


def test_both_names_of_the_histogram_are_read(tape):
    """Images built from forks say http_request_duration_seconds."""
    for t in ("sum", "count"):
        tape.add(f"http_request_duration_seconds_{t}", {s: 3.0 * s for s in seconds(20)}, path="/cart", status_code="200")

    matrix = tape.build(until=19)

    assert matrix.column("orders/request_rate_per_s")[3:] == pytest.approx(3)
    assert matrix.column("orders/latency_mean_s")[3:] == pytest.approx(1)


def test_machine_columns(tape):
    """Idle time is no use of the machine; steal is a share of all time."""
    for mode, share in {"user": 0.3, "system": 0.1, "idle": 1.5, "steal": 0.1}.items():
        tape.add("node_cpu_seconds_total", {t: share * t for t in seconds(20)}, service="node", role="node", mode=mode)

    matrix = tape.build(until=19)

    assert matrix.column("node/cpu_cores")[3:] == pytest.approx(0.5)
    assert matrix.column("node/cpu_steal_ratio")[3:] == pytest.approx(0.05)


def test_restarts_are_an_event_not_a_level(tape):
    """A restart shows while it is in the rate window, and is over afterwards."""
    tape.add("kube_pod_container_status_restarts_total", {t: float(t >= 10) for t in seconds(30)}, role="container")

    column = tape.build(until=29).column("orders/restarts")

    assert column[9] == 0
    assert column[10] > 0.9
    assert column[20:].tolist() == [0] * 10


def test_harness_series_never_become_columns(tape):
    """What the harness itself uses is a witness, not a feature."""
    tape.add("up", dict.fromkeys(seconds(5), 1.0), role="harness", service="proxy")
    tape.add("process_cpu_seconds_total", dict.fromkeys(seconds(5), 1.0), role="harness", service="proxy")

    assert tape.build(until=4).columns == ()


def test_other_recordings_get_the_same_columns(tape):
    """A series that is absent is a wholly masked column; one that is new makes none."""
    tape.add("up", dict.fromkeys(seconds(5), 1.0))
    tape.add("container_threads", dict.fromkeys(seconds(5), 4.0), role="container")
    first = tape.build(until=4)
    other = type(tape)()
    other.add("up", dict.fromkeys(seconds(5), 1.0))
    other.add("up", dict.fromkeys(seconds(5), 1.0), service="new")

    matrix = other.build(until=4, columns=first.columns)

    assert matrix.columns == first.columns
    assert matrix.valid[:, matrix.names.index("orders/up")].all()
    assert not matrix.valid[:, matrix.names.index("orders/threads")].any()


def test_order_of_samples_does_not_matter(tape):
    """Chunks may come in any order, and a sample twice."""
    tape.histogram({edge: cumulative(rate) for edge, rate in EDGES.items()}, seconds(20), status_code="200")
    samples = tape.samples()
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(samples.series.size), 2))
    mixed = type(samples)(samples.series[order], samples.time_ms[order], samples.value[order])

    again = build_from(tape.series, mixed, FeaturesConfig(), start_s=tape.start, end_s=tape.start + 19)

    assert np.array_equal(again.values, tape.build(until=19).values, equal_nan=True)


def test_port_and_number_of_a_series_do_not_matter(tape):
    """Numbers are a recording's own; columns are named by service and metric."""
    tape.add("up", dict.fromkeys(seconds(5), 1.0))
    tape.add("container_threads", dict.fromkeys(seconds(5), 4.0), role="container")
    turned = [dataclasses.replace(one, id=1 - one.id) for one in reversed(tape.series)]
    samples = tape.samples()
    moved = type(samples)(1 - samples.series[::-1], samples.time_ms[::-1], samples.value[::-1])

    again = build_from(turned, moved, FeaturesConfig(), start_s=tape.start, end_s=tape.start + 4)

    assert again.columns == tape.build(until=4).columns
    assert (again.values == tape.build(until=4).values).all()


def test_no_sample_at_all_is_an_empty_truth(tape):
    """A recording without samples has columns, and every cell masked."""
    tape.add("up", {})

    matrix = tape.build(until=4)

    assert matrix.values.shape == (5, 1)
    assert not matrix.valid.any()


def test_values_that_are_not_finite_are_gaps(tape):
    """NaN and infinity from an exporter do not reach a detector."""
    tape.add("scrape_duration_seconds", {0: 1.0, 1: float("nan"), 2: float("inf"), 3: 1.0})
    tape.add("up", dict.fromkeys(seconds(4), 1.0))

    assert tape.build(until=3).valid[:, 0].tolist() == [True, False, False, True]


def test_unknown_catalogue_names_the_known(tape):
    """A catalogue that is not shipped is refused before anything is computed."""
    with pytest.raises(DocumentError, match="no metric catalogue named 'prod'") as caught:
        tape.build(until=4, catalogue="prod")

    assert "default" in caught.value.next_step
