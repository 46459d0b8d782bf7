"""The reader as the process it is: a source like any other, whatever happens to the server meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tasks.base.clock import SystemClock
from tasks.base.errors import CredentialsError, DocumentError, LockedError
from tasks.base.process import ProcessId
from tasks.telemetry.chunks import FolderLock
from tasks.telemetry.prometheus import tail
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.prometheus.writer import counted
from tasks.telemetry.runner import GRACE_S, SILENT_S, Collector
from tasks.telemetry.samples import read_samples
from tasks.telemetry.source import TelemetrySource
from tests.prometheus.cutting_proxy import PASS, Answer, CuttingProxy, Stall, always, api_error, by_path, warned
from tests.prometheus.history import Course, differing
from tests.prometheus.push import push
from tests.prometheus.recorded import held
from tests.prometheus.servers import Job, Prometheus
from tests.telemetry.source_contract import SourceContract, until

EVERYTHING = ('{__name__!=""}',)


def plan(out: Path, url: str, **more: Any) -> TailPlan:
    """Everything from now on, every fraction of a second."""
    return TailPlan(
        **{
            "out": out,
            "access": Access(url),
            "begin_s": time.time(),
            "match": EVERYTHING,
            "flush_s": 0.2,
            "settle_s": 0.3,
            "overlap_s": 5.0,
            **more,
        }
    )


@contextmanager
def tailing(wanted: TailPlan) -> Iterator[Collector]:
    collector = Collector.start(wanted)
    try:
        yield collector
    finally:
        collector.stop()


def events(out: Path) -> list[str]:
    """Kinds of what happened, in order."""
    return [one["kind"] for one in told(out)]


def told(out: Path) -> list[dict[str, Any]]:
    """The events with what is said of each."""
    return [json.loads(line) for line in (out / "collector-events.jsonl").read_text().splitlines()]


def said(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "collector.json").read_text()))


@pytest.fixture(scope="module")
def scraping(tmp_path_factory) -> Iterator[Prometheus]:
    """A server that scrapes itself five times a second."""
    with Prometheus(tmp_path_factory.mktemp("server"), jobs=[Job("self", interval_s=0.2)]) as started:
        started.retarget("self", started.url.removeprefix("http://"))
        started.wait(lambda: started.value("up") == 1, "scraped by itself")
        yield started


class TestTheTailIsASource(SourceContract):
    """Reading from a server keeps the contract of all sources."""

    server: ClassVar[Prometheus]

    @pytest.fixture(autouse=True)
    def _of_a_server(self, scraping: Prometheus) -> None:
        type(self).server = scraping

    @contextmanager
    def started(self, out: Path) -> Iterator[TelemetrySource]:
        """A reader of that server."""
        with tailing(plan(out, self.server.url)) as collector:
            yield collector

    def process(self, source: TelemetrySource) -> ProcessId:
        """The reader's own."""
        assert isinstance(source, Collector)
        assert source.process is not None
        return source.process


def test_what_it_brought_is_what_the_server_has(scraping, tmp_path):
    """Every sample from the beginning to the moment of the signal, bit by bit; killed once on the way."""
    wanted = plan(tmp_path, scraping.url)
    with tailing(wanted) as collector:
        until(lambda: collector.status().chunk >= 2)
        assert collector.process is not None
        collector.process.signal(signal.SIGKILL)
        until(lambda: not collector.status().alive)
        assert collector.keep()
        first = collector.status().chunk
        until(lambda: collector.status().chunk >= first + 2)
        stopped_s = time.time()
        status = collector.stop()
    found = held(tmp_path)
    begin_ms, last_ms = round(wanted.begin_s * 1000), max(int(course.time_ms[-1]) for course in found.values())
    expected = scraping.raw(EVERYTHING[0], begin_ms + 20, last_ms)

    assert differing({labels: course.between(begin_ms + 20, last_ms) for labels, course in found.items()}, expected.values()) == []
    assert last_ms >= stopped_s * 1000 - 450  # the last scrape before the signal came along, though it had not settled
    assert (status.restarts, status.down) == (1, {})
    assert events(tmp_path) == ["started", "clock_offset", "server", "started", "clock_offset", "server", "stopped"]
    assert said(tmp_path)["tally"]["samples"] == len(read_samples(tmp_path).series)
    assert said(tmp_path)["tally"]["duplicates"] == 0
    assert (tmp_path / "collector.log").read_text() == ""


