"""The certificate of what came from a server: expected, found and missing, each by a count that can be done by hand."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.gaps import Gap
from tasks.telemetry.prometheus.certified import certified, empty_periods, scrapes_of, usual_interval_s
from tasks.telemetry.prometheus.tally import PERIOD_MS, Tally
from tasks.telemetry.prometheus.writer import WindowWriter
from tasks.telemetry.series import SeriesTable
from tests.telemetry.prometheus.made_up import T0, Points, batch, between, labels_of

S0 = T0 / 1000
HOUR_MS = 3_600_000


def tallied(courses, tmp_path, cuts=()) -> Tally:
    """*courses*, written in windows that end at *cuts*."""
    writer = WindowWriter(tmp_path / "recording")
    edges = [T0 - 1, *cuts, T0 + 100 * HOUR_MS]
    for before, end in itertools.pairwise(edges):
        writer.write([[batch(between(courses, before + 1, end))]], end)
    writer.close()
    return writer.tally


def every(step_ms: int, count: int, since_ms: int = T0) -> list[int]:
    return [since_ms + place * step_ms for place in range(count)]


def target(job: str, times, down=(), /, **metrics: Points):
    """A target scraped at *times*, in vain at those in *down*, with its metrics."""
    labels = {"job": job, "instance": f"{job}:80"}
    well = [time for time in times if time not in down]
    about = {
        "up": {time: float(time not in down) for time in times},
        "scrape_duration_seconds": {time: 0.25 if time in down else 0.125 for time in times},
        "scrape_samples_scraped": {time: 0.0 if time in down else float(len(metrics)) for time in times},
    }
    values = {name: {time: points[time] for time in points if time in well} for name, points in metrics.items()}
    return {labels_of(name, **labels): points for name, points in {**about, **values}.items()}


def flat(times) -> Points:
    return dict.fromkeys(times, 1.0)


def test_a_regular_recording_is_complete(tmp_path):
    """Two targets of different intervals: nothing missing, nothing failed, all stamps are those of scrapes."""
    fast, slow = every(5000, 121), every(15_000, 41)
    tally = tallied({**target("a", fast, m=flat(fast), n=flat(fast)), **target("b", slow, m=flat(slow))}, tmp_path)
    found = certified(tally, span=(S0, S0 + 600), server={"version": "x"})

    assert (found.series, found.targets, found.gaps) == (9, 2, ())
    assert (found.scrapes_expected, found.scrapes_found, found.scrapes_failed) == (162, 162, 0)
    assert found.samples == found.samples_found == found.samples_expected == 121 * 5 + 41 * 4
    assert (found.own_stamps, found.non_finite, found.counter_resets, found.scrape_duration_s) == (0, 0, 0, (0.125, 0.125))
    assert (found.server, found.fingerprint) == ({"version": "x"}, f"{tally.fingerprint:016x}")
    assert usual_interval_s(tally) == 5.0
    json.dumps(found.to_json(), allow_nan=False)


def test_a_failed_scrape_owes_no_samples(tmp_path):
    """``up 0`` was a scrape: it is found, it failed, and its target's metrics are not expected of it."""
    times = every(5000, 121)
    found = certified(tallied(target("a", times, times[10:20], m=flat(times)), tmp_path), span=(S0, S0 + 600), server=None)

    assert (found.scrapes_expected, found.scrapes_found, found.scrapes_failed, found.gaps) == (121, 121, 10, ())
    assert found.samples_expected == found.samples_found == 121 * 3 + 111
    assert found.scrape_duration_s == (0.125, 0.25)


def test_samples_that_good_scrapes_should_have_given_are_expected(tmp_path):
    """Between a series' own first and last one, at each good scrape of its target."""
    times = every(5000, 121)
    holed = [time for place, time in enumerate(times) if place not in (30, 31, 70)]
    brief = times[50:60]
    found = certified(tallied(target("a", times, m=flat(holed), brief=flat(brief)), tmp_path), span=(S0, S0 + 600), server=None)

    assert found.samples_found == 121 * 3 + 118 + 10
    assert found.samples_expected == found.samples_found + 3


