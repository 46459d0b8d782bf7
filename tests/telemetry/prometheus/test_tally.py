"""What is counted on the way equals what a plain count over all samples gives, whatever the chunks."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.prometheus.tally import PERIOD_MS, Tally, hashed
from tasks.telemetry.series import SeriesTable
from tests.telemetry.prometheus.made_up import T0, Points, between, labels_of, samples, times_of


def counted(windows: Iterator[dict[Labels, Points]], table: SeriesTable | None = None) -> Tally:
    """All *windows*, one `add` a window."""
    tally = Tally(table or SeriesTable())
    for window in windows:
        columns = [
            (tally.table.number("service", "s", dict(labels)["__name__"], dict(labels)), time, value)
            for labels, points in window.items()
            for time, value in sorted(points.items())
        ]
        series, time_ms, value = zip(*columns, strict=True) if columns else ((), (), ())
        tally = tally.begun()
        tally.add(np.array(series, np.int32), np.array(time_ms, np.int64), np.array(value, np.float64))
    return tally


def falls(points: Points) -> int:
    """How often it fell, in order of time; a step from or to NaN is none."""
    values = [points[time] for time in sorted(points)]
    return sum(after < before for before, after in itertools.pairwise(values))


@given(samples(length_ms=2_000_000), st.lists(st.integers(0, 2_000_000), max_size=5))
@settings(deadline=None, max_examples=100)
def test_counts_are_those_of_a_plain_count(courses, cuts):
    """By series and over all; the cuts between windows make no difference."""
    edges = [T0 - 1, *sorted(T0 + cut for cut in cuts), T0 + 2_000_000]
    tally = counted(between(courses, before + 1, end) for before, end in itertools.pairwise(edges))
    by_id = {one.id: next(points for labels, points in courses.items() if dict(labels) == one.labels) for one in tally.table.since(0)}
    plain = [by_id[number] for number in range(len(by_id))]
    values = [value for points in plain for value in points.values()]

    assert tally.count.tolist() == [len(points) for points in plain]
    assert tally.first_ms.tolist() == [min(points) for points in plain]
    assert tally.last_ms.tolist() == [max(points) for points in plain]
    assert tally.falls.tolist() == [falls(points) for points in plain]
    assert tally.non_finite == sum(not math.isfinite(value) for value in values)
    assert tally.late == 0
    assert tally.periods.tolist() == sorted({time // PERIOD_MS for time in times_of(plain)})
    assert tally.to_json()["samples"] == len(values)
    assert tally.fingerprint == counted(iter([dict(reversed(courses.items()))])).fingerprint


@given(samples(), st.data())
@settings(deadline=None, max_examples=50)
def test_another_sample_is_another_fingerprint(courses, data):
    """One bit of one value, one millisecond, another label, or a sample less."""
    labels = data.draw(st.sampled_from(list(courses)))
    points = courses[labels]
    time = data.draw(st.sampled_from(sorted(points)))
    bits = np.array([points[time]]).view(np.uint64) ^ np.uint64(1 << data.draw(st.integers(0, 63)))
    rest = {moment: value for moment, value in points.items() if moment != time}
    changed = [
        {**courses, labels: {**rest, time: float(bits.view(np.float64)[0])}},
        {**courses, labels: {**rest, T0 + 5000: points[time]}},
        {**courses, labels: rest},
        {**{other: course for other, course in courses.items() if other != labels}, labels_of("other"): points},
    ]

    assert len({counted(iter([one])).fingerprint for one in [courses, *changed]}) == 5


def test_two_samples_that_change_places_are_noticed():
    """A sum of hashes would not notice if only series or only values were hashed."""
    a, b = labels_of("a"), labels_of("b")
    found = [
        counted(iter([{a: {T0: 1.0, T0 + 1: 2.0}, b: {T0: 3.0}}])),
        counted(iter([{a: {T0: 2.0, T0 + 1: 1.0}, b: {T0: 3.0}}])),
        counted(iter([{a: {T0: 3.0, T0 + 1: 2.0}, b: {T0: 1.0}}])),
        counted(iter([{a: {T0: 1.0, T0 + 1: 2.0}, b: {T0 + 1: 3.0}}])),
    ]

    assert len({tally.fingerprint for tally in found}) == 4


def test_the_hash_is_the_one_that_was_written_down():
    """Splitmix64 of time and value: a recording of today has the same fingerprint tomorrow."""
    mask = 2**64 - 1

    def mixed(bits):
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & mask
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & mask
        return bits ^ bits >> 31

    rng = np.random.default_rng(1)
    seed, time_ms, value = rng.integers(0, 2**63, 50).astype(np.uint64), rng.integers(0, 2**41, 50), rng.normal(size=50)
    raw = zip(seed.tolist(), time_ms.tolist(), value.view(np.uint64).tolist(), strict=True)

    assert hashed(seed, time_ms, value) % 2**64 == sum(mixed(mixed(one + time & mask) ^ bits) for one, time, bits in raw) % 2**64


def test_late_samples_are_counted_and_move_no_last_value():
    """A sample older than its series' newest one is late; the newest one stays what the next is compared with."""
    a = labels_of("a")
    tally = counted(iter([{a: {T0: 1.0, T0 + 10: 9.0}}, {a: {T0 + 3: 2.0, T0 + 5: 3.0}}, {a: {T0 + 20: 8.0}}]))

    assert (tally.late, tally.chunk.late, tally.falls.tolist(), tally.count.tolist()) == (2, 0, [1], [5])
    assert (tally.first_ms.tolist(), tally.last_ms.tolist(), tally.last_value.tolist()) == ([T0], [T0 + 20], [8.0])


