"""Gaps and the certificate: found in the samples, by arithmetic that can be done by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.certificate import certify, counters, resets
from tasks.telemetry.gaps import Gap, gaps, gaps_json
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
        "gaps": [{"start": "2023-11-14T22:13:20.000Z", "end": "2023-11-14T22:13:22.500Z", "target": None, "role": None, "missing": 1}],
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
