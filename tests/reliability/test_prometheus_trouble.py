"""A Prometheus whose clock is off, that cuts, stalls, lies or is busy, and a disk that is full: rows 8, 9 and 12."""

from __future__ import annotations

import csv
import itertools
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.base.clock import SystemClock, from_iso
from tasks.base.errors import PreflightError
from tasks.base.intervals import Interval
from tasks.recordings.sampling import require_server
from tasks.telemetry.config import PrometheusSource
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.runner import SILENT_S, Collector
from tests.prometheus.cutting_proxy import (
    PASS,
    Act,
    Answer,
    Cut,
    CuttingProxy,
    Plan,
    Rewrite,
    Seen,
    Stall,
    Trickle,
    always,
    api_error,
    at_random,
    busy,
    by_path,
    flipped,
    truncated,
    warned,
)
from tests.prometheus.history import START_MS, Course, differing, span_ms, write_blocks
from tests.prometheus.history import with_scrapes as courses
from tests.prometheus.push import push
from tests.prometheus.recorded import EVERYTHING, FOREVER, asked, command, export_to, fingerprint, held, imported, serving, within
from tests.prometheus.servers import EACH_MAJOR, Prometheus
from tests.telemetry.source_contract import until

each_major = pytest.mark.parametrize("binary", EACH_MAJOR)
INTERVAL_MS = 5000
BURST_BYTES = 20 * 40 * 6
"""A chunk of a burst is longer: 52 random bits a sample do not pack."""
SKEWS_S = (90.0, -90.0, 1.5, -1.5)
TRICKLES, DEADLINE_S = 3, 0.8
LONGEST_WAIT_S = 2.0
"""Before the third try, and what a busy machine adds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server with the hand-made histories, and scrapes beside them."""
    with serving(tmp_path_factory.mktemp("prometheus"), courses()) as running:
        yield running


# -- row 8: two clocks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SkewedClock(SystemClock):
    """A machine whose clock is behind by *behind_s*."""

    behind_s: float = 0.0

    def wall_s(self) -> float:
        """Its own idea of the time."""
        return time.time() - self.behind_s


@each_major
def test_the_difference_of_the_clocks_is_measured_and_told(ledger: Any, tmp_path: Path, binary: Any) -> None:
    """To a tenth of a second, by a client whose clock is off; more than a second of it is a doubt in words, less is none."""
    span, worst_s = Interval(START_MS / 1000, START_MS / 1000 + 60), 0.0
    with Prometheus(tmp_path, binary=binary, flags=FOREVER) as server:
        for skew_s in (*SKEWS_S, 0.5, 0.0):
            facts = Client(DirectAdapter(Access(server.url)), SkewedClock(skew_s)).facts()
            worst_s = max(worst_s, abs(facts.clock_offset_s - skew_s))
            told = any(f"{facts.clock_offset_s:+.1f} s off" in doubt for doubt in facts.doubts(span))
            survived = abs(facts.clock_offset_s - skew_s) < 0.1 and told == (abs(skew_s) > 1)
            ledger.count(row=8, fault="this machine's clock is off", survived=survived, figure=f"offset within {1000 * worst_s:.0f} ms")
            assert survived, (skew_s, facts)


def shifted(by_s: float) -> Plan:
    """A server that is right in everything but the time: its clock is ahead by *by_s*."""

    def change(body: bytes) -> bytes:
        value = json.loads(body)
        now_s = float(value["data"]["result"][1]) + by_s
        value["data"]["result"] = [round(now_s, 3), f"{now_s:.3f}"]
        return json.dumps(value).encode()

    return by_path({"/api/v1/query?query=time": Rewrite(change, plain=True)})


def test_a_recording_is_not_begun_with_two_clocks(ledger: Any, server: Prometheus) -> None:
    """Faults could not be laid over the samples: exit 3, with the difference in the sentence."""
    for skew_s in SKEWS_S:
        with CuttingProxy(server.port, shifted(skew_s)) as proxy:
            source = PrometheusSource(kind="prometheus", url=proxy.url)
            with pytest.raises(PreflightError, match=rf"is \{skew_s:+.1f} s off") as refused:
                require_server(source, 60)
            proxy.plan = shifted(0.2)
            require_server(source, 60)
        survived = refused.value.exit_code == 3
        ledger.count(row=8, fault="the server's clock is off at the start of a recording", survived=survived)
        assert survived