def test_own_stamps_owe_nothing(tmp_path):
    """A series whose times are not those of scrapes is as it is, and counted as such."""
    times = every(5000, 121)
    stamped = [time + 1234 for time in times if time % 3]
    found = certified(
        tallied(target("a", times, m=flat(times)) | {labels_of("own", job="a", instance="a:80"): flat(stamped)}, tmp_path),
        span=(S0, S0 + 600),
        server=None,
    )

    assert found.own_stamps == 1
    assert found.samples_expected == found.samples_found == 121 * 4 + len(stamped)


def test_a_series_without_a_target_owes_nothing(tmp_path):
    """A rule's result, or one that was pushed: no ``up`` tells of it."""
    times = every(5000, 121)
    found = certified(
        tallied(target("a", times) | {labels_of("job:m:rate5m", job="z"): flat(times[::2])}, tmp_path), span=(S0, S0 + 600), server=None
    )

    assert (found.own_stamps, found.samples_expected) == (1, found.samples_found)


def test_an_outage_is_missing_for_each_target_by_its_interval(tmp_path):
    """One gap for all; what should have been is what is there and what each target's schedule lacks."""
    fast = [time for time in every(5000, 241) if not T0 + 310_000 < time < T0 + 890_000]
    slow = [time for time in every(60_000, 21) if not T0 + 310_000 < time < T0 + 890_000]
    found = certified(tallied({**target("a", fast, m=flat(fast)), **target("b", slow)}, tmp_path), span=(S0, S0 + 1200), server=None)

    assert found.gaps == (Gap(S0 + 310, S0 + 890, None, None, 115),)
    assert (found.scrapes_found, found.scrapes_expected) == (len(fast) + len(slow), 241 + 21)
    assert found.samples_expected == found.samples_found


def test_pods_of_one_target_are_told_apart_and_counted_together(tmp_path):
    """Three generations, each with its own instance: no gap, no sample missing, one target."""
    courses = {}
    for generation in range(3):
        times = every(5000, 60, T0 + generation * 290_000)
        for name in ("up", "m"):
            courses[labels_of(name, job="pods", app="orders", pod=f"orders-{generation}", instance=f"10.0.0.{generation}:80")] = flat(times)
    found = certified(tallied(courses, tmp_path), span=(S0, S0 + 875), server=None)

    assert (found.targets, found.gaps, found.own_stamps) == (1, (), 0)
    assert found.scrapes_found == found.scrapes_expected == 180
    assert found.samples_found == found.samples_expected == 360


def test_the_edges_of_the_span_count(tmp_path):
    """Samples that begin late: a gap from the span's beginning on."""
    times = every(5000, 61, T0 + 300_000)
    found = certified(tallied(target("a", times), tmp_path), span=(S0, S0 + 600), server=None)

    assert found.gaps == (Gap(S0, S0 + 300, None, None, 60),)
    assert (found.scrapes_found, found.scrapes_expected) == (61, 121)


def test_scrapes_outside_of_the_span_do_not_count(tmp_path):
    """They are samples, but no scrapes that were asked for."""
    times = every(5000, 121)
    found = certified(tallied(target("a", times), tmp_path), span=(S0 + 100, S0 + 200), server=None)

    assert (found.scrapes_found, found.scrapes_expected, found.gaps) == (21, 21, ())


def test_falls_of_counters_are_resets_and_of_gauges_are_none(tmp_path):
    """By their names; a step from or to NaN is none."""
    times = every(5000, 6)
    values = [5.0, 9.0, 1.0, math.nan, 0.5, 0.25]
    points = dict(zip(times, values, strict=True))
    found = certified(
        tallied(target("a", times, x_total=points, level=points), tmp_path, [times[1], times[3]]), span=(S0, S0 + 25), server=None
    )

    assert (found.counter_resets, found.non_finite) == (2, 2)


