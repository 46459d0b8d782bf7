"""From a real server to a folder: every sample of every history once, by either way, whatever the server refuses or breaks off."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.export import FIRST_MS, GROWTH, LONGEST_MS, SAMPLES_AT_ONCE, Export
from tasks.telemetry.prometheus.selectors import parse_selector
from tasks.telemetry.prometheus.writer import WindowWriter
from tests.prometheus.cutting_proxy import Answer, Cut, CuttingProxy, always, api_error, busy, by_request, truncated
from tests.prometheus.history import HISTORIES, START_MS, Course, differing, write_blocks
from tests.prometheus.push import push, push_histograms
from tests.prometheus.recorded import FOREVER, export_to, held, serving, size, within
from tests.prometheus.servers import EACH_MAJOR, Prometheus, newest

WAYS = ("remote-read", "range-json")
COURSES = [course for history in HISTORIES.values() for course in history()]
FIRST, LAST = min(int(course.time_ms[0]) for course in COURSES), max(int(course.time_ms[-1]) for course in COURSES)


@pytest.fixture(scope="module", params=EACH_MAJOR)
def each(request, tmp_path_factory):
    """A server of each major version with all hand-made histories."""
    with serving(tmp_path_factory.mktemp("server"), COURSES, request.param) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One of them."""
    with serving(tmp_path_factory.mktemp("server"), COURSES) as started:
        yield started


@pytest.fixture
def proxy(server):
    """Before that server."""
    with CuttingProxy(server.port) as started:
        yield started


def third():
    """A server of version 3; the test is skipped where there is none."""
    return newest(3) or pytest.skip("there is no Prometheus 3.x")


def selected(folder, url, way, *texts, **more) -> Export:
    """An export of these selectors, not begun."""
    client = Client(DirectAdapter(Access(url)))
    return Export(client, replace(client.facts(), way=way), [parse_selector(text) for text in texts], WindowWriter(folder), **more)


@pytest.mark.parametrize("way", WAYS)
def test_everything_comes_bit_by_bit(each, tmp_path, way):
    """Jitter, resets, pods, odd labels, special values, brief series: the same table by both ways, from each version."""
    export = export_to(tmp_path, each.url, way)
    export.span(FIRST, LAST)
    export.writer.close()

    assert differing(held(tmp_path), COURSES) == []
    assert (export.retries, export.halved, export.writer.tally.duplicates) == (0, 0, 0)
    assert export.to_json()["received_bytes"] > size(COURSES)


def test_chunks_of_another_kind_are_read_as_text(tmp_path):
    """A server that keeps its newest samples otherwise (``xor2-encoding``) costs nothing but time, and the manifest says so."""
    told = []
    with Prometheus(tmp_path, binary=third(), flags=(*FOREVER, "--enable-feature=xor2-encoding")) as server:
        push(server.url, COURSES)
        export = export_to(tmp_path / "out", server.url, told=told.append)
        probed = export.facts.way
        export.window(FIRST, LAST)
        export.writer.close()

    assert differing(held(tmp_path / "out"), COURSES) == []
    assert (probed, export.facts.way, export.retries) == ("remote-read", "range-json", 0)
    assert "unknown encoding" in export.to_json()["why"]
    assert len(told) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cut", [1, 999, 5000, 5001, 600_000])
def test_any_windows_give_the_same(each, tmp_path, way, cut):
    """Borders on samples and beside them: none twice, none missing."""
    start, end = START_MS + 300_000, START_MS + 310_000
    export = export_to(tmp_path, each.url, way)
    for begin in range(start, end + 1, max(cut, 2500)):
        export.window(begin, min(end, begin + max(cut, 2500) - 1))
    export.writer.close()

    assert differing(held(tmp_path), within(COURSES, start, end)) == []


def test_both_ways_have_one_fingerprint(server, tmp_path):
    """Bits of NaN and signs of zero counted in."""
    found = []
    for way in WAYS:
        export = export_to(tmp_path / way, server.url, way)
        export.span(FIRST, LAST)
        export.writer.close()
        found.append((export.writer.tally.fingerprint, int(export.writer.tally.count.sum())))

    assert found[0] == found[1]
    assert found[0][1] == size(COURSES)


