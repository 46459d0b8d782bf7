"""A real server scrapes the exporter; what it stored is what the exporter says it showed."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.prometheus.exporter import Exporter
from tests.prometheus.servers import EACH_MAJOR, Job, Prometheus, ServerError

STEP_S = 0.25
SPAN_MS = 600_000


@pytest.fixture
def exporter():
    """One that listens."""
    with Exporter() as started:
        yield started


@pytest.fixture(scope="module", params=EACH_MAJOR)
def scraped(request, tmp_path_factory):
    """A server that scrapes an exporter four times a second; begun once, as the first scrape comes after 5 to 10 s."""
    with Exporter() as exporter:
        job = Job("truth", [exporter.address], interval_s=STEP_S)
        with Prometheus(tmp_path_factory.mktemp("scraped"), jobs=[job], binary=request.param) as server:
            server.wait(lambda: len(exporter.shown) > 1, "scraping")
            yield server, exporter


def read(exporter):
    """All samples by name and labels, as another parser reads them."""
    with urllib.request.urlopen(f"http://{exporter.address}/metrics", timeout=10) as reply:
        families = text_string_to_metric_families(reply.read().decode())
    return {(one.name, *sorted(one.labels.items())): (one.value, one.timestamp) for family in families for one in family.samples}


def after(server, exporter, scrapes=3):
    """Wait until so many more answers were given and the server has stored the last but one."""
    goal = len(exporter.shown) + scrapes
    server.wait(lambda: len(exporter.shown) >= goal, "scraping")


def stored(server, selector):
    """The raw samples of the last minutes."""
    now_ms = int(time.time() * 1000)
    return server.raw(selector, now_ms - SPAN_MS, now_ms + 1000)


def there(server, selector):
    """Whether an instant query finds it now."""
    return server.value(selector) is not None


def test_it_shows_what_it_was_told(exporter):
    """Gauges, counters, a time of its own, a label value with a quote and a line end; and it knows what it showed."""
    exporter.gauge("depth", 2.5, queue='a"\nb')
    exporter.count("done_total", 3, code="200")
    exporter.count("done_total", 4, code="200")
    exporter.gauge("old", 1, stamp_ms=1_790_000_000_123)

    found = read(exporter)

    expected = {
        ("depth", ("queue", 'a"\nb')): (2.5, None),
        ("done_total", ("code", "200")): (7.0, None),
        ("old",): (1.0, 1_790_000_000.123),
    }
    assert found == expected
    (shown,) = exporter.shown
    assert {dict(key)["__name__"]: value for key, value in shown.values.items()} == {"depth": 2.5, "done_total": 7.0, "old": 1.0}
    assert list(shown.stamps_ms.values()) == [1_790_000_000_123]
    assert (shown.status, shown.delivered) == (200, True)


def test_counters_begin_anew_and_gauges_stay(exporter):
    """As after a restart of the process."""
    exporter.gauge("depth", 2)
    exporter.count("done_total", 7)
    exporter.restart()
    exporter.count("done_total")

    assert read(exporter) == {("depth",): (2.0, None), ("done_total",): (1.0, None)}


def test_a_name_changes_and_a_series_goes(exporter):
    """The values go on under the new name."""
    exporter.count("done_total", 7, code="200")
    exporter.count("done_total", 1, code="500")
    exporter.rename("done_total", "finished_total")
    exporter.remove("finished_total", code="500")

    assert read(exporter) == {("finished_total", ("code", "200")): (7.0, None)}


def test_one_name_is_one_kind(exporter):
    """As an exporter must."""
    exporter.gauge("depth", 2)

    with pytest.raises(ValueError, match="depth is no counter"):
        exporter.count("depth")


def test_it_fails_and_recovers(exporter):
    """With the status it was told; nothing was exposed then."""
    exporter.gauge("depth", 2)
    exporter.fail(503)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        read(exporter)
    exporter.fail(200)

    assert read(exporter) == {("depth",): (2.0, None)}
    assert [(one.status, len(one.values)) for one in exporter.shown] == [(503, 0), (200, 1)]


def test_it_vanishes_and_comes_back_on_its_port(exporter):
    """Refused while away; a slow answer is broken off."""
    exporter.gauge("depth", 2)
    address = exporter.address
    exporter.vanish()
    with pytest.raises(urllib.error.URLError, match="refused"):
        read(exporter)
    exporter.appear()

    assert exporter.address == address
    assert read(exporter) == {("depth",): (2.0, None)}


def test_a_slow_answer_has_the_values_of_its_end(exporter):
    """And who hung up before it did not get it."""
    exporter.gauge("depth", 2)
    exporter.slow(0.3)
    begun_s = time.monotonic()
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"http://{exporter.address}/metrics", timeout=0.05)
    exporter.gauge("depth", 3)
    until_s = time.monotonic() + 10
    while not exporter.shown and time.monotonic() < until_s:
        time.sleep(0.01)

    (shown,) = exporter.shown
    assert time.monotonic() - begun_s >= 0.3
    assert not shown.delivered
    assert list(shown.values.values()) == [3.0]


def test_what_is_stored_is_what_was_shown(scraped):
    """Every value the server has was shown at most a moment after the sample's time, in the same order."""
    server, exporter = scraped
    for value in (1.5, -2.0, 3.25):
        exporter.gauge("told", value)
        after(server, exporter)

    (course,) = stored(server, "told").values()

    shown = [(one.time_s * 1000, one.values[(("__name__", "told"),)]) for one in exporter.shown if (("__name__", "told"),) in one.values]
    paired = shown[: len(course.time_ms)]
    assert len(shown) - len(course.time_ms) in (0, 1)
    assert [value for _, value in paired] == course.value.tolist()
    assert set(course.value.tolist()) == {1.5, -2.0, 3.25}
    assert all(-50 <= shown_ms - time_ms < 1000 * STEP_S for (shown_ms, _), time_ms in zip(paired, course.time_ms, strict=True))


