"""Questions to a server: what a real one says, what becomes of one that is none, and which way its samples are read."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from dataclasses import replace as changed

import pytest

from tasks.base.errors import PreflightError
from tasks.base.intervals import Interval
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter, Unreachable
from tasks.telemetry.prometheus.client import LATEST_S, Client, ServerFacts, retention
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.selectors import parse_selector
from tests.prometheus.cutting_proxy import (
    Answer,
    Cut,
    CuttingProxy,
    Rewrite,
    always,
    api_error,
    api_success,
    busy,
    by_path,
    redirect,
    warned,
)
from tests.prometheus.history import START_MS, Course, jittered, write_blocks
from tests.prometheus.servers import EACH_MAJOR, Prometheus

FOREVER = "--storage.tsdb.retention.time=100y"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server with a known history."""
    folder = tmp_path_factory.mktemp("server")
    write_blocks(jittered(), folder / "data")
    with Prometheus(folder, flags=(FOREVER,)) as started:
        yield started


@pytest.fixture
def proxy(server):
    """Before that server."""
    with CuttingProxy(server.port) as started:
        yield started


def client_of(one, **more) -> Client:
    return Client(DirectAdapter(Access(one.url)), **more)


# -- facts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", EACH_MAJOR)
def test_a_real_server_says_what_it_is(tmp_path, binary):
    """Version, retention, the way in, and a clock that is this machine's."""
    with Prometheus(tmp_path, binary=binary, flags=("--storage.tsdb.retention.time=36h", "--storage.tsdb.retention.size=1GB")) as started:
        facts = client_of(started).facts()

    assert facts.version.startswith(binary.text)
    assert (facts.retention_s, facts.way, facts.why, facts.oldest_s) == (36 * 3600.0, "remote-read", "remote read streams raw chunks", None)
    assert abs(facts.clock_offset_s) <= facts.clock_error_s + 0.002
    assert 0 < facts.clock_error_s < 5
    assert ServerFacts(**json.loads(json.dumps(facts.to_json()))) == facts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15d", 1_296_000.0),
        ("1d12h", 129_600.0),
        ("15d or 5GiB", 1_296_000.0),
        ("2h30m", 9000.0),
        ("90s", 90.0),
        ("500ms", 0.5),
        ("1w", 604_800.0),
        ("10y", 315_360_000.0),
        ("5GiB", None),
        ("512MiB", None),
        ("", None),
        ("0s", None),
        ("for ever", None),
    ],
)
def test_a_retention_is_read_in_prometheus_own_words(text, seconds):
    """By time; a size says nothing about it."""
    assert retention(text) == seconds


@dataclass
class Fast:
    """A clock that is ahead of this machine's."""

    by_s: float

    def wall_s(self) -> float:
        """Ahead."""
        return time.time() + self.by_s

    def monotonic_s(self) -> float:
        """As it is."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@pytest.mark.parametrize("by_s", [-3600.0, 7.25, 0.0])
def test_the_offset_is_the_servers_clock_less_ours(server, by_s):
    """Ours an hour ahead: the server's is an hour behind; known to half a round trip."""
    offset_s, error_s = client_of(server, clock=Fast(by_s)).clock_offset()

    assert abs(offset_s + by_s) <= error_s + 0.002


def test_the_oldest_block_is_told_where_one_server_speaks_of_itself(proxy):
    """Of several one cannot know which is meant; an empty database says the end of all times."""

    def said(*values):
        rows = [{"metric": {"instance": str(place)}, "value": [1.5, value]} for place, value in enumerate(values)]
        proxy.plan = by_path({"/api/v1/query?query=prometheus_tsdb": api_success({"resultType": "vector", "result": rows})})
        return client_of(proxy).facts().oldest_s

    assert said("1789999200") == 1_789_999_200.0
    assert [said(), said("1", "2"), said("9.223372036854776e+15"), said("NaN"), said("-5"), said("x")] == [None] * 6


NOBODY = {
    "a page": Answer(200, b"<!doctype html><title>Welcome</title>", (("Content-Type", "text/html"),)),
    "nothing": Answer(200, b""),
    "another API": Answer(200, b'{"name": "elasticsearch", "tagline": "You Know, for Search"}'),
    "a list": Answer(200, b"[1, 2]"),
    "a text": Answer(200, b'"success"'),
    "a number": Answer(200, b"7"),
    "null": Answer(200, b"null"),
    "success and nothing": Answer(200, b'{"status": "success"}'),
    "success and a list": api_success([1, 2]),
    "success and a text": api_success("ok"),
    "an empty result": api_success({"resultType": "vector", "result": []}),
    "another result": api_success({"resultType": "scalar", "result": {"1": "x"}}),
    "no time": api_success({"resultType": "scalar", "result": [1.5, "noon"]}),
    "not a time": api_success({"resultType": "scalar", "result": [1.5, "NaN"]}),
    "warnings that are none": Answer(200, b'{"status": "success", "warnings": 5, "data": []}'),
    "half of it": Answer(200, b'{"status": "success", "data": {'),
    "very deep": Answer(200, b"[" * 100_000),
    "bytes": Answer(200, bytes(range(256))),
}