def test_what_was_left_out_is_certified(tmp_path):
    """Marks, repeated samples, histograms by name."""
    tally = tallied(target("a", every(5000, 3)), tmp_path)
    tally.leave_out(4, 2, {"rpc_seconds": 7})
    found = certified(tally, span=(S0, S0 + 10), server=None)

    assert (found.stale, found.duplicates, found.left_out) == (4, 2, {"rpc_seconds": 7})


def test_a_series_that_has_no_sample_is_none_of_the_recording(tmp_path):
    """A server may name a series whose samples lie outside of what was asked for."""
    writer = WindowWriter(tmp_path / "recording")
    writer.write([[batch({**target("a", every(5000, 3)), labels_of("early"): {}})]], T0 + 10_000)
    writer.close()

    assert certified(writer.tally, span=(S0, S0 + 10), server=None).series == 3


def test_nothing_at_all_is_a_gap(tmp_path):
    """An empty tally has no scrape, no sample, and one hole as long as the span."""
    found = certified(tallied({}, tmp_path), span=(S0, S0 + 60), server=None)

    assert (found.series, found.samples, found.scrapes_expected, found.samples_expected) == (0, 0, 0, 0)
    assert [(gap.start_s, gap.end_s, gap.target) for gap in found.gaps] == [(S0, S0 + 60, None)]


