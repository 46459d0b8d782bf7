"""Gaps and the certificate: found in the samples, by arithmetic that can be done by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.certificate import certify, counters, resets
from tasks.telemetry.gaps import Gap, gaps, gaps_json, is_look, missing_looks
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

T0 = 1_700_000_000


def recorded(data: Mapping[tuple[str, str], Sequence[tuple[float, float]]]) -> tuple[tuple[Series, ...], Samples]:
    """A recording from (service, metric) to (seconds after T0, value)."""
    series = tuple(Series(number, name, service, "service", {}) for number, (service, name) in enumerate(data))
    rows = [(number, round((T0 + at) * 1000), value) for number, points in enumerate(data.values()) for at, value in points]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    samples = Samples(np.array(columns[0], np.int32), np.array(columns[1], np.int64), np.array(columns[2], np.float64), 1, 0, 0)
    return series, samples


def every_second(*moments: float) -> list[tuple[float, float]]:
    return [(moment, 1.0) for moment in moments]


def test_an_outage_of_the_collector_is_one_gap() -> None:
    """Nobody was scraped from second 2 to 6: one gap for all, with the three scrapes that are missing."""
    series, samples = recorded({("a", "up"): every_second(0, 1, 2, 6, 7), ("b", "up"): every_second(0.1, 1.1, 2.1, 6.1, 7.1)})

    assert gaps(series, samples, interval_s=1.0) == (Gap(T0 + 2.1, T0 + 6, None, None, 3),)


def test_a_target_that_nobody_asked_is_a_gap_of_its_own() -> None:
    """Others were scraped meanwhile, so the gap names the target; what all missed is not listed again."""
    series, samples = recorded({("a", "up"): every_second(0, 1, 2, 3, 4, 8, 9), ("b", "up"): every_second(0, 3, 4, 8, 9)})

    assert gaps(series, samples, interval_s=1.0) == (
        Gap(T0, T0 + 3, "b", "service", 2),
        Gap(T0 + 4, T0 + 8, None, None, 3),
    )


def test_a_failed_scrape_is_no_gap() -> None:
    """``up 0`` is a sample; the metrics that are absent meanwhile are no gap either."""
    series, samples = recorded({("a", "up"): [(0, 1.0), (1, 0.0), (2, 0.0), (3, 1.0)], ("a", "m"): every_second(0, 3)})

    assert gaps(series, samples, interval_s=1.0) == ()
    assert certify(series, samples, interval_s=1.0).scrapes_failed == 2


def test_jitter_is_no_gap() -> None:
    """Scrapes may come up to half an interval late."""
    series, samples = recorded({("a", "up"): every_second(0, 1.4, 2, 3.45, 4)})

    assert gaps(series, samples, interval_s=1.0) == ()


def test_the_edges_of_the_span_count() -> None:
    """Samples that start late or end early leave a gap at the span's edge."""
    series, samples = recorded({("a", "up"): every_second(3, 4, 5)})

    assert gaps(series, samples, interval_s=1.0, span=(T0, T0 + 10)) == (
        Gap(T0, T0 + 3, None, None, 3),
        Gap(T0 + 5, T0 + 10, None, None, 5),
    )


def test_nothing_at_all_is_one_gap() -> None:
    """A known target without a sample in the span."""
    series, samples = recorded({("a", "up"): []})

    assert gaps(series, samples, interval_s=1.0, span=(T0, T0 + 4)) == (Gap(T0, T0 + 4, None, None, 5),)
    assert gaps(series, samples, interval_s=1.0) == ()


def looked_at(*targets: tuple[str, Mapping[str, str], Sequence[float]]) -> tuple[tuple[Series, ...], Samples]:
    """A server's own ``up``: service, further labels, and when it was looked at."""
    series = tuple(
        Series(number, "up", service, "service", {"job": service, "instance": "h", **labels})
        for number, (service, labels, _) in enumerate(targets)
    )
    rows = [(number, round((T0 + at) * 1000), 1.0) for number, (_, _, moments) in enumerate(targets) for at in moments]
    columns = list(zip(*rows, strict=True))
    return series, Samples(np.array(columns[0], np.int32), np.array(columns[1], np.int64), np.array(columns[2], np.float64), 1, 0, 0)


def regular(interval_s: float, until_s: float, *holes: tuple[float, float], since_s: float = 0.0) -> list[float]:
    """Looks every *interval_s* that are in none of the open *holes*."""
    moments = [since_s + place * interval_s for place in range(int((until_s - since_s) / interval_s) + 1)]
    return [moment for moment in moments if not any(begin < moment < end for begin, end in holes)]


@pytest.mark.parametrize(
    ("name", "labels", "looks"),
    [
        ("up", {}, True),
        ("up", {"job": "a", "instance": "h"}, True),
        ("up", {"job": "a", "instance": "h", "pod": "p"}, True),
        ("up", {"job": "a"}, False),
        ("up", {"direction": "stairs"}, False),
        ("ups", {}, False),
    ],
)
def test_a_metric_that_happens_to_be_called_up_is_no_look(name: str, labels: dict[str, str], looks: bool) -> None:
    """A scraper's has no labels, a Prometheus' has job and instance at least."""
    assert is_look(Series(0, name, "s", "service", labels)) == looks