def test_selectors_that_overlap_give_each_series_once(server, tmp_path):
    """And what nobody asked for is not there."""
    export = selected(tmp_path, server.url, "remote-read", "resetting_total", '{how=~"to_zero|by_one"}', "lasting", "nothing")
    export.span(FIRST, LAST)
    export.writer.close()

    assert differing(held(tmp_path), [course for course in COURSES if course.name in ("resetting_total", "lasting")]) == []


def test_a_selector_that_matches_nothing_leaves_no_chunk(server, tmp_path):
    """The server says success; the watermark moves on."""
    export = selected(tmp_path, server.url, "remote-read", "nothing")
    export.span(FIRST, LAST)
    export.writer.close()

    assert held(tmp_path) == {}
    assert (export.writer.chunk, export.writer.until_ms) == (0, LAST)


def test_what_gaps_are_found_by_comes_along(tmp_path):
    """``up`` and its like are always asked for."""
    times = START_MS + 1000 * np.arange(20)
    courses = [
        Course.of({"__name__": name, "job": "a", "instance": "b"}, times, np.ones(20))
        for name in ("up", "scrape_duration_seconds", "m", "n")
    ]
    write_blocks(courses, tmp_path / "data")
    with Prometheus(tmp_path, flags=FOREVER) as server:
        export = selected(tmp_path / "out", server.url, "remote-read", "m")
        export.span(START_MS, int(times[-1]))
        export.writer.close()

    assert differing(held(tmp_path / "out"), courses[:3]) == []


# -- windows ----------------------------------------------------------------------------------------------------------------


def lengths_of(export, start_ms, end_ms):
    """Lengths in ms and samples of the windows of a span."""
    windows = []
    export.span(start_ms, end_ms, lambda end, rows: windows.append((end, rows)))
    export.writer.close()
    ends = [start_ms - 1, *(end for end, _ in windows)]
    return np.diff(ends).tolist(), [rows for _, rows in windows]


@pytest.mark.parametrize("way", WAYS)
def test_windows_grow_where_there_is_little(server, tmp_path, way):
    """From six hours to a day."""
    lengths, rows = lengths_of(export_to(tmp_path, server.url, way), FIRST - 10 * LONGEST_MS, LAST)

    assert lengths[0] == FIRST_MS
    assert set(lengths[1:-1]) == {LONGEST_MS}
    assert sum(rows) == size(COURSES)


@pytest.mark.parametrize("way", WAYS)
def test_the_first_window_is_short_where_there_is_much(server, tmp_path, way):
    """As the server counted it; what is to be in one window at most is."""
    windows = []
    export = export_to(tmp_path, server.url, way)
    export.span(START_MS, START_MS + 1_200_000, lambda end, rows: windows.append(end), expected=10 * SAMPLES_AT_ONCE)
    export.writer.close()

    assert windows[0] == START_MS + 120_000 - 1
    assert windows[-1] == START_MS + 1_200_000
    assert differing(held(tmp_path), within(COURSES, START_MS, START_MS + 1_200_000)) == []


def test_windows_shrink_where_there_is_much(monkeypatch, server, tmp_path):
    """To about as many samples as are wanted at once, a second at least; no sample is lost on the way."""
    monkeypatch.setattr("tasks.telemetry.prometheus.export.SAMPLES_AT_ONCE", 60)
    monkeypatch.setattr("tasks.telemetry.prometheus.export.FIRST_MS", 300_000)
    course = next(course for course in COURSES if course.name == "lasting")
    export = selected(tmp_path, server.url, "remote-read", '{__name__=~"resetting_total|odd|container.*|jittered"}')
    lengths, rows = lengths_of(export, START_MS, START_MS + 1_200_000)

    assert len(lengths) > 10
    assert min(lengths[:-1]) >= 1000
    assert np.median(rows[3:]) == pytest.approx(60, rel=0.5)
    assert sum(rows) == size(
        within(
            [one for one in COURSES if one.name in ("resetting_total", "odd", "jittered") or one.name.startswith("container")],
            START_MS,
            START_MS + 1_200_000,
        )
    )
    assert course.name not in {one.name for one in export.writer.table.since(0)}


