"""The data certificate of what came from a Prometheus, from counts made on the way and the few samples about scrapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.arrays import among, median
from tasks.telemetry.certificate import DURATION, Certificate, counters, durations, rows_of
from tasks.telemetry.gaps import Gap, gaps, is_look, missing_looks
from tasks.telemetry.prometheus.tally import PERIOD_MS, Tally
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series


def certified(tally: Tally, *, span: tuple[float, float], server: Mapping[str, Any] | None) -> Certificate:
    """
    Certify what *tally* counted.

    Samples are expected of a series at each good scrape of its target (same job and instance) between its own first and last
    sample. Series whose stamps are not those of scrapes bring their own; what they should have had nobody knows, so that their
    samples count as expected as they are.

    Args:
        tally: Counts over all chunks.
        span: First and last wall time at which there should be samples.
        server: What is known of the server and the way in.
    """
    series, about = tuple(tally.table.since(0)), scrapes_of(tally)
    ups = [one for one in series if is_look(one)]
    up_rows = rows_of(about, [one.id for one in ups])
    inside = up_rows & (about.time_ms >= span[0] * 1000) & (about.time_ms <= span[1] * 1000)
    found_gaps = gaps(series, about, interval_s=None, span=span) if ups else empty_periods(tally, span)
    expected, own = _expected(tally, series, ups, about)
    duration = rows_of(about, [one.id for one in series if one.name == DURATION])
    found = int(np.count_nonzero(inside))
    return Certificate(
        series=int(np.count_nonzero(tally.count)),
        samples=int(tally.count.sum()),
        targets=len({(one.service, one.role) for one in ups}),
        scrapes_expected=found + missing_looks(series, about, span=span),
        scrapes_found=found,
        scrapes_failed=int(np.count_nonzero(about.value[inside] == 0)),
        samples_expected=expected,
        samples_found=int(tally.count.sum()),
        counter_resets=int(tally.falls[counters(series)[: len(tally.falls)]].sum()) if len(tally.falls) else 0,
        duplicates=tally.duplicates,
        out_of_order=tally.late,
        non_finite=tally.non_finite,
        gaps=found_gaps,
        scrape_duration_s=durations(about.value[duration]),
        stale=tally.stale,
        own_stamps=own,
        left_out=dict(tally.histograms),
        fingerprint=f"{tally.fingerprint:016x}",
        server=server,
    )


def empty_periods(tally: Tally, span: tuple[float, float]) -> tuple[Gap, ...]:
    """
    Gaps where nothing tells of scrapes: stretches of periods in *span* without any sample; missing are the periods.

    A part of a period at the span's edge says nothing, unless it is all of the span: a scrape need not have been due in it.
    """
    first, last = (int(moment_s * 1000) // PERIOD_MS for moment_s in span)
    periods = np.arange(first, last + 1)
    empty = periods[~among(periods, tally.periods)]
    starts = empty[np.concatenate([[True], np.diff(empty) > 1])] if len(empty) else empty
    ends = empty[np.concatenate([np.diff(empty) > 1, [True]])] if len(empty) else empty
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        begin_s, end_s = max(span[0], start * PERIOD_MS / 1000), min(span[1], (end + 1) * PERIOD_MS / 1000)
        if end_s - begin_s >= min(PERIOD_MS / 1000, span[1] - span[0]) > 0:
            found.append(Gap(begin_s, end_s, None, None, end - start + 1))
    return tuple(found)


def scrapes_of(tally: Tally) -> Samples:
    """The samples about scrapes, in order of series and time."""
    parts = [np.concatenate([part[column] for part in tally.scrapes]) if tally.scrapes else np.empty(0) for column in range(3)]
    series, time_ms, value = parts[0].astype(np.int32), parts[1].astype(np.int64), parts[2].astype(np.float64)
    order = np.lexsort((time_ms, series))
    return Samples(series[order], time_ms[order], value[order], 0, 0, 0)


def usual_interval_s(tally: Tally) -> float | None:
    """The usual distance of two scrapes of a target, over all of them; None where no target was scraped twice."""
    about, ups = scrapes_of(tally), [one.id for one in tally.table.since(0) if is_look(one)]
    rows = rows_of(about, ups)
    series, time_ms = about.series[rows], about.time_ms[rows]
    steps = np.diff(time_ms)[series[1:] == series[:-1]]
    return median(steps) / 1000 if len(steps) else None


def _expected(tally: Tally, series: Sequence[Series], ups: Sequence[Series], about: Samples) -> tuple[int, int]:
    """How many samples there should be, and how many series bring their own stamps."""
    members = _members(series[: len(tally.count)], ups)
    looks = {one.id: _looks_of(one.id, about) for one in ups}
    expected = own = 0
    for target, numbers in members.items():
        ids = np.array([number for number in numbers if tally.count[number]], np.int64)
        every, good = looks.get(target, (np.empty(0, np.int64), np.empty(0, np.int64)))
        on_time = among(tally.first_ms[ids], every) & among(tally.last_ms[ids], every)
        told = np.searchsorted(good, tally.last_ms[ids], side="right") - np.searchsorted(good, tally.first_ms[ids], side="left")
        expected += int(np.where(on_time, np.maximum(told, tally.count[ids]), tally.count[ids]).sum())
        own += int(np.count_nonzero(~on_time))
    return expected, own


def _members(series: Sequence[Series], ups: Sequence[Series]) -> dict[int, list[int]]:
    """
    The series of each target, by the number of its ``up``; -1 for those of none.

    Job and instance are not enough: one port may serve several pages. A target's series carry all labels of its ``up``.
    """
    by_place: dict[tuple[str, str], list[Series]] = {}
    for up in ups:
        by_place.setdefault(_place(up), []).append(up)
    found: dict[int, list[int]] = {}
    for one in series:
        here = [up for up in by_place.get(_place(one), ()) if up.labels.items() <= one.labels.items()]
        found.setdefault(max(here, key=lambda up: len(up.labels)).id if here else -1, []).append(one.id)
    return found


def _place(one: Series) -> tuple[str, str]:
    return one.labels.get("job", ""), one.labels.get("instance", "")


def _looks_of(up: int, about: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When a target was scraped, and when that went well; in ms."""
    first, last = np.searchsorted(about.series, [up, up + 1])
    times = about.time_ms[first:last]
    return times, times[about.value[first:last] == 1]