@pytest.mark.parametrize("skew_s", SKEWS_S)
def test_labels_of_this_machines_clock_lie_on_the_servers_samples(ledger: Any, rng: random.Random, tmp_path: Path, skew_s: float) -> None:
    """Three faults, one close to either end of the import: each label is within a scrape of the sample that shows the fault."""
    times = np.arange(START_MS, START_MS + 1_800_000, INTERVAL_MS, dtype=np.int64)
    starts_s = [START_MS / 1000 + place + rng.uniform(0, INTERVAL_MS / 1000) for place in (30, 900, 1700)]
    depth = sum(np.where((times >= 1000 * start_s) & (times < 1000 * (start_s + 60)), 50.0, 0.0) for start_s in starts_s)
    write_blocks(
        [
            Course.of({"__name__": name, "job": "orders", "instance": "a:1"}, times, values)
            for name, values in (("up", np.ones(len(times))), ("queue_depth", depth))
        ],
        tmp_path / "data",
    )
    rows = [f"delay,orders,{start_s - skew_s:.3f},{start_s - skew_s + 60:.3f}" for start_s in starts_s]
    (tmp_path / "labels.csv").write_text("\n".join(["kind,target,start,end", *rows]) + "\n")
    with Prometheus(tmp_path, flags=FOREVER) as server, CuttingProxy(server.port, shifted(skew_s)) as proxy:
        wanted = asked(proxy.url, START_MS, int(times[-1]), labels=tmp_path / "labels.csv", labels_clock="client")
        found = imported(wanted, tmp_path / "store")
    (shown,) = (course for course in held(found.folder).values() if course.name == "queue_depth")
    begins_s = shown.time_ms[1:][np.diff(shown.value) > 0] / 1000
    labelled_s = [from_iso(row["requested"]) for row in csv.DictReader((found.folder / "labels.csv").open())]
    errors_s = [begin_s - label_s for begin_s, label_s in zip(begins_s, labelled_s, strict=True)]
    survived = len(errors_s) == 3 and all(-0.1 <= error_s <= INTERVAL_MS / 1000 + 0.1 for error_s in errors_s)
    figure = f"label error {max(map(abs, errors_s)) / (INTERVAL_MS / 1000):.2f} scrapes"
    ledger.count(row=8, fault=f"labels of a clock that is {skew_s:+g} s off", survived=survived, figure=figure)
    assert survived, errors_s


# -- row 9: replies that do not come, or come broken ------------------------------------------------------------------------


def torn(rng: random.Random) -> Rewrite:
    """The beginning of a reply, framed as if that were all, and ending within a frame (behind one it would be whole)."""

    def change(body: bytes) -> bytes:
        ends, at = set(), 0
        while at < len(body):
            size = shift = 0
            while True:
                byte = body[at]
                size |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
            at += 4 + size
            ends.add(at)
        places = [place for place in range(1, len(body)) if place not in ends]
        return body[: rng.choice(places)] if places else b"\x01"

    return Rewrite(change)


def turned(rng: random.Random) -> Rewrite:
    """One bit of a reply turned."""
    bit = rng.randrange(10**6)
    return Rewrite(lambda body: flipped(bit).change(body) if body else b"\x01")


Make = Callable[[random.Random], Act]
ALWAYS_WRONG: tuple[Make, ...] = (
    lambda rng: Cut(rng.randrange(4000)),
    lambda rng: Cut(rng.randrange(4000), reset=False),
    lambda rng: Stall(rng.randrange(4000)),
    lambda rng: busy(rng.choice((500, 502, 503, 504))),
    lambda _: busy(429, retry_after_s=0),
    lambda _: Answer(200, b"<html>log in</html>", (("Content-Type", "text/html"),)),
)
WRONG: dict[str, tuple[Make, ...]] = {
    "remote-read": (*ALWAYS_WRONG, torn, torn, turned, turned),
    "range-json": (
        *ALWAYS_WRONG,
        lambda rng: truncated(rng.randrange(200)),
        lambda rng: truncated(rng.randrange(2000)),
        lambda rng: api_error(rng.choice(("timeout", "internal", "unavailable", "canceled")), "later", status=rng.choice((200, 422, 503))),
    ),
}