@pytest.mark.parametrize("what", NOBODY)
def test_what_is_no_prometheus_is_told_so(what):
    """Whatever it answers to everything: one kind of error, with its address where it is known."""
    with CuttingProxy(1, always(NOBODY[what])) as nobody, pytest.raises(MalformedReply):
        client_of(nobody).facts()


def test_a_page_that_is_not_there_is_a_refusal():
    """In whosever words; trying again would not help."""
    with CuttingProxy(1, always(Answer(404, b"404 page not found\n"))) as nobody, pytest.raises(ServerRefused) as refused:
        client_of(nobody).facts()

    assert str(refused.value) == "status 404: 404 page not found"


def test_a_server_without_what_not_every_one_has_is_taken(proxy):
    """Others that speak the API have no ``runtimeinfo`` and tell nothing of blocks."""
    absent = Answer(404, b"404 page not found\n")
    proxy.plan = by_path({"/api/v1/status/runtimeinfo": absent, "/api/v1/query?query=prometheus_tsdb": absent})
    facts = client_of(proxy).facts()

    assert (facts.retention_s, facts.oldest_s, facts.way) == (None, None, "remote-read")


REMOTE_READ = {
    "not there": (Answer(404, b"404 page not found\n", (("Content-Type", "text/plain"),)), "status 404, text/plain"),
    "not allowed": (Answer(405, b"", ()), "status 405, no content type"),
    "another page": (Answer(200, b"<html>", (("Content-Type", "text/html"),)), "status 200, text/html"),
    "samples only": (Answer(200, b"", (("Content-Type", "application/x-protobuf"),)), "status 200, application/x-protobuf"),
    "forbidden": (Answer(403, b"no"), "answers 403"),
    "broken": (busy(500), "answers 500: try again"),
    "cut in its head": (Cut(40, reset=False), "cut off"),
    "cut": (Cut(0), "Connection"),
}


@pytest.mark.parametrize("what", REMOTE_READ)
def test_without_remote_read_json_is_read_and_the_reason_told(proxy, what):
    """A proxy before the server does not let it through; everything else of the API is there."""
    act, why = REMOTE_READ[what]
    proxy.plan = by_path({"/api/v1/read": act})
    facts = client_of(proxy).facts()

    assert facts.way == "range-json"
    assert why in facts.why
    assert "\n" not in facts.why


def test_a_redirect_of_remote_read_is_refused_like_any_other(proxy):
    """Whoever sends us elsewhere there does not speak for the server."""
    proxy.plan = by_path({"/api/v1/read": redirect("/login")})

    with pytest.raises(PreflightError, match="redirects to '/login'"):
        client_of(proxy).facts()


# -- the API --------------------------------------------------------------------------------------------------------------


def test_a_refusal_has_the_servers_own_words(server):
    """Kind and sentence."""
    with pytest.raises(ServerRefused) as refused:
        client_of(server).api("/api/v1/query", query="up{")

    assert refused.value.kind == "bad_data"
    assert "parse error" in refused.value.said


def test_a_long_reason_is_cut():
    """It ends in a message."""
    with CuttingProxy(1, always(api_error("x", "y" * 10_000))) as server, pytest.raises(ServerRefused) as refused:
        client_of(server).api("/api/v1/query")

    assert len(str(refused.value)) < 600


def test_every_warning_is_kept_and_counted(proxy):
    """As Thanos and others send with partial data; nothing of it is lost, whichever question it came with."""
    proxy.plan = by_path({"/api/v1/query": warned("partial data", "no store")})
    client = client_of(proxy)
    client.clock_offset()
    selector = parse_selector("jittered")
    (found,) = client.samples("range-json", selector, START_MS, START_MS + 7_200_000)

    assert client.warnings == {"partial data": 4, "no store": 4}
    assert len(found.time_ms) > 0


def test_requests_and_bytes_are_counted(proxy):
    """Bodies as they came, by either way."""
    client = client_of(proxy)
    before = proxy.requests
    list(client.samples("remote-read", parse_selector("jittered"), START_MS, START_MS + 9_000_000))
    client.api("/api/v1/query", query="1")

    assert client.requests == proxy.requests - before == 2
    assert 0 < client.received_bytes < proxy.sent_bytes


