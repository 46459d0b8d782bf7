"""What follows from how often the kubelets really looked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.certificate_text import sentences
from tasks.telemetry.kube.cadence import Cadence, cadence, window_s
from tasks.telemetry.kube.certified import certified
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series


def stamps(*times_s):
    """In ms."""
    return np.array([round(time * 1000) for time in times_s], dtype=np.int64)


def test_the_usual_pace_of_a_kubelet():
    """Every 10 to 19 s: a window of a minute and more, and onsets known to 19 s."""
    found = cadence([stamps(0, 14, 28, 47), stamps(3, 13, 27, 41)])

    assert found == Cadence(2, 14.0, 17.75, 19.0, 60.0, 17.75)


def test_a_kubelet_that_looks_every_second():
    """As the tests' own does."""
    assert cadence([stamps(*np.arange(0, 30, 1.5))]) == Cadence(1, 1.5, 1.5, 1.5, 6.0, 1.5)


@pytest.mark.parametrize("seen", [[], [stamps()], [stamps(1)], [stamps(1), stamps(2)]])
def test_nothing_follows_from_single_looks(seen):
    """Undefined is None."""
    assert cadence(seen) is None


@given(st.floats(0.5, 20.0), st.lists(st.floats(1.0, 1.9), min_size=30, max_size=300))
def test_there_is_nearly_always_a_rate(shortest_s, longer):
    """In at least nine of ten windows of the advised length two samples fall, however the gaps are spread as kubelets spread them."""
    times = np.concatenate([[0.0], np.cumsum(shortest_s * np.array(longer))])
    found = cadence([stamps(*times)])
    assert found is not None
    window = found.recommended_rate_window_s

    ends = np.linspace(window, max(window, times[-1]), 400)
    inside = np.searchsorted(times, ends, side="right") - np.searchsorted(times, ends - window, side="right")
    assert (inside >= 2).mean() >= 0.9


@given(st.floats(0.01, 100.0), st.floats(1.0, 3.0))
def test_a_window_is_never_shorter_than_needed(median_s, longer):
    """And longer by less than a step of rounding."""
    needed = max(4 * median_s, 2.2 * median_s * longer)
    assert needed - 1e-5 <= window_s(median_s, median_s * longer) <= needed + 5


def recording():
    """Two replicas scraped every 5 s, one of which was away for a while; containers looked at every 14 s; the API server silent from 30 to 45 s."""
    series, rows = [], []

    def add(name, service, role, times_s, values, **labels):
        series.append(Series(len(series), name, service, role, labels))
        rows.extend((len(series) - 1, round(time * 1000), value) for time, value in zip(times_s, values, strict=True))

    ticks = [time for time in range(0, 101, 5) if not 30 < time < 45]
    for replica in ("0", "1"):
        place = {"job": "pods", "replica": replica}
        up = [0.0 if replica == "1" and 50 <= time < 70 else 1.0 for time in ticks]
        add("up", "front", "service", ticks, up, **place)
        add("scrape_samples_scraped", "front", "service", ticks, up, **place)
        asked = [time for time, value in zip(ticks, up, strict=True) if value]
        add("requests_total", "front", "service", asked, [float(time) for time in asked], **place)
        looks = np.arange(1.0, 100.0, 14.0)
        grown = [time if time < 60 else time - 60 for time in looks]
        add("container_cpu_usage_seconds_total", "front", "container", looks, grown, container="front", job="cadvisor", replica=replica)
    add("up", "node", "node", range(0, 101, 10), [1.0] * 11, job="cadvisor", node="node1")
    add("scrape_samples_scraped", "node", "node", range(0, 101, 10), [16 / 11] * 11, job="cadvisor", node="node1")
    rows.sort()
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return tuple(series), Samples(columns[0].astype(np.int32), columns[1].astype(np.int64), columns[2].astype(np.float64), 1, 0, 0)


def test_the_certificate_of_a_cluster():
    """Each target by its own interval; a time without a look is a gap, a pod that is away is not; the cadence is among the facts."""
    series, samples = recording()

    found = certified(series, samples, span=(0.0, 100.0))

    assert [(gap.start_s, gap.end_s, gap.target, gap.missing) for gap in found.gaps] == [(30.0, 45.0, "front", 2)]
    assert (found.targets, found.scrapes_failed, found.counter_resets) == (3, 4, 2)
    assert found.scrapes_expected - found.scrapes_found == 4, "two looks at each of two replicas"
    assert found.samples_expected == found.samples_found
    assert found.cadence is not None
    assert found.cadence["cadvisor"]["median_gap_s"] == 14.0
    assert any("every 14 s (median)" in line and "60 s or more" in line for line in sentences(found.to_json()))