def test_what_was_begun_does_not_touch_what_it_was_begun_on():
    """Should the chunk fail, all stands as before, in every field."""
    a, b = labels_of("up"), labels_of("b")
    before = counted(iter([{a: {T0: 1.0}, b: {T0: 5.0}}]))
    fields = {name: np.copy(getattr(before, name)) for name in before.__slots__ if isinstance(getattr(before, name), np.ndarray)}
    plain = {name: getattr(before, name) for name in before.__slots__ if isinstance(getattr(before, name), int | dict | tuple)}
    after = before.begun()
    number = after.table.number("service", "s", "new", {})
    after.add(np.array([0, 1, number], np.int32), np.array([T0 + 400_000] * 3, np.int64), np.array([0.0, math.nan, 1.0]))
    after.leave_out(3, 2, {"h": 1})

    assert len(fields) >= 8
    assert all(np.array_equal(getattr(before, name), value) for name, value in fields.items())
    assert {name: getattr(before, name) for name in plain} == plain
    assert (after.stale, after.duplicates, dict(after.histograms), after.non_finite) == (3, 2, {"h": 1}, 1)
    assert (after.chunk.rows, after.chunk.duplicates, after.chunk.first_ms, after.chunk.last_ms) == (3, 2, T0 + 400_000, T0 + 400_000)


def test_only_samples_about_scrapes_are_kept_whole():
    """``up`` and how long a scrape took; everything else is counted only."""
    courses = {labels_of(name): {T0: 1.0, T0 + 1: 0.0} for name in ("up", "m", "scrape_duration_seconds", "scrape_samples_scraped")}
    tally = counted(iter([courses]))
    kept = {tally.table.since(0)[number].name for part in tally.scrapes for number in part[0].tolist()}

    assert kept == {"up", "scrape_duration_seconds"}
    assert sum(len(part[0]) for part in tally.scrapes) == 4


def test_what_was_left_out_goes_on_after_a_restart():
    """It is in no chunk, so a chunk says how much it was."""
    tally = Tally(SeriesTable())
    tally.leave_out(3, 2, {"h": 1})
    tally.leave_out(1, 0, {"h": 4, "g": 1})
    again = Tally(SeriesTable())
    again.restore(json.loads(json.dumps(tally.facts())))

    assert (again.stale, again.duplicates, again.histograms) == (4, 2, {"h": 5, "g": 1})
    with pytest.raises(KeyError):
        again.restore({})
    with pytest.raises(ValueError, match="invalid literal"):
        again.restore({**tally.facts(), "stale": "many"})