def test_a_vanished_exporter_leaves_stale_markers(scraped):
    """Its series ends at the failed scrape, not five minutes later, and ``up`` is 0; it goes on when the exporter is back."""
    server, exporter = scraped
    exporter.gauge("mortal", 1)
    server.wait(lambda: there(server, "mortal"), "storing it")
    exporter.vanish()
    try:
        server.wait(lambda: server.value("up") == 0, "missing it")
        gone = not there(server, "mortal")
        seconds = server.value("time() - max(timestamp(up))")
    finally:
        exporter.appear()
    server.wait(lambda: there(server, "mortal"), "storing it again")

    assert gone
    assert seconds < 60


def test_a_restart_is_seen_as_a_reset(scraped):
    """The counter falls in the raw samples, once."""
    server, exporter = scraped
    exporter.count("made_total", 100)
    after(server, exporter)
    exporter.restart()
    exporter.count("made_total", 1)
    after(server, exporter)

    (course,) = stored(server, "made_total").values()

    assert sorted(set(course.value.tolist())) == [1.0, 100.0]
    assert sum(new < old for old, new in zip(course.value, course.value[1:], strict=False)) == 1


def test_a_renamed_metric_ends_and_another_begins(scraped):
    """Neither name has a sample of the other's time."""
    server, exporter = scraped
    exporter.gauge("before", 5)
    after(server, exporter)
    exporter.rename("before", "afterwards")
    after(server, exporter)

    (old,), (new,) = stored(server, "before").values(), stored(server, "afterwards").values()

    assert old.time_ms[-1] < new.time_ms[0]
    assert not there(server, "before")


def test_an_answer_that_is_too_slow_is_no_sample(scraped):
    """The scrape times out: ``up`` is 0, and what was shown too late is not stored."""
    server, exporter = scraped
    exporter.gauge("late", 1)
    server.wait(lambda: server.value("late") == 1, "storing it")
    exporter.slow(4 * STEP_S)
    server.wait(lambda: server.value("up") == 0, "timing out")
    exporter.gauge("late", 2)
    try:
        server.wait(lambda: any(one.values.get((("__name__", "late"),)) == 2 for one in exporter.shown), "too late")
        values = {value for course in stored(server, "late").values() for value in course.value.tolist()}
    finally:
        exporter.slow(0)
    server.wait(lambda: server.value("late") == 2, "storing it in time")

    assert values == {1.0}


def test_a_time_beside_a_value_is_the_samples_time(scraped):
    """As with exporters that refresh slowly: the server stores the exporter's own time, once."""
    server, exporter = scraped
    stamp_ms = int(time.time() * 1000) - 2345
    exporter.gauge("stamped", 1, stamp_ms=stamp_ms)
    after(server, exporter)
    exporter.remove("stamped")

    (course,) = stored(server, "stamped").values()

    assert course.time_ms.tolist() == [stamp_ms]


def test_waiting_for_what_never_comes_is_an_error(scraped):
    """It says what, and shows the log."""
    server, _ = scraped

    with pytest.raises(ServerError, match=r"was not storing never_there within 0\.2 s"):
        server.wait(lambda: there(server, "never_there"), "storing never_there", within_s=0.2)