@pytest.mark.parametrize("way", WAYS)
def test_a_window_of_far_more_than_was_thought_becomes_shorter(monkeypatch, server, tmp_path, way):
    """To an eighth, and again, until it fits; nothing is there twice."""
    monkeypatch.setattr("tasks.telemetry.prometheus.export.MOST_SAMPLES", 600)
    monkeypatch.setattr("tasks.telemetry.prometheus.export.SAMPLES_AT_ONCE", 300)
    monkeypatch.setattr("tasks.telemetry.prometheus.export.SHORT_MS", 30_000)
    export = export_to(tmp_path, server.url, way)
    lengths, rows = lengths_of(export, START_MS, LAST)

    assert lengths[0] == FIRST_MS // GROWTH**3
    assert max(rows) <= 600
    assert export.retries == 0
    assert differing(held(tmp_path), within(COURSES, START_MS, LAST)) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_never_lasts_gets_shorter_windows(monkeypatch, proxy, tmp_path, way):
    """Each reply is cut behind as much as a long window has: the shorter ones come whole."""
    monkeypatch.setattr("tasks.telemetry.prometheus.export.SOME_BYTES", 1000)
    monkeypatch.setattr("tasks.telemetry.prometheus.export.SHORT_MS", 30_000)
    export = export_to(tmp_path, proxy.url, way, give_up_s=20.0)
    proxy.plan = always(Cut(20_000))
    lengths, _ = lengths_of(export, FIRST, LAST)

    assert len(lengths) > 1
    assert export.retries > 0
    assert differing(held(tmp_path), COURSES) == []


def test_an_export_goes_on_where_it_stopped(monkeypatch, server, tmp_path):
    """What is finished is not asked for again; the table is that of one in one go."""
    monkeypatch.setattr("tasks.telemetry.prometheus.export.FIRST_MS", 300_000)
    middle = START_MS + 700_000
    first = export_to(tmp_path / "parts", server.url)
    first.span(FIRST, middle)
    first.writer.close()
    second = export_to(tmp_path / "parts", server.url)
    windows = []
    second.span(FIRST, LAST, lambda end, _: windows.append(end))
    second.writer.close()
    again = export_to(tmp_path / "parts", server.url)
    before = again.client.requests
    again.span(FIRST, LAST)
    again.writer.close()

    assert windows[0] == middle + 300_000
    assert again.client.requests == before
    assert differing(held(tmp_path / "parts"), COURSES) == []


# -- a server that will not give everything at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("binary", EACH_MAJOR)
def test_a_piece_of_too_many_samples_is_halved(monkeypatch, tmp_path, binary):
    """422 of a server that may touch 2,000 samples a query; the table is whole, and the manifest says how often it took."""
    monkeypatch.setattr("tasks.telemetry.prometheus.pieces.FIRST_MS", LONGEST_MS)
    write_blocks(COURSES, tmp_path / "data")
    with Prometheus(tmp_path, binary=binary, flags=(*FOREVER, "--query.max-samples=2000")) as small:
        export = export_to(tmp_path / "out", small.url, "range-json")
        export.window(FIRST, LAST)
        export.writer.close()

    assert differing(held(tmp_path / "out"), COURSES) == []
    assert export.halved > 0
    assert export.retries == 0
    assert export.to_json()["halved"] == export.halved


def test_a_reply_that_is_too_long_is_halved(monkeypatch, server, tmp_path):
    """By our own bound, as by the server's."""
    monkeypatch.setattr("tasks.telemetry.prometheus.pieces.FIRST_MS", LONGEST_MS)
    monkeypatch.setattr("tasks.telemetry.prometheus.client.SMALL_BYTES", 20_000)
    export = export_to(tmp_path, server.url, "range-json")
    export.window(FIRST, LAST)
    export.writer.close()

    assert export.halved > 0
    assert differing(held(tmp_path), COURSES) == []


def test_one_moment_that_is_too_much_is_an_error(monkeypatch, server, tmp_path):
    """It cannot be halved; nothing is made up instead."""
    monkeypatch.setattr("tasks.telemetry.prometheus.client.SMALL_BYTES", 400)
    export = export_to(tmp_path, server.url, "range-json")
    with pytest.raises(PreflightError, match="refuses: too_long"):
        export.window(START_MS, START_MS + 50)
    export.writer.close()

    assert (export.writer.chunk, export.writer.until_ms) == (0, None)