@pytest.fixture
def pushed(tmp_path) -> Iterator[Prometheus]:
    """A server that has what a test gives it."""
    with Prometheus(tmp_path / "server") as started:
        yield started


def course_of(name: str, start_ms: int, count: int, step_ms: int = 1000) -> Course:
    return Course.of({"__name__": name, "job": "a", "instance": "b"}, start_ms + step_ms * np.arange(count), np.arange(count) / 4)


def test_it_catches_up_in_steps(pushed, tmp_path):
    """What was there before it began, back to its beginning: ten minutes at a time, also when it is stopped on the way."""
    now_ms = int(time.time() * 1000)
    course = course_of("m", now_ms - 3_300_000, 3290)
    push(pushed.url, [course])
    with tailing(plan(tmp_path / "out", pushed.url, begin_s=now_ms / 1000 - 3300)) as collector:
        until(lambda: collector.status().chunk >= 1)
        collector.stop()

    assert differing(held(tmp_path / "out"), [course]) == []
    assert collector.status().chunk >= 6


def test_samples_that_come_late_are_taken(pushed, tmp_path):
    """As cAdvisor's, which bring stamps of their own; those that were there are not taken twice."""
    now_ms = int(time.time() * 1000)
    out = tmp_path / "out"
    early, late = course_of("early", now_ms - 20_000, 18), course_of("late", now_ms - 19_500, 17)
    push(pushed.url, [early])
    with tailing(plan(out, pushed.url, begin_s=now_ms / 1000 - 30, overlap_s=60.0)) as collector:
        until(lambda: collector.status().chunk >= 1)
        before = said(out)["tally"]["samples"]
        push(pushed.url, [late])
        until(lambda: said(out)["tally"]["samples"] == 35)
        collector.stop()

    assert before == 18
    assert differing(held(out), [early, late]) == []
    assert counted(out).count.tolist() == [18, 17]


def test_a_server_that_is_absent_at_first_is_waited_for(pushed, tmp_path):
    """It is told as down; once it is there, everything since the beginning comes."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    course = course_of("m", now_ms - 5000, 5)
    push(pushed.url, [course])
    pushed.stop()
    with tailing(plan(out, pushed.url, begin_s=now_ms / 1000 - 60)) as collector:
        until(lambda: collector.status().down != {})
        assert list(collector.status().down) == [pushed.url]
        assert (collector.status().chunk, collector.status().alive) == (0, True)
        pushed.start()
        until(lambda: collector.status().chunk >= 1)
        collector.stop()

    assert differing(held(out), [course]) == []
    assert events(out) == ["started", "server_down", "clock_offset", "server", "server_up", "stopped"]
    assert [one["word"] for one in told(out) if one["kind"] == "server_down"] == ["refused"]


def test_a_server_that_is_restarted_meanwhile_costs_nothing(pushed, tmp_path):
    """Samples of before, of meanwhile and of after are there; the trouble is told once."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    first, second = course_of("m", now_ms - 9000, 3), course_of("n", now_ms - 5000, 3)
    push(pushed.url, [first])
    with tailing(plan(out, pushed.url, begin_s=now_ms / 1000 - 60, overlap_s=30.0)) as collector:
        until(lambda: collector.status().chunk >= 1)
        pushed.kill9()
        until(lambda: collector.status().down != {})
        pushed.start()
        push(pushed.url, [second])
        until(lambda: collector.status().down == {} and collector.status().chunk >= 2)
        status = collector.stop()

    assert differing(held(out), [first, second]) == []
    assert (status.restarts, status.down) == (0, {})
    assert events(out) == ["started", "clock_offset", "server", "server_down", "server_up", "stopped"]


