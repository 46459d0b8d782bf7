"""One service in several pods: replicas beside each other, generations after each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.conftest import T0, Tape

STEP = 15
SETTINGS = {"grid_s": 5.0, "rate_window_s": 60.0}
PODS = ("orders-5d4-aaaaa", "orders-5d4-bbbbb", "orders-7f9-ccccc")
EDGES = {"0.01": 1.0, "0.1": 9.0, "+Inf": 10.0}


def times(first: float, last: float, step: float = STEP) -> list[float]:
    """Moments from *first* up to *last*."""
    return np.arange(first, last + 1e-9, step).tolist()


def pod(tape: Tape, name: str, at: list[float], *, level: float = 100.0, per_s: float = 10.0) -> None:
    """A pod whose counters begin at zero a little before its first scrape, and what its container uses."""
    tape.histogram({edge: lambda t, n=n: n / 10 * per_s * (t - at[0] + 4) for edge, n in EDGES.items()}, at, status_code="200", pod=name)
    tape.add("container_memory_working_set_bytes", dict.fromkeys(at, level), role="container", pod=name)
    tape.add("container_cpu_usage_seconds_total", {t: 0.3 * (t - at[0] + 4) for t in at}, role="container", pod=name)
    tape.add("up", dict.fromkeys(at, 1.0), pod=name)


def generations() -> Tape:
    """Three pods, each scraped first one interval after the one before was scraped last."""
    tape = Tape()
    for number, name in enumerate(PODS):
        pod(tape, name, times(300 * number, 300 * number + 285))
    return tape


def one_generation() -> Tape:
    """The same with a single pod."""
    tape = Tape()
    pod(tape, PODS[0], times(0, 885))
    return tape


def test_generations_make_the_columns_of_one():
    """Columns are per service and metric: no feature comes or goes with the name of a pod."""
    assert generations().build(until=885, **SETTINGS).names == one_generation().build(until=885, **SETTINGS).names
    assert len(one_generation().build(until=885, **SETTINGS).names) == 9


def test_a_gauge_is_handed_over_not_doubled():
    """The dead pod's last sample is still young when its successor's first one comes; it does not stand beside it."""
    column = generations().build(until=885, **SETTINGS).column("orders/memory_working_set_bytes")

    assert column.tolist() == [100.0] * len(column)


def test_rates_are_never_negative_over_generations():
    """Each pod counts from zero; its rate is its own, and not known before its second scrape."""
    matrix = generations().build(until=885, **SETTINGS)
    rate = matrix.column("orders/request_rate_per_s")

    assert np.nanmin(matrix.values) >= 0
    assert rate[~np.isnan(rate)] == pytest.approx(10.0, rel=1e-5)
    masked = np.flatnonzero(np.isnan(rate)) * SETTINGS["grid_s"]
    assert masked.tolist() == [t for first in (0, 300, 600) for t in (first, first + 5, first + 10)]
    assert matrix.column("orders/latency_p50_s")[70:115] == pytest.approx(0.055, rel=1e-4)


def test_two_live_replicas_add_up():
    """Scraped at different moments of the interval, both stand for every row."""
    tape = Tape()
    pod(tape, PODS[0], times(0, 600))
    pod(tape, PODS[1], times(7, 600))

    matrix = tape.build(until=585, **SETTINGS)

    assert matrix.column("orders/memory_working_set_bytes")[3:].tolist() == [200.0] * 115
    assert matrix.column("orders/request_rate_per_s")[5:] == pytest.approx(20.0, rel=1e-5)
    assert matrix.column("orders/up")[3:].tolist() == [1.0] * 115


@given(
    gap=st.floats(0.5, 40.0),
    second=st.floats(0.5, 40.0),
    phase=st.floats(0.0, 15.0),
    grid_s=st.sampled_from([1.0, 5.0, 15.0, 30.0]),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=150)
def test_successors_are_never_added_to_the_dead(gap, second, phase, grid_s, jitter, seed):
    """However soon the next pod comes, and however uneven the scrapes: the one value, or none where it cannot be known yet."""
    rng = np.random.default_rng(seed)
    tape, begin = Tape(), phase
    for name, pause in zip(PODS, (gap, second, 0.0), strict=True):
        at = (begin + STEP * np.arange(20) + rng.uniform(-jitter, jitter, 20) * STEP / 2).round(3).tolist()
        pod(tape, name, at)
        begin = at[-1] + pause + STEP * jitter / 2

    matrix = tape.build(until=begin, grid_s=grid_s, rate_window_s=max(60.0, 2 * grid_s))

    level, rate = matrix.column("orders/memory_working_set_bytes"), matrix.column("orders/request_rate_per_s")
    assert set(level[~np.isnan(level)].tolist()) == {100.0}
    assert np.isnan(level).sum() * grid_s <= 6 * STEP + 4 * grid_s + gap + second
    assert rate[~np.isnan(rate)] == pytest.approx(10.0, rel=1e-3)
    assert (~np.isnan(rate)).mean() > 0.5


@given(
    phases=st.lists(st.floats(0.0, 14.9), min_size=2, max_size=5),
    grid_s=st.sampled_from([1.0, 5.0, 15.0]),
    jitter=st.floats(0.0, 0.25),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=150)
def test_live_replicas_always_add_up(phases, grid_s, jitter, seed):
    """Whatever the phases of their scrapes: once all were scraped again, none is ever taken for dead or left out."""
    rng = np.random.default_rng(seed)
    tape = Tape()
    for number, phase in enumerate(phases):
        at = (phase + STEP * np.arange(40) + rng.uniform(-jitter, jitter, 40) * STEP).round(3).tolist()
        pod(tape, f"orders-{number}", at)

    matrix = tape.build(until=38 * STEP, grid_s=grid_s, rate_window_s=60.0)

    settled = matrix.time_s >= T0 + 3.5 * STEP
    level, rate = (matrix.column(f"orders/{name}")[settled] for name in ("memory_working_set_bytes", "request_rate_per_s"))
    known = ~np.isnan(level)
    assert known.all() or (grid_s == STEP and jitter > 0.1), "a row as long as the interval may fall between two late scrapes"
    assert set(level[known].tolist()) == {100.0 * len(phases)}
    assert rate[known] == pytest.approx(10.0 * len(phases), rel=1e-3)
    assert known.mean() > 0.5


def test_a_replica_that_dies_leaves_the_sum_once_that_is_known():
    """Its last sample stands until it was due; masked until the other one was scraped without it; then one is left."""
    tape = Tape()
    pod(tape, PODS[0], times(0, 300))
    pod(tape, PODS[1], times(7, 600))

    column = tape.build(until=400, **SETTINGS).column("orders/memory_working_set_bytes")

    by_end = dict(zip((5 * np.arange(len(column)) + 2.5).tolist(), column.tolist(), strict=True))
    assert [by_end[t] for t in (302.5, 307.5, 312.5)] == [200.0] * 3
    assert np.isnan(by_end[317.5]), "due at 315, and the other one was last scraped at 307"
    assert [by_end[t] for t in (322.5, 327.5, 397.5)] == [100.0] * 3


def test_a_replica_that_is_replaced_does_not_halve_the_rate():
    """The new pod has no rate before its second scrape: until then the sum is masked, and never that of the others alone."""
    tape = Tape()
    pod(tape, PODS[0], times(0, 600))
    pod(tape, PODS[1], times(7, 297))
    pod(tape, PODS[2], times(322, 600))

    rate = tape.build(until=585, **SETTINGS).column("orders/request_rate_per_s")[5:]

    by_end = dict(zip((5 * np.arange(5, len(rate) + 5) + 2.5).tolist(), rate.tolist(), strict=True))
    assert [by_end[t] for t in (302.5, 317.5)] == pytest.approx([20.0, 10.0]), "the old pod was due at 307, which is known from 315 on"
    assert np.isnan([by_end[t] for t in (307.5, 312.5, 322.5, 327.5, 332.5)]).tolist() == [True] * 5
    assert [by_end[t] for t in (337.5, 342.5, 582.5)] == pytest.approx([20.0] * 3)


def test_a_late_scrape_does_not_halve_the_sum():
    """A row that the late replica's last sample is too old for is masked: the other one alone is not the service."""
    tape = Tape()
    first = -T0 % STEP
    pod(tape, PODS[0], [t + first for t in times(0, 600)])
    pod(tape, PODS[1], [t + first + (10 if t == 300 else 3) for t in times(0, 600)])

    column = tape.build(until=first + 585, grid_s=15.0, rate_window_s=60.0).column("orders/memory_working_set_bytes")

    assert np.flatnonzero(np.isnan(column[1:])).tolist() == [19]
    assert set(column[1:][~np.isnan(column[1:])].tolist()) == {200.0}