def disturbed(server: Prometheus, folder: Path, way: str, seed: str) -> tuple[list[str], int, int]:
    """What is not the same after an export by a proxy that spoils a third of the replies; tries again, and chunks."""
    first_ms, last_ms = span_ms(courses())
    rng = random.Random(seed)
    borders = sorted({first_ms - 1, last_ms, *(int(rng.choice(rng.choice(courses()).time_ms)) for _ in range(5))})
    with CuttingProxy(server.port) as proxy:
        export = export_to(folder, proxy.url, way, timeout_s=0.4, give_up_s=60.0)
        proxy.plan = at_random(rng.randrange(10**6), WRONG[way], share=0.2)
        try:
            for before, end in itertools.pairwise(borders):
                export.window(before + 1, end)
                assert export.writer.until_ms == end
                wrong = differing(held(folder), within(courses(), first_ms, end))
                assert not wrong, wrong
        finally:
            export.writer.close()
    return differing(held(folder), courses()), export.retries, export.writer.chunk


@pytest.mark.timeout(300)
def test_what_is_spoilt_on_the_way_is_asked_for_again(ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path) -> None:
    """Cut, stalled, busy, torn, flipped, refused for now, at random: after each window the table is that of an undisturbed export."""
    wanted = [(way, f"{rng.random()}") for way in WRONG for _ in range(6)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        done = list(pool.map(lambda one: disturbed(server, tmp_path / one[1], *one), wanted))
    tries = sum(retries for _, retries, _ in done)
    undisturbed = imported(asked(server.url, *span_ms(courses())), tmp_path / "store").certificate["fingerprint"]
    for (way, seed), (wrong, _, _) in zip(wanted, done, strict=True):
        same = not wrong and fingerprint(tmp_path / seed) == undisturbed
        ledger.count(
            row=9, fault=f"replies cut, torn, stalled or refused, by {way}", survived=same, figure=f"samples lost 0; {tries} retries"
        )
        assert same, (seed, wrong[:3])
    assert tries >= len(wanted)
    assert sum(chunks for _, _, chunks in done) >= 3 * len(wanted)


@pytest.mark.parametrize("way", WRONG)
def test_a_reply_that_trickles_ends_by_the_deadline(ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path, way: str) -> None:
    """A byte every twentieth of a second, in the head or in the body, meets every timeout: the whole reply is given up, and asked for again."""
    came_s: list[float] = []
    acts = [Trickle(rng.choice((0, rng.randrange(1, 100), rng.randrange(200, 3000))), every_s=0.05) for _ in range(TRICKLES)]

    def plan(_: Seen) -> Act:
        came_s.append(time.monotonic())
        return acts[len(came_s) - 1] if len(came_s) <= len(acts) else PASS

    with CuttingProxy(server.port) as proxy:
        export = export_to(tmp_path / "folder", proxy.url, way, timeout_s=0.5, deadline_s=DEADLINE_S, give_up_s=60.0)
        proxy.plan = plan
        export.window(*span_ms(courses()))
        export.writer.close()
    wrong, waits_s = differing(held(tmp_path / "folder"), courses()), np.diff(came_s)[:TRICKLES]
    for waited_s in waits_s:
        survived = waited_s < 2 * DEADLINE_S + LONGEST_WAIT_S and not wrong and export.retries == TRICKLES
        figure = f"samples lost 0; given up after {max(waits_s):.1f} s of {DEADLINE_S} s"
        ledger.count(row=9, fault=f"replies trickle, by {way}", survived=survived, figure=figure)
    assert not wrong
    assert export.retries == TRICKLES
    assert max(waits_s) < 2 * DEADLINE_S + LONGEST_WAIT_S


def followed_slowly(folder: Path, every_s: float) -> tuple[float, int, list[str]]:
    """
    Follow a server whose replies trickle from some moment on, for two questions, and then are whole again.

    Returns:
        The longest time without a word of the reader, how often it was started again, and what is not as it should be in the end.
    """
    out, silences_s = folder / "recording", [0.0]
    with Prometheus(folder / "server") as server, CuttingProxy(server.port) as proxy:
        first, later = (Course.of({"__name__": name}, [int(time.time() * 1000)], [1.0]) for name in ("first", "later"))
        push(server.url, [first])
        collector = Collector.start(
            TailPlan(out, Access(proxy.url), time.time() - 1, (EVERYTHING,), flush_s=0.2, settle_s=0.0, overlap_s=60)
        )
        until(lambda: collector.status().chunk >= 1)
        asked_before, proxy.plan = proxy.requests, always(Trickle(40, every_s))

        def asked_again() -> bool:
            silences_s.append(time.time() - (collector.status().written_s or 0.0))
            return proxy.requests >= asked_before + 3

        until(asked_again, timeout_s=60)
        push(server.url, [later])
        proxy.plan = always(PASS)
        until(lambda: len(held(out)) == 2)
        collector.keep()
        collector.stop()
    return max(silences_s), collector.restarts, differing(held(out), [first, later])


def test_a_trickling_server_does_not_hang_the_reader(ledger: Any, tmp_path: Path) -> None:
    """Replies that are whole in the end, and those that are given up: between two questions the reader says that it lives."""
    paces_s = (0.1, 0.3)
    with ThreadPoolExecutor(len(paces_s)) as pool:
        done = list(pool.map(lambda every_s: followed_slowly(tmp_path / f"{every_s}", every_s), paces_s))
    for silence_s, restarts, wrong in done:
        survived = silence_s < SILENT_S and restarts == 0 and not wrong
        figure = f"samples lost 0; at most {max(one[0] for one in done):.1f} s without a word"
        ledger.count(row=9, fault="replies trickle while following a server", survived=survived, figure=figure)
        assert survived, done


@pytest.mark.parametrize(("act", "waits_s"), [(busy(503), (0.2, 0.4, 0.8)), (busy(429, retry_after_s=1), (1.0, 1.0))], ids=["5xx", "429"])
def test_a_busy_server_is_given_time(ledger: Any, server: Prometheus, tmp_path: Path, act: Answer, waits_s: Sequence[float]) -> None:
    """At least twice as long after each try, or as long as it asked for."""
    came_s: list[float] = []

    def plan(seen: Seen) -> Act:
        came_s.append(time.monotonic())
        return act if len(came_s) <= len(waits_s) else PASS

    with CuttingProxy(server.port) as proxy:
        export = export_to(tmp_path / "folder", proxy.url)
        proxy.plan = plan
        export.window(*span_ms(courses()))
        export.writer.close()
    waited_s = np.diff(came_s)[: len(waits_s)]
    survived = bool((waited_s >= np.array(waits_s) - 0.01).all()) and differing(held(tmp_path / "folder"), courses()) == []
    ledger.count(row=9, fault="429 or 5xx", survived=survived, figure=f"samples lost 0; {export.retries} retries")
    assert survived, waited_s
    assert export.retries == len(waits_s)


BROKEN: tuple[Make, ...] = (
    lambda rng: Cut(rng.randrange(100)),
    lambda rng: Stall(rng.randrange(100)),
    lambda _: busy(503),
    lambda _: busy(429, retry_after_s=119),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an export whose server broke in the middle, and of the one after it."""

    code: int
    said: str
    took_s: float
    kept: list[str]
    """What differs in the windows that were finished."""
    whole: list[str]
    """What differs after the second one."""
    again: int
    """Questions of the second one for what was there."""
    repeated: int


def broken(server: Prometheus, folder: Path, way: str, act: Act) -> Ended:
    """Bring a half, have the server break, give up, and go on with one that is whole."""
    first_ms, last_ms = span_ms(courses())
    middle_ms = START_MS + 600_000
    with CuttingProxy(server.port) as proxy:
        export = export_to(folder, proxy.url, way, timeout_s=0.3, give_up_s=0.7)
        export.window(first_ms, middle_ms)
        proxy.plan, begun_s = always(act), time.monotonic()
        try:
            export.span(first_ms, last_ms)
            code, said = 0, ""
        except PreflightError as error:
            code, said = error.exit_code, str(error)
        took_s = time.monotonic() - begun_s
        export.writer.close()
        kept = differing(held(folder), within(courses(), first_ms, middle_ms))
        proxy.plan = always(PASS)
        resumed = export_to(folder, proxy.url, way)
        before = proxy.requests
        resumed.span(first_ms, last_ms)
        resumed.writer.close()
        questions = proxy.seen[before:]
    again = sum(way == "range-json" and _start_ms(seen) < middle_ms for seen in questions) + (not questions)
    return Ended(code, said, took_s, kept, differing(held(folder), courses()), again, resumed.writer.tally.duplicates)


def test_a_server_that_stays_broken_ends_by_the_deadline(ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path) -> None:
    """Exit 3 in a sentence, also when it asks for two minutes more; what is finished is kept, and is not asked for a second time."""
    wanted = [(way, act(rng)) for way in WRONG for act in BROKEN]
    with ThreadPoolExecutor(len(wanted)) as pool:
        done = list(pool.map(lambda one: broken(server, tmp_path / f"{one[0]}-{wanted.index(one)}", *one), wanted))
    for asked_for, one in zip(wanted, done, strict=True):
        survived = one.code == 3 and "could not be asked for 0.7 s" in one.said and not (one.kept or one.whole or one.again or one.repeated)
        survived &= one.took_s < 60
        figure = f"ended after {max(one.took_s for one in done):.1f} s of a patience of 0.7 s"
        ledger.count(row=9, fault="a server that stays broken", survived=survived, figure=figure)
        assert survived, (asked_for, one)


def _start_ms(seen: Seen) -> int:
    """From when on a raw range selector asks for samples; 2.x gives one millisecond before it too."""
    from urllib.parse import parse_qs, urlsplit

    query = parse_qs(urlsplit(seen.path).query)
    length_ms = int(query["query"][0].rpartition("[")[2].removesuffix("ms]"))
    return round(float(query["time"][0]) * 1000) - length_ms


def test_what_the_server_warns_of_stands_in_the_certificate(ledger: Any, server: Prometheus, tmp_path: Path) -> None:
    """Word for word and counted, in the manifest and among the notes; an import without warnings has none."""
    words = ("partial data: store 10.0.0.7 is not there", "PromQL info: metric might not be a counter")
    with CuttingProxy(server.port, by_path({"/api/v1/query?query=%7B": warned(*words)})) as proxy:
        found = imported(asked(proxy.url, *span_ms(courses()), way="range-json"), tmp_path / "store")
    quiet = imported(asked(server.url, *span_ms(courses()), way="range-json"), tmp_path / "store")
    counted, notes = found.certificate["server"]["warnings"], " ".join(found.facts["notes"])
    survived = set(counted) == set(words) and min(counted.values()) > 1 and all(word in notes for word in words)
    survived &= quiet.certificate["server"]["warnings"] == {} and differing(held(found.folder), courses()) == []
    ledger.count(row=9, fault="the server warns that data are partial", survived=survived, figure="samples lost 0")
    assert survived, (counted, notes)


def test_a_refusal_for_good_is_not_repeated(ledger: Any, server: Prometheus, tmp_path: Path) -> None:
    """``bad_data`` and the like are no trouble that passes: one question, exit 3, the server's own words."""
    for kind in ("bad_data", "execution", "not_found"):
        with CuttingProxy(server.port) as proxy:
            export = export_to(tmp_path / kind, proxy.url, "range-json")
            before, proxy.plan = proxy.requests, always(api_error(kind, "that is no question"))
            with pytest.raises(PreflightError, match=f"refuses: {kind}: that is no question") as refused:
                export.window(*span_ms(courses()))
            export.writer.close()
            survived = refused.value.exit_code == 3 and proxy.requests == before + 1 and not held(tmp_path / kind)
        ledger.count(row=9, fault="status:error, for good", survived=survived, figure="samples lost 0")
        assert survived


# -- row 12: the disk is full ---------------------------------------------------------------------------------------------


@contextmanager
def limited(argv: Sequence[str], size: int) -> Iterator[subprocess.Popen[str]]:
    """A program that can write no file longer than *size* bytes: to it the disk is full."""
    child = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def sizes(folder: Path, rng: random.Random, count: int) -> list[int]:
    """Limits that are met by some file of *folder*."""
    biggest = max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return [1, biggest - 1, *(rng.randrange(1, biggest) for _ in range(count - 2))]


def test_a_full_disk_ends_an_import_and_costs_no_finished_window(
    ledger: Any, rng: random.Random, server: Prometheus, tmp_path: Path
) -> None:
    """Wherever the space ends: exit 6 with a sentence, no partial file, finished windows readable; with space the same command goes on."""
    first_ms, last_ms = span_ms(courses())
    whole = imported(asked(server.url, first_ms, last_ms), tmp_path / "whole")

    def tried(size: int) -> tuple[int, int, str, list[str]]:
        root = tmp_path / f"store-{size}"
        with limited(command(server.url, first_ms, last_ms, root), size) as child:
            told, _ = child.communicate(timeout=60)
        wrong = [f"partial: {path}" for path in root.rglob("*.tmp")]
        for folder in (root / "staging").glob("import-*"):
            until_ms = max((int(course.time_ms[-1]) for course in held(folder).values()), default=0)
            wrong += differing(held(folder), within(courses(), first_ms, until_ms))
        done = subprocess.run(command(server.url, first_ms, last_ms, root), capture_output=True, text=True, check=False)
        (folder,) = (root / "artifacts" / "recording").iterdir()
        wrong += [] if done.returncode in (0, 8) else [done.stdout]
        return (
            size,
            child.returncode,
            told,
            wrong + differing(held(folder), courses()) + differing(held(folder), held(whole.folder).values()),
        )

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(tried, sizes(whole.folder, rng, 6)))
    for size, code, told, wrong in done:
        survived = code == 6 and "space" in told and "Traceback" not in told and not wrong
        ledger.count(row=12, fault="disk full during an import", survived=survived, figure=f"files lost {len(wrong)}, exit code {code}")
        assert survived, (size, code, told, wrong[:3])


def test_a_full_disk_ends_the_reader_and_costs_no_chunk(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """The process that follows a running server: exit 6, every older chunk readable, and it goes on once there is space."""
    values = np.random.default_rng(rng.randrange(10**6))
    out = tmp_path / "recording"
    argv = [sys.executable, "-m", "tasks.telemetry.prometheus.tail", str(out / "collector-config.json")]
    with Prometheus(tmp_path) as server:
        plan = TailPlan(out, Access(server.url), time.time() - 1, (EVERYTHING,), flush_s=0.1, settle_s=0.0, overlap_s=60)

        def burst() -> None:
            """Twenty series of forty samples, up to now."""
            stamps = int(time.time() * 1000) + np.arange(-39, 1)
            push(server.url, [Course.of({"__name__": "pushed", "number": str(one)}, stamps, values.normal(size=40)) for one in range(20)])

        def more() -> None:
            """Let a reader bring what is new."""
            before = size_of(out)
            collector = Collector.start(plan)
            until(lambda: size_of(out) > before)
            collector.stop()

        burst()
        more()
        for size in (1, *(rng.randrange(1, BURST_BYTES) for _ in range(4))):
            before = held(out)
            burst()
            with limited(argv, size) as child:
                told, _ = child.communicate(timeout=60)
            after, partial = held(out), [path for path in out.rglob("*.tmp") if path.name.endswith(".parquet.tmp")]
            kept = all(after[labels].between(int(one.time_ms[0]), int(one.time_ms[-1])).same(one) for labels, one in before.items())
            burst()
            more()
            survived = child.returncode == 6 and "space" in told and "Traceback" not in told and kept and not partial
            lost = sum(not one for one in (kept,))
            ledger.count(
                row=12,
                fault="disk full while following a server",
                survived=survived,
                figure=f"files lost {lost}, exit code {child.returncode}",
            )
            assert survived, (size, child.returncode, told, partial)
        stamps = [int(course.time_ms[-1]) for course in held(out).values()]
        told_by_server = server.raw('{__name__="pushed"}', int(plan.begin_s * 1000), max(stamps))
    assert differing(held(out), told_by_server.values()) == []


def size_of(folder: Path) -> int:
    return sum(len(course.time_ms) for course in held(folder).values()) if (folder / "samples").is_dir() else 0