def test_what_a_server_warned_of_outlives_a_kill(pushed, tmp_path):
    """Warnings, retries and requests of all its processes are told as one sum."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    push(pushed.url, [course_of("m", now_ms - 9000, 3)])
    with (
        CuttingProxy(pushed.port, by_path({"/api/v1/status/buildinfo": warned("mind the gap")})) as proxy,
        tailing(plan(out, proxy.url, begin_s=now_ms / 1000 - 60)) as collector,
    ):
        until(lambda: collector.status().chunk >= 1 and said(out)["server"]["requests"] > 8)
        assert collector.process is not None
        collector.process.signal(signal.SIGKILL)
        until(lambda: not collector.status().alive)
        before = said(out)["server"]
        assert collector.keep()
        until(lambda: said(out)["server"]["requests"] > before["requests"] + 8)
        after = said(out)["server"]
        collector.stop()

    assert (before["warnings"], after["warnings"]) == ({"mind the gap": 1}, {"mind the gap": 2})
    assert after["requests"] <= proxy.requests


def test_a_server_that_refuses_for_a_while_costs_nothing(pushed, tmp_path):
    """The reader goes on asking, and the chunk after covers it."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    push(pushed.url, [course_of("m", now_ms - 9000, 3)])
    with CuttingProxy(pushed.port) as proxy, tailing(plan(out, proxy.url, begin_s=now_ms / 1000 - 60, overlap_s=30.0)) as collector:
        until(lambda: collector.status().chunk >= 1)
        proxy.plan = always(api_error("execution", "no"))
        until(lambda: collector.status().down != {})
        push(pushed.url, [course_of("n", now_ms - 5000, 3)])
        proxy.plan = always(PASS)
        until(lambda: collector.status().chunk >= 2)
        assert not collector.keep()
        collector.stop()

    assert [course.name for course in held(out).values()] == ["m", "n"]


@pytest.fixture
def hasty(monkeypatch) -> None:
    """A reader in this process that has as little patience as a test."""
    assert tail.ASK_S + 1 < SILENT_S  # a silent server must not make a reader look hung to whoever watches it
    assert tail.LAST_S + 1 < GRACE_S  # nor must one that is gone keep it until it is killed
    monkeypatch.setattr(tail, "ASK_S", 0.3)
    monkeypatch.setattr(tail, "LAST_S", 0.8)


@contextmanager
def running(wanted: TailPlan) -> Iterator[tail.Tail]:
    """A reader in a thread of this process; stopped at the end."""
    wanted.out.mkdir()
    reader = tail.Tail(wanted, SystemClock())
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        thread.join()


@pytest.mark.usefixtures("hasty")
def test_a_stalled_server_is_told_and_the_reader_goes_on(pushed, tmp_path):
    """It gives the request up and says so; when the server speaks again, all is there."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    first, second = course_of("m", now_ms - 9000, 3), course_of("n", now_ms - 5000, 3)
    push(pushed.url, [first])
    with CuttingProxy(pushed.port) as proxy, running(plan(out, proxy.url, begin_s=now_ms / 1000 - 60, overlap_s=30.0)):
        until(lambda: (out / "collector.json").exists() and said(out)["chunk"] >= 1)
        proxy.plan = always(Stall(0))
        until(lambda: said(out)["down"] != {})
        push(pushed.url, [second])
        proxy.plan = always(PASS)
        until(lambda: said(out)["chunk"] >= 2)

    assert differing(held(out), [first, second]) == []
    assert events(out) == ["started", "clock_offset", "server", "server_down", "server_up", "stopped"]


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_gone_at_the_end_is_given_up(pushed, tmp_path):
    """The reader ends by itself, in order; what it had is kept."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    course = course_of("m", now_ms - 9000, 3)
    push(pushed.url, [course])
    with CuttingProxy(pushed.port) as proxy, running(plan(out, proxy.url, begin_s=now_ms / 1000 - 60)):
        until(lambda: (out / "collector.json").exists() and said(out)["chunk"] >= 1)
        proxy.plan = always(Answer(200, b"<html>"))

    assert events(out)[-2:] == ["gave_up", "stopped"]
    assert said(out)["alive"] is False
    assert differing(held(out), [course]) == []