def test_a_missed_scrape_does_not_put_off_the_next_end():
    """What is usual does not become a minute because there was an outage of a minute."""
    tape = Tape()
    pod(tape, PODS[0], [t for t in times(0, 285) if not 90 < t < 150])
    pod(tape, PODS[1], times(300, 600))

    column = tape.build(until=600, **SETTINGS).column("orders/memory_working_set_bytes")

    assert column[35:].tolist() == [100.0] * 86


def test_when_nobody_is_scraped_nobody_has_ended():
    """A hole in all scrapes is a gap: at no row only those count that happened to be scraped last."""
    tape = Tape()
    for number, phase in enumerate((0, 4, 9)):
        pod(tape, PODS[number], [t for t in times(phase, 600) if not 300 <= t < 400])

    column = tape.build(until=395, **SETTINGS).column("orders/memory_working_set_bytes")

    assert set(column[4:60].tolist()) == {300.0}
    assert set(column[60:][~np.isnan(column[60:])].tolist()) <= {300.0}
    assert np.isnan(column[66:]).all()


def test_a_container_that_starts_again_in_its_pod_is_not_doubled():
    """Told apart by the id of its control group, as cAdvisor has it."""
    tape = Tape()
    for number in range(2):
        at = times(300 * number, 300 * number + 285)
        tape.add("container_memory_rss", dict.fromkeys(at, 7.0), role="container", pod=PODS[0], id=f"/kubepods/{number}")

    assert set(tape.build(until=585, **SETTINGS).column("orders/memory_rss_bytes").tolist()) == {7.0}