def test_targets_of_different_intervals_have_no_gap_on_schedule() -> None:
    """Each keeps its own, though nobody is looked at for the longest part of the slow one's."""
    series, samples = looked_at(("a", {}, regular(15, 600)), ("b", {}, regular(60, 600)), ("c", {}, regular(5, 600)))

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 600)) == ()
    assert gaps(series, samples, interval_s=None) == ()
    assert missing_looks(series, samples, span=(T0, T0 + 600)) == 0


def test_a_fast_target_that_nobody_asks_is_its_gap_alone() -> None:
    """The slow one was asked on schedule meanwhile, so that it is no gap of all."""
    series, samples = looked_at(("a", {}, regular(15, 1200, (300, 900))), ("b", {}, regular(60, 1200)))

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 1200)) == (Gap(T0 + 300, T0 + 900, "a", "service", 39),)
    assert missing_looks(series, samples, span=(T0, T0 + 1200)) == 39


def test_a_fast_target_that_ends_early_is_its_gap_alone() -> None:
    """Up to the end of the span, and from its beginning likewise."""
    series, samples = looked_at(("a", {}, regular(15, 600, since_s=300)), ("b", {}, regular(60, 1170, since_s=30)))

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 1200)) == (
        Gap(T0, T0 + 300, "a", "service", 20),
        Gap(T0 + 600, T0 + 1200, "a", "service", 40),
    )


def test_an_outage_of_the_server_is_one_gap_whatever_the_intervals() -> None:
    """And what is missing is counted by each target's own."""
    hole = (310, 890)
    series, samples = looked_at(("a", {}, regular(15, 1200, hole)), ("b", {}, regular(60, 1200, hole)), ("c", {}, regular(5, 1200, hole)))

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 1200)) == (Gap(T0 + 310, T0 + 890, None, None, 115),)
    assert missing_looks(series, samples, span=(T0, T0 + 1200)) == 115 + 39 + 9


def test_nobody_looked_at_in_the_span_is_a_gap_of_all() -> None:
    """Though one target is due less often than that is long."""
    series, samples = looked_at(("a", {}, regular(15, 600)), ("b", {}, regular(900, 3600)))

    assert gaps(series, samples, interval_s=None, span=(T0 + 910, T0 + 1790)) == (Gap(T0 + 910, T0 + 1790, None, None, 60),)


def test_pods_that_follow_one_another_are_one_target() -> None:
    """Each pod is looked at while it lives; no gap where one takes over from the other."""
    pods = [
        ("a", {"pod": "1"}, regular(5, 300)),
        ("a", {"pod": "2"}, regular(5, 600, since_s=290)),
        ("a", {"pod": "3"}, regular(5, 900, since_s=604)),
    ]
    series, samples = looked_at(*pods)

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 900)) == ()
    assert missing_looks(series, samples, span=(T0, T0 + 900)) == 0


def test_a_time_without_any_pod_is_a_gap() -> None:
    """One had ended, the next had not begun."""
    pods = [("a", {"pod": "1"}, regular(5, 300)), ("a", {"pod": "2"}, regular(5, 600, since_s=350)), ("b", {}, regular(5, 600))]
    series, samples = looked_at(*pods)

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 600)) == (Gap(T0 + 300, T0 + 350, "a", "service", 9),)
    assert missing_looks(series, samples, span=(T0, T0 + 600)) == 9


def test_a_pod_that_nobody_asks_is_a_gap_though_its_twin_is_asked() -> None:
    """Two pods of one target; the looks at one of them do not stand for the other."""
    twins = [("a", {"pod": "1"}, regular(5, 600)), ("a", {"pod": "2"}, regular(5, 602, (200, 400), since_s=2))]
    series, samples = looked_at(*twins)

    assert gaps(series, samples, interval_s=None, span=(T0, T0 + 602)) == (Gap(T0 + 197, T0 + 402, "a", "service", 40),)
    assert missing_looks(series, samples, span=(T0, T0 + 602)) == 40


def test_an_outage_counts_for_each_pod() -> None:
    """Two pods of one target, and nobody asked for 100 s: one gap, twice as many looks."""
    twins = [("a", {"pod": "1"}, regular(5, 600, (200, 300))), ("a", {"pod": "2"}, regular(5, 602, (200, 300), since_s=2))]
    series, samples = looked_at(*twins)
    (gap,) = gaps(series, samples, interval_s=None, span=(T0, T0 + 602))

    assert (gap.start_s, gap.end_s, gap.target) == (T0 + 200, T0 + 300, None)
    assert missing_looks(series, samples, span=(T0, T0 + 602)) == 19 + 20