@pytest.mark.usefixtures("hasty")
def test_what_has_not_settled_is_taken_at_the_end(pushed, tmp_path):
    """However long samples were to settle: what is there at the end comes along."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    course = course_of("m", now_ms - 3000, 3)
    push(pushed.url, [course])
    with running(plan(out, pushed.url, begin_s=now_ms / 1000 - 60, settle_s=600.0)):
        until(lambda: (out / "collector-events.jsonl").exists() and "server" in events(out))
        assert said(out)["chunk"] == 0

    assert differing(held(out), [course]) == []


def test_a_closed_door_ends_it(pushed, tmp_path):
    """Exit 4: whoever watches it is told, and does not start it over and over."""
    with CuttingProxy(pushed.port, by_path({"/api": Answer(401)})) as proxy, tailing(plan(tmp_path / "out", proxy.url)) as collector:
        until(lambda: not collector.status().alive)
        with pytest.raises(CredentialsError, match="answers 401"):
            collector.keep()


def test_json_is_read_where_the_document_says_so(pushed, tmp_path):
    """Or where there is nothing else; the manifest of the way in is in its heartbeat."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    course = course_of("m", now_ms - 9000, 3)
    push(pushed.url, [course])
    with tailing(plan(out, pushed.url, begin_s=now_ms / 1000 - 60, way="range-json")) as collector:
        until(lambda: collector.status().chunk >= 1)
        collector.stop()

    assert differing(held(out), [course]) == []
    assert (said(out)["server"]["way"], said(out)["server"]["why"]) == ("range-json", "as the document says")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(pushed, tmp_path, signum):
    """What came since the last time is fetched, however long that is to be; exit code 0."""
    out, now_ms = tmp_path / "out", int(time.time() * 1000)
    first, second = course_of("m", now_ms - 3000, 2), course_of("n", now_ms - 2500, 2)
    push(pushed.url, [first])
    plan(out, pushed.url, begin_s=now_ms / 1000 - 60, flush_s=3600.0).write(tmp_path / "config.json")
    out.mkdir()
    child = subprocess.Popen([sys.executable, "-m", "tasks.telemetry.prometheus.tail", str(tmp_path / "config.json")])
    until(lambda: (out / "collector.json").exists() and said(out)["chunk"] == 1)
    push(pushed.url, [second])
    child.send_signal(signum)

    assert child.wait(20) == 0
    assert differing(held(out), [first, second]) == []


def test_it_says_in_one_sentence_why_it_refuses(tmp_path):
    """Exit code 2 for a wrong configuration, 7 for a folder that is taken; no traceback."""
    (tmp_path / "wrong.json").write_text('{"out": "x"}')
    taken = FolderLock(tmp_path / "out")
    plan(tmp_path / "out", "http://127.0.0.1:1").write(tmp_path / "taken.json")
    results = [
        subprocess.run([sys.executable, "-m", "tasks.telemetry.prometheus.tail", *argv], capture_output=True, text=True, check=False)
        for argv in ([str(tmp_path / "wrong.json")], [str(tmp_path / "taken.json")], [])
    ]
    taken.release()

    assert [one.returncode for one in results] == [2, 7, 1]
    assert all(one.stderr and "Traceback" not in one.stderr and not one.stdout for one in results)


def test_keep_tells_a_refusal_apart_from_a_crash(tmp_path):
    """A reader that cannot have its folder is not started over and over."""
    taken = FolderLock(tmp_path)
    collector = Collector.start(plan(tmp_path, "http://127.0.0.1:1"))
    until(lambda: not collector.status().alive)

    with pytest.raises(LockedError, match="another process"):
        collector.keep()
    taken.release()


@pytest.mark.parametrize(
    "change",
    [
        {"match": []},
        {"match": ["up{"]},
        {"match": ["{}"]},
        {"match": None},
        {"flush_s": 0},
        {"flush_s": "NaN"},
        {"settle_s": -1},
        {"overlap_s": float("inf")},
        {"begin_s": None},
        {"way": "carrier-pigeon"},
        {"access": {"url": "ftp://127.0.0.1"}},
        {"access": {"url": "http://127.0.0.1", "password": "x"}},
        {"access": None},
        {"speed": 1},
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, change):
    """The plan is checked before anything is written, in the process as in the caller."""
    good = plan(tmp_path / "out", "http://127.0.0.1:1").to_json()
    assert TailPlan.from_json(json.loads(json.dumps(good))).to_json() == good

    with pytest.raises(DocumentError):
        TailPlan.from_json({**good, **change})


def test_it_stays_light(tmp_path):
    """It runs beside what is measured: none of the large libraries is loaded."""
    code = (
        "import sys; import tasks.telemetry.prometheus.tail;"
        "print([m for m in ('pandas', 'pydantic', 'prefect', 'httpx', 'scipy', 'sklearn') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