def test_a_reply_without_end_is_refused_before_it_fills_the_memory(monkeypatch, proxy):
    """JSON is held whole, so it must be short; the connection is dropped at the limit."""
    monkeypatch.setattr("tasks.telemetry.prometheus.client.SMALL_BYTES", 1000)
    proxy.plan = always(Rewrite(lambda _: b"[" + b"1," * 5_000_000))

    with pytest.raises(ServerRefused) as refused:
        client_of(proxy).api("/api/v1/query", query="1")
    assert refused.value.kind == "too_long"


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (Answer(400, b"bad matcher"), ServerRefused),
        (Answer(200, b"{}", (("Content-Type", "application/json"),)), MalformedReply),
        (Answer(200, b""), MalformedReply),
        (busy(503), Unreachable),
    ],
)
def test_a_remote_read_that_is_not_streamed_is_no_empty_window(proxy, act, error):
    """Whatever else comes is an error, never no samples."""
    proxy.plan = by_path({"/api/v1/read": act})

    with pytest.raises(error):
        list(client_of(proxy).samples("remote-read", parse_selector("jittered"), START_MS, START_MS + 1000))


@pytest.mark.parametrize("way", ["remote-read", "range-json"])
@pytest.mark.parametrize("after_bytes", [0, 1, 60, 130, 250, 400, 1200])
@pytest.mark.parametrize("reset", [True, False])
def test_a_cut_is_never_the_end_of_the_samples(proxy, way, after_bytes, reset):
    """In the head or in the body, by FIN or RST: an error, never fewer samples."""
    proxy.plan = always(Cut(after_bytes, reset))

    with pytest.raises((Unreachable, MalformedReply)):
        list(client_of(proxy).samples(way, parse_selector("jittered"), START_MS, START_MS + 9_000_000))


# -- how many samples to expect ---------------------------------------------------------------------------------------------


def test_the_server_counted_its_samples_itself(tmp_path):
    """``scrape_samples_post_metric_relabeling``, over all targets and the whole span; None where there is nothing of the kind."""
    times = [START_MS + 5000 * place for place in range(61)]
    told = [
        Course.of({"__name__": "scrape_samples_post_metric_relabeling", "job": job}, times, [value] * 61)
        for job, value in (("a", 7.0), ("b", 10.0))
    ]
    write_blocks(told, tmp_path / "data")
    with Prometheus(tmp_path, flags=(FOREVER,)) as server:
        client = client_of(server)
        span = Interval(START_MS / 1000, START_MS / 1000 + 300)

        assert client.scraped_samples(span) == pytest.approx(61 * 17, abs=17)
        assert client.scraped_samples(Interval(START_MS / 1000 - 7200, START_MS / 1000 - 3600)) is None


@pytest.mark.parametrize(
    "act",
    [
        busy(503),
        api_error("execution", "query processing would load too many samples into memory"),
        api_success({"resultType": "vector", "result": []}),
        api_success({"resultType": "vector", "result": [{"metric": {}, "value": [1.5, "NaN"]}]}),
        api_success({"resultType": "vector", "result": 5}),
        Answer(404, b"not found"),
    ],
)
def test_a_server_that_cannot_count_is_no_error(act):
    """It is an estimate only."""
    with CuttingProxy(1, always(act)) as server:
        assert client_of(server).scraped_samples(Interval(0.0, 60.0)) is None


# -- doubts ---------------------------------------------------------------------------------------------------------------

FACTS = ServerFacts("2.42.0", 3600.0, "remote-read", "", 0.0, 0.001, None)
NOW_S = 1_790_000_000.0


def doubts(span, **more):
    return changed(FACTS, **more).doubts(Interval(*span), NOW_S)


def test_nothing_is_doubted_without_a_reason():
    """A span within the retention, clocks that agree, a server that has it."""
    assert doubts((NOW_S - 3599, NOW_S)) == ()
    assert doubts((NOW_S - 9000, NOW_S), retention_s=None, oldest_s=NOW_S - 9000) == ()
    assert doubts((NOW_S - 60, NOW_S), clock_offset_s=1.4, clock_error_s=0.5) == ()


def test_each_doubt_is_a_sentence_with_what_to_do():
    """What is gone already, what was never there, whose clock it is."""
    found = doubts((NOW_S - 9000, NOW_S), clock_offset_s=-30.0, oldest_s=NOW_S - 600)

    assert len(found) == 3
    assert "-30.0 s off" in found[0]
    assert "chrony" in found[0]
    assert "keeps 1 hours" in found[1]
    assert "--storage.tsdb.retention.time" in found[1]
    assert "nothing before 2026-09-21T" in found[2]


def test_no_answer_of_a_server_makes_a_doubt_fail():
    """The latest moment that is taken for one can be written."""
    assert "nothing before 2242-" in doubts((NOW_S - 60, NOW_S), oldest_s=LATEST_S - 1)[0]
