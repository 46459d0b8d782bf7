"""Histories come out of a real server bit by bit as they were decided."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tasks.telemetry.prometheus.batch import STALE_BITS
from tests.prometheus.history import (
    BLOCK_MS,
    HISTORIES,
    NORMAL_NAN,
    SPECIAL_VALUES,
    START_MS,
    Course,
    brief,
    differing,
    generations,
    jittered,
    odd_labels,
    open_metrics,
    promtool,
    resets,
    special_values,
    write_blocks,
)
from tests.prometheus.push import push, push_histograms
from tests.prometheus.servers import EACH_MAJOR, Prometheus

each_major = pytest.mark.parametrize("binary", EACH_MAJOR)


@pytest.fixture
def in_test_folder(tmp_path):
    """Where blocks go; skipped without promtool."""
    promtool()
    return tmp_path / "data"


@each_major
def test_each_history_is_served_bit_by_bit(binary, tmp_path):
    """Through blocks and the server's own JSON: labels, times, values."""
    courses = [course for history in HISTORIES.values() for course in history()]
    write_blocks(courses, tmp_path / "data")
    with Prometheus(tmp_path, binary=binary) as server:
        found = server.raw('{__name__=~".+"}', START_MS, START_MS + 3 * BLOCK_MS)

    assert len(found) == len(courses) > 60
    assert differing(found, courses) == []


@each_major
def test_pushed_samples_are_served_and_stale_markers_end_a_series(binary, tmp_path):
    """The raw samples are all but the markers; right after a marker the series is not there."""
    first_ms = int(time.time()) * 1000 - 600_000
    values = np.array([1.0, 2.0, 0.0, 4.0, 5.0])
    values.view(np.int64)[2] = STALE_BITS
    course = Course.of({"__name__": "pushed", "odd": 'a"\n\\é'}, first_ms + 1000 * np.arange(5), values)
    kept = Course(course.labels, course.time_ms[~course.stale], course.value[~course.stale])
    with Prometheus(tmp_path, binary=binary) as server:
        push(server.url, [course])
        found = server.raw("pushed", first_ms, first_ms + 10_000)
        there = [len(server.api("query", query="pushed", time=(first_ms + 1000 * place) / 1000)["result"]) for place in range(5)]

    assert differing(found, [kept]) == []
    assert there == [1, 1, 0, 1, 1]


@each_major
def test_pushed_samples_may_span_hours(binary, tmp_path):
    """All courses go on together, so that the head refuses none as too old."""
    first_ms = int(time.time()) * 1000 - 5 * 3_600_000
    courses = [Course.of({"__name__": "long", "n": str(n)}, first_ms + 10_000 * np.arange(1800), np.arange(1800) * n) for n in range(3)]
    with Prometheus(tmp_path, binary=binary) as server:
        push(server.url, courses)
        found = server.raw("long", first_ms, first_ms + 6 * 3_600_000)

    assert differing(found, courses) == []


@each_major
def test_native_histograms_can_be_pushed(binary, tmp_path):
    """With their feature; the count grows by one."""
    first_ms = int(time.time()) * 1000 - 60_000
    with Prometheus(tmp_path, binary=binary, flags=["--enable-feature=native-histograms"]) as server:
        push_histograms(server.url, {"__name__": "native"}, [first_ms, first_ms + 1000, first_ms + 2000])
        result = server.api("query", query="native[5m]")["result"]

    assert [one["count"] for _, one in result[0]["histograms"]] == ["3", "4", "5"]


def test_what_a_server_refuses_is_said(tmp_path):
    """A sample that is older than the newest one of its series, where that is not allowed."""
    now_ms = int(time.time()) * 1000
    with Prometheus(tmp_path) as server:
        push(server.url, [Course.of({"__name__": "one"}, [now_ms], [1.0])])
        with pytest.raises(OSError, match="status 400: out of order"):
            push(server.url, [Course.of({"__name__": "one"}, [now_ms - 1000], [1.0])])