@st.composite
def scraped(draw):
    """Some targets of one interval each: the numbers of the scrapes that are missing and of those that failed, and metrics with holes."""
    targets = []
    for number in range(draw(st.integers(1, 3))):
        step = draw(st.sampled_from([5, 10, 15]))
        count = 300 // step + 1
        places = st.sets(st.integers(1, count - 2), max_size=count // 4)
        missing, failed = draw(places), draw(places)
        metrics = draw(st.lists(st.sets(st.integers(0, count - 1)), max_size=3))
        targets.append((f"t{number}", step, count, missing, failed - missing, metrics))
    return targets


@given(scraped(), st.lists(st.integers(0, 300_000), max_size=3))
@settings(deadline=None, max_examples=60)
def test_counts_are_those_of_a_plain_count(tmp_path_factory, targets, cuts):
    """Scrapes expected, found and failed, and samples expected, whatever is missing and however it was written."""
    courses, expected, found, failed, samples, owed = {}, 0, 0, 0, 0, 0
    for job, step, count, missing, down, metrics in targets:
        at = [T0 + 1000 * step * place for place in range(count)]
        looked = [place for place in range(count) if place not in missing]
        holed = {
            f"m{number}": flat([at[place] for place in places if place in looked and place not in down])
            for number, places in enumerate(metrics)
        }
        courses |= target(job, [at[place] for place in looked], [at[place] for place in down], **holed)
        expected, found, failed = expected + count, found + len(looked), failed + len(down)
        owed += 3 * len(looked)
        samples += 3 * len(looked) + sum(len(points) for points in holed.values())
        for points in holed.values():
            good = [at[place] for place in looked if place not in down]
            owed += sum(min(points) <= time <= max(points) for time in good) if points else 0
    tally = tallied(courses, tmp_path_factory.mktemp("tally"), [T0 + cut for cut in sorted(cuts)])
    certificate = certified(tally, span=(S0, S0 + 300), server=None)

    assert (certificate.scrapes_found, certificate.scrapes_failed) == (found, failed)
    assert certificate.scrapes_expected == expected
    assert (certificate.samples_found, certificate.samples_expected, certificate.own_stamps) == (samples, owed, 0)
    assert bool(certificate.gaps) == (found < expected)


def test_scrapes_are_read_in_order(tmp_path):
    """Of several windows and series, late ones among them."""
    a, b = labels_of("up", job="a", instance="1"), labels_of("up", job="b", instance="1")
    writer = WindowWriter(tmp_path, overlap_ms=1000)
    writer.write([[batch({b: {T0: 1.0}, a: {T0 + 1: 1.0}})]], T0 + 2)
    writer.write([[batch({a: {T0: 0.0, T0 + 3: 1.0}, b: {T0 + 3: 1.0}})]], T0 + 4)
    writer.close()
    found = scrapes_of(writer.tally)

    assert found.series.tolist() == [0, 0, 1, 1, 1]
    assert (found.time_ms - T0).tolist() == [0, 3, 0, 1, 3]
    assert found.value.tolist() == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert scrapes_of(Tally(writer.table)).series.tolist() == []


@pytest.mark.parametrize(("steps", "expected"), [([], None), ([5], 5.0), ([5, 5, 60], 5.0), ([5, 4, 6, 5], 5.0)])
def test_the_usual_interval_is_that_of_most_steps(tmp_path, steps, expected):
    """A gap does not change it; without two scrapes of a target nobody knows."""
    times = [T0 + 1000 * sum(steps[:place]) for place in range(len(steps) + 1)]

    assert usual_interval_s(tallied({labels_of("up", job="a", instance="b"): flat(times)}, tmp_path)) == expected


# -- without anything about scrapes ---------------------------------------------------------------------------------------

P0 = -(-T0 // PERIOD_MS) * PERIOD_MS


def with_periods(tmp_path, *samples_ms: int) -> Tally:
    return tallied({labels_of("m"): flat(samples_ms)}, tmp_path)


def test_where_nothing_tells_of_scrapes_empty_periods_are_gaps(tmp_path):
    """Five minutes without any sample: whoever was scraped at all has one in them."""
    times = [time for time in every(15_000, 240, P0) if not P0 + 700_000 < time < P0 + 2_500_000]
    tally = with_periods(tmp_path, *times)
    span = (P0 / 1000, P0 / 1000 + 3600)

    assert empty_periods(tally, span) == (Gap(P0 / 1000 + 900, P0 / 1000 + 2400, None, None, 5),)
    assert certified(tally, span=span, server=None).gaps == empty_periods(tally, span)
    assert certified(tally, span=span, server=None).scrapes_expected == 0


@pytest.mark.parametrize(("before_s", "after_s"), [(0, 0), (20, 40), (290, 1), (0.001, 299)])
def test_the_rest_of_a_period_at_the_edge_is_no_gap(tmp_path, before_s, after_s):
    """No scrape need have been due in it."""
    tally = with_periods(tmp_path, *every(60_000, 60, P0))

    assert empty_periods(tally, (P0 / 1000 - before_s, P0 / 1000 + 3600 + after_s)) == ()


def test_a_gap_reaches_to_the_edge_of_the_span(tmp_path):
    """The part of a period there belongs to the empty one beside it."""
    start, end = P0 / 1000 - 100, P0 / 1000 + 3600 + 100
    tally = with_periods(tmp_path, *every(60_000, 50, P0 + 300_000))

    assert empty_periods(tally, (start, end)) == (Gap(start, P0 / 1000 + 300, None, None, 2), Gap(P0 / 1000 + 3300, end, None, None, 2))


@given(st.sets(st.integers(0, 40)), st.integers(0, 300_000), st.integers(0, 40 * 300_000))
@settings(deadline=None)
def test_every_whole_empty_period_is_in_a_gap_and_no_other(full, start_ms, length_ms):
    """By a plain search over the periods."""
    tally = Tally(SeriesTable())
    tally.periods = np.array(sorted(P0 // PERIOD_MS + place for place in full), np.int64)
    span = ((P0 + start_ms) / 1000, (P0 + start_ms + length_ms) / 1000)
    whole = [place for place in range(-1, 82) if span[0] <= P0 / 1000 + 300 * place and P0 / 1000 + 300 * (place + 1) <= span[1]]
    found = empty_periods(tally, span)

    for place in whole:
        begin, end = P0 / 1000 + 300 * place, P0 / 1000 + 300 * (place + 1)
        assert any(gap.start_s <= begin and end <= gap.end_s for gap in found) == (place not in full)
        assert not any(gap.start_s < end and begin < gap.end_s for gap in found) or place not in full
    assert all(gap.start_s >= span[0] and gap.end_s <= span[1] for gap in found)