@st.composite
def schedules(draw: st.DrawFn) -> list[tuple[float, list[int]]]:
    """Some targets: how often each is due, and the numbers of the looks that are missing, in stretches, not the first nor the last."""
    targets = []
    for interval_s in draw(st.lists(st.sampled_from([5.0, 10.0, 15.0, 30.0]), min_size=1, max_size=4)):
        count = int(600 / interval_s) + 1
        stretches = draw(st.lists(st.tuples(st.integers(1, count - 2), st.integers(1, count // 5)), max_size=2))
        targets.append(
            (interval_s, sorted({place for begin, length in stretches for place in range(begin, min(count - 1, begin + length))}))
        )
    return targets


@given(schedules(), st.floats(-0.1, 0.1))
@settings(deadline=None, max_examples=200)
def test_looks_found_and_missing_are_those_that_were_due(targets: list[tuple[float, list[int]]], jitter: float) -> None:
    """Whatever is taken out of several schedules, what is missing adds up, and within an interval of each lost look there is a gap."""
    looked = []
    for number, (interval_s, missing) in enumerate(targets):
        moments = [place * interval_s for place in range(int(600 / interval_s) + 1) if place not in missing]
        shifted = [moment + (jitter * interval_s if 0 < moment < 600 and round(moment / interval_s) % 2 else 0.0) for moment in moments]
        looked.append((f"t{number}", {}, shifted))
    series, samples = looked_at(*looked)
    span = (T0, T0 + 600)
    found = gaps(series, samples, interval_s=None, span=span)

    assert missing_looks(series, samples, span=span) == sum(len(missing) for _, missing in targets)
    assert bool(found) == any(missing for _, missing in targets)
    for number, (interval_s, missing) in enumerate(targets):
        lost = [T0 + place * interval_s for place in missing]
        theirs = [gap for gap in found if gap.target in (None, f"t{number}")]
        assert all(any(gap.start_s - interval_s < moment < gap.end_s + interval_s for gap in theirs) for moment in lost)


@given(st.sets(st.integers(0, 60), min_size=2), st.floats(-0.2, 0.2))
@settings(deadline=None)
def test_missing_scrapes_add_up(present: set[int], jitter: float) -> None:
    """Whatever is taken out of a regular series, the gaps count exactly the moments that are not there."""
    moments = sorted(present)
    series, samples = recorded({("a", "up"): [(m + (jitter if m % 2 else 0.0), 1.0) for m in moments]})

    found = gaps(series, samples, interval_s=1.0)

    assert sum(gap.missing for gap in found) == moments[-1] - moments[0] + 1 - len(moments)


def test_the_ledger_is_json() -> None:
    """Times are ISO 8601 in UTC."""
    text = json.dumps(gaps_json([Gap(T0, T0 + 2.5, None, None, 1)], interval_s=1.0))

    assert json.loads(text) == {
        "interval_s": 1.0,
        "gaps": [
            {
                "start": "2023-11-14T22:13:20.000Z",
                "end": "2023-11-14T22:13:22.500Z",
                "target": None,
                "role": None,
                "missing": 1,
                "cause": None,
            }
        ],
    }


def test_the_certificate_counts_what_is_there() -> None:
    """Scrapes expected, found and failed, resets of counters, values that are no numbers, and the gap."""
    series, samples = recorded(
        {
            ("a", "up"): [(0, 1.0), (1, 1.0), (2, 0.0), (5, 1.0)],
            ("a", "scrape_samples_scraped"): [(0, 2.0), (1, 2.0), (2, 0.0), (5, 2.0)],
            ("a", "scrape_duration_seconds"): [(0, 0.1), (1, 0.1), (2, 0.2), (5, 0.1)],
            ("a", "hits_total"): [(0, 5.0), (1, 9.0), (5, 1.0)],
            ("a", "level"): [(0, 5.0), (1, float("nan")), (5, 1.0)],
        }
    )

    found = certify(series, samples, interval_s=1.0)

    assert (found.targets, found.scrapes_expected, found.scrapes_found, found.scrapes_failed) == (1, 6, 4, 1)
    assert (found.samples_expected, found.samples_found) == (18, 18)
    assert (found.counter_resets, found.non_finite, found.gaps) == (1, 1, (Gap(T0 + 2, T0 + 5, None, None, 2),))
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a_total", "a"], [True, False]),
        (["h_bucket", "h_count", "h_sum"], [True, True, True]),
        (["queue_count"], [False]),
        (["total"], [False]),
    ],
)
def test_counters_are_told_by_their_names(names: list[str], expected: list[bool]) -> None:
    """A gauge that happens to end in ``_count`` may fall as it likes."""
    series = [Series(number, name, "s", "service", {}) for number, name in enumerate(names)]

    assert counters(series).tolist() == expected


def test_each_fall_of_a_counter_is_a_reset() -> None:
    """A step to another series is none, nor is one around NaN."""
    series, samples = recorded(
        {
            ("a", "x_total"): [(0, 9.0), (1, 1.0), (2, 0.5)],
            ("a", "y_total"): [(0, 0.1), (1, float("nan")), (2, 0.0)],
            ("a", "z"): [(0, 2.0), (1, 1.0)],
        }
    )

    assert resets(series, samples).tolist() == [2, 0, 0]