def test_stale_markers_cannot_be_backfilled(in_test_folder):
    """An OpenMetrics text would make ordinary NaN of them in silence."""
    values = np.array([1.0, 0.0])
    values.view(np.int64)[1] = STALE_BITS

    with pytest.raises(ValueError, match="push them"):
        write_blocks([Course.of({"__name__": "ended"}, [START_MS, START_MS + 1], values)], in_test_folder)
    assert not in_test_folder.exists()


def test_times_must_ascend(in_test_folder):
    """A database would drop some samples in silence."""
    with pytest.raises(ValueError, match="ascend"):
        write_blocks([Course.of({"__name__": "back"}, [START_MS + 5000, START_MS], [1, 2])], in_test_folder)


def test_what_promtool_refuses_is_said(in_test_folder):
    """A name that is none; no text is left behind."""
    with pytest.raises(OSError, match=r"promtool: \w+"):
        write_blocks([Course.of({"__name__": "not a name"}, [START_MS], [1])], in_test_folder)
    assert list(in_test_folder.parent.glob("*.om")) == []


def test_histories_are_the_same_every_time():
    """Deterministic, and no two series of one are called the same."""
    for name, history in HISTORIES.items():
        courses = history()
        assert len({course.labels for course in courses}) == len(courses), name
        assert all(np.all(np.diff(course.time_ms) > 0) for course in courses), name
        assert differing({course.labels: course for course in history()}, courses) == [], name


def test_histories_are_what_their_names_say():
    """Jitter off the grid, falls, three generations that overlap, odd texts, special bits, one scrape each."""
    assert all(0 < np.abs((c.time_ms - START_MS + 2500) % 5000 - 2500).max() <= 300 for c in jittered())
    assert {len(set((c.time_ms // BLOCK_MS).tolist())) for c in jittered()} == {2}
    assert [int(np.count_nonzero(np.diff(c.value) < 0)) for c in resets()] == [1, 2, 1]
    pods = {dict(c.labels)["pod"]: c.time_ms for c in generations()}
    ends = list(pods.values())
    assert len(pods) == 3
    assert [int(old[-1] - new[0]) for old, new in itertools.pairwise(ends)] == [15_000, 15_000]
    assert any("\n" in dict(c.labels)["text"] for c in odd_labels())
    assert {np.float64(v).tobytes() for c in special_values() for v in c.value} == {np.float64(v).tobytes() for v in SPECIAL_VALUES}
    assert sorted(len(c.time_ms) for c in brief()) == [1] * 40 + [40]


def test_a_difference_is_named():
    """A missing course, a foreign one, another time, another bit of a NaN or a zero."""
    one = Course.of({"__name__": "a"}, [1, 2], [0.0, NORMAL_NAN])

    def against(*others):
        return [text.partition(":")[0] for text in differing({other.labels: other for other in others}, [one])]

    assert against(one) == []
    assert against() == ["missing"]
    assert against(one, Course.of({"__name__": "b"}, [1], [1])) == ["not wanted"]
    assert against(Course.of({"__name__": "a"}, [1, 3], [0.0, NORMAL_NAN])) == ["changed"]
    assert against(Course.of({"__name__": "a"}, [1, 2], [-0.0, NORMAL_NAN])) == ["changed"]
    assert against(Course.of({"__name__": "a"}, [1, 2], [0.0, np.nan])) == ["changed"]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
numbers = st.floats(allow_nan=False) | st.integers(0, 2**53).map(float)


@given(
    labels=st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,5}", fullmatch=True), texts, max_size=3),
    values=st.lists(numbers, min_size=1, max_size=9),
)
def test_the_text_is_read_back_by_another_parser(labels, values):
    """Any label value and any number survive the OpenMetrics text."""
    course = Course.of({**labels, "__name__": "any"}, START_MS + np.arange(len(values)) * 5001, values)

    (family,) = text_string_to_metric_families("".join(open_metrics([course])) + "# EOF\n")

    assert all({**one.labels, "__name__": one.name} == dict(course.labels) for one in family.samples)
    assert np.array([one.value for one in family.samples], np.float64).tobytes() == course.value.tobytes()
    assert [int(float(one.timestamp) * 1000) for one in family.samples] == course.time_ms.tolist()