def test_what_a_pod_counted_before_it_was_found_is_in_no_rate():
    """A replica that ran for days before it was scraped first does not look like a burst of requests."""
    tape = Tape()
    pod(tape, PODS[0], times(0, 600))
    tape.add("request_duration_seconds_count", {t: 5e6 + 10 * t for t in times(200, 600)}, status_code="200", pod=PODS[1])

    assert np.nanmax(tape.build(until=600, **SETTINGS).column("orders/request_rate_per_s")) == pytest.approx(20.0)


def test_the_first_event_of_a_label_set_counts_in_its_pod():
    """The pod had been scraped without it."""
    tape = Tape()
    for name in PODS[:2]:
        pod(tape, name, times(0, 600))
    tape.add("request_duration_seconds_count", dict.fromkeys(times(300, 600), 6.0), status_code="500", pod=PODS[0])

    ratio = tape.build(until=600, **SETTINGS).column("orders/error_ratio")

    assert ratio[60] == pytest.approx((6 / 45) / (20 + 6 / 45), rel=1e-4)
    assert ratio[59] == 0


def test_jobs_keep_their_own_rhythm():
    """What one job scrapes every thirty seconds is not overdue because another one looks every five."""
    tape = Tape()
    shared = {"role": "container", "pod": PODS[0]}
    tape.add("container_threads", dict.fromkeys(times(0, 300, 5), 4.0), job="kubelet", instance="node:10250", **shared)
    tape.add("container_file_descriptors", dict.fromkeys(times(0, 300, 30), 9.0), job="state", instance="state:8080", **shared)

    matrix = tape.build(until=300, **SETTINGS)

    assert matrix.valid.all()
    assert dict(zip(matrix.names, matrix.interval_s, strict=True)) == {"orders/file_descriptors": 30.0, "orders/threads": 5.0}


def test_no_row_knows_the_future_of_a_pod():
    """What comes after a row's end, the next pod included, does not change the row."""
    tape = generations()
    whole = tape.build(until=885, **SETTINGS)
    for cut in (285, 290, 300, 301, 314, 400):
        seen = Tape(tape.series, [point for point in tape.points if point[1] <= cut])
        rows = whole.time_s <= T0 + cut

        part = seen.build(until=885, **SETTINGS)

        assert np.array_equal(part.values[rows], whole.values[rows], equal_nan=True), cut


def test_a_stamp_of_its_own_loses_no_sample():
    """Containers are looked at up to 40 % of an interval early or late; each value stands in its own row, and no row is masked."""
    jitter = np.random.default_rng(0).uniform(-0.4, 0.4, 400) * STEP
    tape, first = Tape(), -T0 % STEP
    tape.add("container_threads", {first + STEP * n + jitter[n]: float(n) for n in range(400)}, role="container")

    column = tape.build(until=first + 399 * STEP, grid_s=15.0, rate_window_s=60.0).column("orders/threads")

    assert column.tolist() == list(range(400))


def test_every_value_of_an_uneven_rhythm_is_seen():
    """A stamp every 10 to 19 s on rows of five seconds: each value is in a row, and all rows have one."""
    at = np.cumsum(np.random.default_rng(0).uniform(10, 19, 400))
    tape = Tape()
    tape.add("container_threads", {t: float(n) for n, t in enumerate(at)}, role="container")
    tape.add("container_cpu_usage_seconds_total", {t: 0.25 * t for t in at}, role="container")

    matrix = tape.build(until=float(at[-1]) + 5, **SETTINGS)

    column = matrix.column("orders/threads")[int(at[0] // 5) + 1 :]
    assert not np.isnan(column).any()
    assert set(column.tolist()) == set(range(400))
    assert matrix.column("orders/cpu_cores")[int(at[1] // 5) + 1 :] == pytest.approx(0.25, rel=1e-3)