# -- a server in trouble ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_what_breaks_off_is_asked_for_again(monkeypatch, proxy, tmp_path, way):
    """Busy, cut, shortened: each try is counted and told, nothing is there twice."""
    monkeypatch.setattr("tasks.telemetry.prometheus.pieces.FIRST_MS", LONGEST_MS)
    said = []
    export = export_to(tmp_path, proxy.url, way, told=said.append)
    begun = proxy.requests
    acts = [busy(503, retry_after_s=0), Cut(700), busy(429, retry_after_s=0), truncated(300), busy(500, retry_after_s=0)]
    proxy.plan = by_request({begun + place: act for place, act in enumerate(acts)})
    export.window(FIRST, LAST)
    export.writer.close()

    assert differing(held(tmp_path), COURSES) == []
    assert export.retries == len(said) == len(acts)
    assert all(sentence.startswith("tried again: ") for sentence in said)
    assert export.last_error in said[-1]
    assert export.to_json()["retries"] == len(acts)


@pytest.mark.parametrize("act", [busy(503, retry_after_s=0), Cut(700), truncated(300)])
@pytest.mark.parametrize("place", range(3))
def test_a_piece_that_breaks_off_costs_nothing(proxy, tmp_path, act, place):
    """While the one before it is read, or the one behind it is on its way already: all pieces of the window come again."""
    export = export_to(tmp_path, proxy.url, "range-json")
    proxy.plan = by_request({proxy.requests + place: act})
    rows = export.window(FIRST, LAST)
    export.writer.close()

    assert (rows, export.retries, export.writer.chunk) == (size(COURSES), 1, 1)
    assert differing(held(tmp_path), COURSES) == []


def test_a_second_group_that_breaks_off_costs_nothing(proxy, tmp_path):
    """The samples of the first selector had come; they are thrown away and come again."""
    export = export_to(tmp_path, proxy.url, "remote-read")
    proxy.plan = by_request({proxy.requests + 1: busy(503, retry_after_s=0)})
    rows = export.window(FIRST, LAST)
    export.writer.close()

    assert (rows, export.retries, export.writer.chunk) == (size(COURSES), 1, 1)
    assert differing(held(tmp_path), COURSES) == []


def test_a_server_that_stays_away_is_given_up(proxy, tmp_path):
    """After as long as was said; what was finished is kept, and the message says how to go on."""
    export = export_to(tmp_path, proxy.url, "remote-read", give_up_s=0.3)
    export.window(FIRST, START_MS + 100_000)
    proxy.plan = always(busy(503, retry_after_s=0))
    with pytest.raises(PreflightError, match=r"could not be asked for 0\.3 s: .*answers 503") as given_up:
        export.window(START_MS + 100_001, LAST)
    export.writer.close()

    assert "what is finished is kept" in str(given_up.value)
    assert export.retries > 1
    assert export.writer.until_ms == START_MS + 100_000
    assert differing(held(tmp_path), within(COURSES, FIRST, START_MS + 100_000)) == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (Answer(401), CredentialsError),
        (Answer(400, b"nonsense"), PreflightError),
        (api_error("bad_data", "nonsense", status=400), PreflightError),
        (api_error("execution", "expanding series: nonsense"), PreflightError),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_not_tried_again(proxy, tmp_path, act, error, way):
    """It would be the same the next time."""
    export = export_to(tmp_path, proxy.url, way)
    begun = proxy.requests
    proxy.plan = always(act)
    with pytest.raises(error):
        export.window(FIRST, LAST)
    export.writer.close()

    assert (proxy.requests - begun, export.retries) == (1, 0)
    assert held(tmp_path) == {}


# -- what is left out -----------------------------------------------------------------------------------------------------------


def test_marks_and_histograms_are_left_out_and_counted(tmp_path):
    """A series that ended, and native histograms, by name; once, though two selectors bring them."""
    times = START_MS + 1000 * np.arange(30)
    stale = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]
    live = np.concatenate([np.arange(29.0), [stale]])
    courses = [Course.of({"__name__": name, "job": "a", "instance": "b"}, times, live) for name in ("up", "m")]
    with Prometheus(tmp_path, flags=(*FOREVER, "--enable-feature=native-histograms")) as server:
        push(server.url, courses)
        push_histograms(server.url, {"__name__": "rpc_seconds", "job": "a"}, times.tolist())
        export = export_to(tmp_path / "out", server.url, "remote-read")
        export.window(START_MS, int(times[-1]))
        export.writer.close()

    assert differing(held(tmp_path / "out"), [course.between(START_MS, int(times[-2])) for course in courses]) == []
    assert export.writer.tally.stale == 2
    assert list(export.writer.tally.histograms) == ["rpc_seconds"]
    json.dumps(export.to_json(), allow_nan=False)
