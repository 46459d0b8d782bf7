"""Kill -9, whoever it hits: the server, its disk, its targets, the process that follows it, the import. Rows 1, 2, 6 and 11."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.artifacts.store import Store
from tasks.features.build import build
from tasks.features.config import FeaturesConfig
from tasks.telemetry.gaps import gaps
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.prometheus.writer import WindowWriter
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import read_samples, read_series
from tests.prometheus.cutting_proxy import Act, CuttingProxy, Delay, Seen
from tests.prometheus.exporter import Exporter
from tests.prometheus.forked import Launcher
from tests.prometheus.history import Course, differing, span_ms
from tests.prometheus.history import with_scrapes as courses
from tests.prometheus.push import push
from tests.prometheus.recorded import EVERYTHING, Recording, arguments, asked, fingerprint, held, imported, serving, within
from tests.prometheus.servers import EACH_MAJOR, Job, Prometheus
from tests.telemetry.source_contract import until

each_major = pytest.mark.parametrize("binary", EACH_MAJOR)
SERVER_KILLS = 5
DISKS_LOST = 3
MOMENTS = 20
READER_KILLS = 30
EVERY_S = 0.1
FLUSH_S, SETTLE_S, OVERLAP_S = 0.2, 0.1, 5.0
LATE_S = 2.0
"""What a busy machine may add to a promise of fractions of a second."""


@dataclass
class Pusher:
    """Gives a server samples of five series every tenth of a second, as scrapes would, and knows which ones it said that it took."""

    url: str
    sent: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)
    """All; one that is killed may have taken what it did not say."""
    taken: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Pusher:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        for number in itertools.count():
            now_ms = round(time.time() * 1000)
            labels = {"job": "orders", "instance": "a:1"}
            names = {"up": 1.0, "pushes_total": float(number), **{f"load_{one}": (number * 31 + one) % 17 / 7 for one in range(3)}}
            courses = [Course.of({"__name__": name, **labels}, [now_ms], [value]) for name, value in names.items()]
            self._note(self.sent, courses)
            with suppress(OSError):  # the server is dead
                push(self.url, courses)
                self._note(self.taken, courses)
            if self._stopped.wait(EVERY_S):
                return

    def _note(self, where: dict[Labels, list[tuple[int, float]]], courses: list[Course]) -> None:
        for course in courses:
            where.setdefault(course.labels, []).append((int(course.time_ms[0]), float(course.value[0])))

    @property
    def newest_ms(self) -> int:
        """When the newest sample was that the server took."""
        return max((entries[-1][0] for entries in list(self.taken.values())), default=0)


def all_of(entries: Mapping[Labels, list[tuple[int, float]]], start_ms: int = 0, end_ms: int = 1 << 60) -> dict[Labels, Course]:
    """What :class:`Pusher` noted, in [*start_ms*, *end_ms*]."""
    found = within((Course(labels, *_columns(some)) for labels, some in entries.items()), start_ms, end_ms)
    return {course.labels: course for course in found}


def _columns(entries: list[tuple[int, float]]) -> tuple[Any, Any]:
    return np.array([time_ms for time_ms, _ in entries], np.int64), np.array([value for _, value in entries], np.float64)


def followed(out: Path, url: str, **more: Any) -> TailPlan:
    """A plan to follow the server at *url* from now on."""
    chosen = {"flush_s": FLUSH_S, "settle_s": SETTLE_S, "overlap_s": OVERLAP_S, "match": (EVERYTHING,), **more}
    return TailPlan(out, Access(url), time.time(), **chosen)


def compared_ms(plan: TailPlan) -> tuple[int, int]:
    """
    From when to when an export must be the same as what *plan* has brought.

    The plan's begin is in this machine's time, which the server's is known to differ from by a millisecond or so.
    """
    return round(plan.begin_s * 1000) + 20, watermark_ms(plan.out)


def watermark_ms(out: Path) -> int:
    """Up to when the reader that wrote *out* has asked."""
    writer = WindowWriter(out)
    writer.close()
    assert writer.until_ms is not None
    return writer.until_ms


def unequal(later: Recording, out: Path, begin_ms: int) -> list[str]:
    """What is not the same in an import afterwards and in what was brought from *begin_ms* on, each sample once."""
    wrong = differing(held(later.folder), within(held(out).values(), begin_ms, 1 << 60))
    prints = fingerprint(out, begin_ms), later.certificate["fingerprint"]
    wrong += [f"{twice} samples are there twice"] if (twice := read_samples(out).duplicates) else []
    return wrong if prints[0] == prints[1] else [*wrong, f"fingerprints {prints}"]


def newest_of(out: Path) -> int:
    """When the newest sample in *out* was; 0 without any."""
    return max((int(course.time_ms[-1]) for course in held(out).values()), default=0) if (out / "samples").is_dir() else 0


def lacking(found: Mapping[Labels, Course], wanted: Mapping[Labels, Course]) -> int:
    """How many samples of *wanted* are not in *found*, bit by bit."""
    missing = 0
    for labels, course in wanted.items():
        there = found.get(labels)
        pairs = set() if there is None else set(zip(there.time_ms.tolist(), there.value.view(np.int64).tolist(), strict=True))
        missing += sum(pair not in pairs for pair in zip(course.time_ms.tolist(), course.value.view(np.int64).tolist(), strict=True))
    return missing


# -- row 1: the server ----------------------------------------------------------------------------------------------------


@each_major
def test_a_killed_server_costs_no_sample_that_it_has(ledger: Any, rng: random.Random, tmp_path: Path, binary: Any) -> None:
    """
    After each of several kills: what it took, and what it still has, is in our table once, nothing else is, and every outage is a gap.

    The gap goes from sample to sample. The server may have less than we do: what was in its memory alone went with it.
    """
    out = tmp_path / "recording"
    outages: list[tuple[int, int, int]] = []
    with Prometheus(tmp_path, binary=binary) as server, Pusher(server.url) as pusher:
        collector = Collector.start(plan := followed(out, server.url))
        collector.ready()
        for _ in range(SERVER_KILLS):
            time.sleep(rng.uniform(0.1, 0.8))
            server.kill9()
            killed_ms = round(time.time() * 1000)
            time.sleep(rng.uniform(0.3, 0.6))
            before_ms = pusher.newest_ms
            server.start()
            until(lambda before_ms=before_ms: pusher.newest_ms > before_ms)
            after_ms = next(time_ms for time_ms, _ in pusher.taken[UP] if time_ms > before_ms)
            outages.append((before_ms, killed_ms, after_ms))
            until(lambda after_ms=after_ms: newest_of(out) >= after_ms)
        collector.stop()
        begin_ms, until_ms = compared_ms(plan)
        later = imported(asked(server.url, begin_ms, until_ms), tmp_path / "store")
    table, still = held(out), held(later.folder)
    taken = all_of(pusher.taken, begin_ms, until_ms)
    lost, made_up = lacking(table, taken) + lacking(table, still), lacking(all_of(pusher.sent), table)
    found = [(round(gap.start_s * 1000), round(gap.end_s * 1000)) for gap in gaps(read_series(out), read_samples(out), interval_s=EVERY_S)]
    listed = [any(before <= start <= killed and end == after for start, end in found) for before, killed, after in outages]
    own = [gap for gap in found if not _nothing_between(taken[UP], *gap)]
    for told in listed:
        figure = f"invented points {made_up}, lost {lost}; {sum(listed)}/{len(outages)} outages are gaps"
        ledger.count(row=1, fault="Prometheus killed -9 in a recording", survived=told and lost == made_up == 0, figure=figure)
    assert (lost, made_up, read_samples(out).duplicates, own) == (0, 0, 0, []), (
        outages,
        absent(table, still, pusher),
        absent(table, taken, pusher),
    )
    assert all(listed), (outages, found)


def absent(found: Mapping[Labels, Course], wanted: Mapping[Labels, Course], pusher: Pusher) -> list[tuple[str, int, bool]]:
    """Which samples of *wanted* are not in *found*: the metric's name, the stamp, and whether the server said that it took it."""
    missing = []
    for labels, course in wanted.items():
        there = set(found[labels].time_ms.tolist()) if labels in found else set()
        said = {time_ms for time_ms, _ in pusher.taken.get(labels, ())}
        missing += [(course.name, time_ms, time_ms in said) for time_ms in course.time_ms.tolist() if time_ms not in there]
    return missing


UP: Labels = (("__name__", "up"), ("instance", "a:1"), ("job", "orders"))


def _nothing_between(course: Course, start_ms: int, end_ms: int) -> bool:
    return not np.any((course.time_ms > start_ms) & (course.time_ms < end_ms))


# -- row 2: the server's disk ----------------------------------------------------------------------------------------------


def test_a_lost_disk_costs_a_flush_and_a_scrape(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """The server comes back empty: our chunks stay as they are, the recording goes on, and only what no flush had seen is lost."""
    out, losses_s = tmp_path / "recording", []
    limit_s = FLUSH_S + SETTLE_S + EVERY_S + LATE_S
    with Prometheus(tmp_path) as server, Pusher(server.url) as pusher:
        collector = Collector.start(followed(out, server.url))
        collector.ready()
        for number in range(DISKS_LOST):
            time.sleep(rng.uniform(0.5, 1.5))
            server.kill9()
            shutil.rmtree(server.data)
            time.sleep(FLUSH_S if number else 2.5)  # once for longer than the reader is patient
            last_ms, before, kept_ms = pusher.newest_ms, held(out), newest_of(out)
            losses_s.append(max(0, last_ms - kept_ms) / 1000)
            server.start()
            until(lambda last_ms=last_ms: newest_of(out) > last_ms)
            changed = lacking(held(out), before)
            survived = not changed and losses_s[-1] <= limit_s and collector.status().restarts == 0
            figure = f"worst loss {max(losses_s):.1f} s with a flush every {FLUSH_S} s"
            ledger.count(row=2, fault="Prometheus lost its disk in a recording", survived=survived, figure=figure)
            assert survived, (changed, losses_s)
        collector.stop()
    assert lacking(all_of(pusher.sent), held(out)) == 0
    assert gaps(read_series(out), read_samples(out), interval_s=EVERY_S)


# -- rows 1 and 6: real scrapes ---------------------------------------------------------------------------------------------

SCRAPE_S = 0.25
RATE_PER_S = 40


@dataclass(frozen=True, slots=True)
class Shop:
    """A server that scrapes an exporter whose service answers 40 requests a second."""

    server: Prometheus
    exporter: Exporter

    def scraped_again(self) -> None:
        """Wait until the server has looked at the exporter anew."""
        seen = len(self.exporter.shown)
        until(lambda: len(self.exporter.shown) > seen + 1, timeout_s=30)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server that scrapes."""
    with Exporter() as exporter, counting(exporter):
        job = Job("orders", targets=(exporter.address,), interval_s=SCRAPE_S)
        with Prometheus(tmp_path_factory.mktemp("prometheus"), jobs=[job]) as server:
            found = Shop(server, exporter)
            found.scraped_again()
            yield found


@contextmanager
def counting(exporter: Exporter) -> Iterator[None]:
    """Requests as time goes by, at a steady rate."""
    stopped = threading.Event()

    def run() -> None:
        begun_s, done = time.monotonic(), 0
        while not stopped.wait(0.01):
            due = int((time.monotonic() - begun_s) * RATE_PER_S)
            if due > done:
                exporter.count("request_duration_seconds_count", by=due - done, status_code="200")
                exporter.count("request_duration_seconds_sum", by=(due - done) * 0.01, status_code="200")
            done = due

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


COUNT = "request_duration_seconds_count"


def test_restarts_of_a_target_are_counted_and_make_no_rate(ledger: Any, rng: random.Random, shop: Shop, tmp_path: Path) -> None:
    """Its counters begin at zero five times: as many resets, no rate below zero, and none above the true one."""
    out, restarts = tmp_path / "recording", 5
    plan = followed(out, shop.server.url, match=('{job="orders"}',))
    collector = Collector.start(plan)
    collector.ready()
    for _ in range(restarts):
        time.sleep(rng.uniform(0.3, 0.6))
        shop.scraped_again()
        shop.exporter.restart()
        shop.scraped_again()
    time.sleep(2)
    collector.stop()
    found = imported(asked(shop.server.url, *compared_ms(plan)), tmp_path / "store")
    settings = FeaturesConfig(grid_s=0.5, rate_window_s=2)
    worst, resets = 0.0, []
    for folder in (out, found.folder):
        matrix = build(folder, settings, start_s=plan.begin_s + 2, end_s=newest_of(folder) / 1000)
        rate = matrix.column("orders/request_rate_per_s")
        seen = rate[~np.isnan(rate)]
        assert len(seen) > 5
        assert seen.min() >= 0
        worst = max(worst, float(seen.max()) / RATE_PER_S)
        resets.append(int(matrix.resets[matrix.names.index("orders/request_rate_per_s")]))
    certified = found.certificate["counter_resets"]  # of the count and of the sum
    survived = worst <= 1.15 and resets == [restarts, restarts] and certified == 2 * restarts
    figure = f"highest rate {100 * worst:.0f} % of the true one, {resets[0]}/{restarts} resets"
    ledger.count(row=6, fault="a scraped target restarted, its counters reset", survived=survived, figure=figure)
    assert survived, (worst, resets, certified)


@pytest.mark.timeout(180)
def test_a_killed_server_that_scrapes_invents_nothing(ledger: Any, rng: random.Random, shop: Shop, tmp_path: Path) -> None:
    """Two kills of a server that scrapes: each recorded value was shown at that moment, each outage is a gap, a later export is the same."""
    out, kills_ms = tmp_path / "recording", []
    collector = Collector.start(plan := followed(out, shop.server.url, match=('{job="orders"}',)))
    collector.ready()
    for _ in range(2):
        time.sleep(rng.uniform(0.3, 1.3))
        shop.server.kill9()
        kills_ms.append(time.time() * 1000)
        shop.server.start()
        shop.scraped_again()
        shop.scraped_again()
    begun_ms = time.time() * 1000
    until(lambda: newest_of(out) > begun_ms)
    collector.stop()
    begin_ms, until_ms = compared_ms(plan)
    later = imported(asked(shop.server.url, begin_ms, until_ms, match=('{job="orders"}',)), tmp_path / "store")
    (counter,) = (course for course in held(out).values() if course.name == COUNT)
    shown = {
        value: one.time_s * 1000 for one in shop.exporter.shown for labels, value in one.values.items() if dict(labels)["__name__"] == COUNT
    }
    made_up = sum(
        value not in shown or not -50 < shown[value] - time_ms < 1000 * LATE_S
        for time_ms, value in zip(counter.time_ms.tolist(), counter.value.tolist(), strict=True)
    )
    found = gaps(read_series(out), read_samples(out), interval_s=SCRAPE_S)
    same = unequal(later, out, begin_ms) == []
    for kill_ms in kills_ms:
        told = any(gap.start_s * 1000 - 50 <= kill_ms <= gap.end_s * 1000 for gap in found)
        figure = f"invented points {made_up}, lost 0; {len(found)} gaps"
        ledger.count(row=1, fault="Prometheus killed -9 in a recording", survived=told and same and not made_up, figure=figure)
        assert told, (kill_ms, found)
    assert made_up == 0
    assert same, unequal(later, out, begin_ms)


# -- row 11: the import, and the process that follows ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server with the hand-made histories."""
    with serving(tmp_path_factory.mktemp("prometheus"), courses()) as running:
        yield running


@contextmanager
def launchers() -> Iterator[tuple[Launcher, Launcher]]:
    """One a core."""
    with Launcher() as one, Launcher() as other:
        yield one, other


def readable(root: Path) -> list[str]:
    """What is wrong with what a killed import left: each window that it finished is there, whole."""
    wrong = []
    for folder in (root / "staging").glob("import-*"):
        table = held(folder)
        until_ms = max((int(course.time_ms[-1]) for course in table.values()), default=0)
        wrong += differing(table, within(courses(), span_ms(courses())[0], until_ms))
    return wrong


def finished(launcher: Launcher, url: str, root: Path, said: Path) -> tuple[list[str], str]:
    """Run the same import to its end; what is not as it should be, and the fingerprint of what it made."""
    said.unlink(missing_ok=True)
    code = launcher.start("tidegauge", arguments(url, *span_ms(courses()), root), said).wait()
    wrong = [] if code in (0, 8) else [f"exit code {code}: {said.read_text()[-500:]}"]
    store, prints = Store(root), set()
    for ref in store.refs():
        wrong += store.problems(ref) or differing(held(store.folder(ref)), courses())
        wrong += [f"{twice} samples are there twice"] if (twice := read_samples(store.folder(ref)).duplicates) else []
        wrong += [f"{name} is left" for name in store.open(ref).manifest["files"] if name.endswith(".tmp")]
        prints.add(fingerprint(store.folder(ref)))
    wrong += [] if len(prints) == 1 else [f"{len(prints)} tables"]
    wrong += [] if store.find("recording", asked(url, *span_ms(courses())).key) else ["it would not be found again"]
    return wrong, next(iter(prints), "")


@pytest.mark.timeout(300)
def test_an_import_killed_at_any_step_goes_on(ledger: Any, history_server: Prometheus, tmp_path: Path) -> None:
    """Killed before each single change that it makes on the disk: finished windows are readable, and the same command ends with the same table."""
    url = history_server.url
    with launchers() as both:
        first = both[0].start(
            "tidegauge", arguments(url, *span_ms(courses()), tmp_path / "whole"), tmp_path / "said", count_to=tmp_path / "steps"
        )
        assert first.wait() in (0, 8)
        steps = int((tmp_path / "steps").read_text())
        undisturbed = fingerprint(next((tmp_path / "whole" / "artifacts" / "recording").iterdir()))

        def killed(step: int) -> tuple[int, list[str]]:
            launcher, root, said = both[step % 2], tmp_path / f"store-{step}", tmp_path / f"said-{step % 2}"
            code = launcher.start("tidegauge", arguments(url, *span_ms(courses()), root), said, die_at=step).wait()
            wrong = [] if code == -9 else [f"it was not killed: {code}"]
            wrong += readable(root)
            more, found = finished(launcher, url, root, said)
            shutil.rmtree(root)
            return step, [*wrong, *more, *([] if found == undisturbed else ["another fingerprint"])]

        with ThreadPoolExecutor(2) as pool:
            lanes = [pool.submit(lambda lane=lane: [killed(step) for step in range(1 + lane, steps + 1, 2)]) for lane in range(2)]
            done = sorted(one for lane in lanes for one in lane.result())
    identical = sum(not wrong for _, wrong in done)
    for _, wrong in done:
        figure = f"{identical}/{len(done)} tables identical"
        ledger.count(row=11, fault="import killed -9 before a change on the disk", survived=not wrong, figure=figure)
    assert [(step, wrong[:3]) for step, wrong in done if wrong] == []
    assert steps > 50


def slow(seed: str) -> Any:
    """A server that takes up to 40 ms for an answer."""

    def plan(seen: Seen) -> Act:
        return Delay(random.Random(f"{seed}/{seen.number}").uniform(0, 0.04))

    return plan


@pytest.mark.timeout(300)
def test_an_import_killed_at_any_moment_goes_on(ledger: Any, rng: random.Random, history_server: Prometheus, tmp_path: Path) -> None:
    """Killed again and again at random, then left alone: the table is that of an import that nobody killed."""
    undisturbed = imported(asked(history_server.url, *span_ms(courses())), tmp_path / "whole").certificate["fingerprint"]
    seeds = [f"{rng.random()}", f"{rng.random()}"]
    with launchers() as both, CuttingProxy(history_server.port, slow(seeds[0])) as proxy:

        def lane(place: int) -> list[tuple[int, list[str]]]:
            chance, launcher, said = random.Random(seeds[place]), both[place], tmp_path / f"said-{place}"
            done: list[tuple[int, list[str]]] = []
            for episode in itertools.count():
                root, kills, wrong = tmp_path / f"store-{place}-{episode}", 0, list[str]()
                for _ in range(chance.randrange(1, 6)):
                    child = launcher.start("tidegauge", arguments(proxy.url, *span_ms(courses()), root), said)
                    kills += child.kill_after(chance.uniform(0, 0.7)) == -signal.SIGKILL
                    wrong += readable(root)
                more, found = finished(launcher, proxy.url, root, said)
                done.append((kills, [*wrong, *more, *([] if found == undisturbed else ["another fingerprint"])]))
                if sum(count for count, _ in done) >= MOMENTS // 2:
                    return done
            raise AssertionError

        with ThreadPoolExecutor(2) as pool:
            episodes = [one for result in pool.map(lane, range(2)) for one in result]
    kills = sum(count for count, _ in episodes)
    identical = sum(count for count, wrong in episodes if not wrong)
    for count, wrong in episodes:
        for _ in range(count):
            figure = f"{identical}/{kills} tables identical"
            ledger.count(row=11, fault="import killed -9 at a random moment", survived=not wrong, figure=figure)
    assert [wrong[:3] for _, wrong in episodes if wrong] == []
    assert kills >= MOMENTS


@pytest.mark.timeout(300)
def test_a_killed_reader_goes_on_where_it_stood(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """Killed at random moments and steps while samples come: the table is that of an export afterwards, what was there stays as it was."""
    out, said = tmp_path / "recording", tmp_path / "said"
    out.mkdir()
    snapshots: list[dict[Labels, Course]] = []
    with (
        Prometheus(tmp_path) as server,
        CuttingProxy(server.port, slow(f"{rng.random()}")) as proxy,
        Pusher(server.url) as pusher,
        Launcher() as launcher,
    ):
        plan = followed(out, proxy.url, flush_s=0.05)
        plan.write(out / "collector-config.json")
        start = lambda die_at=0: launcher.start("tail", [str(out / "collector-config.json")], said, die_at=die_at)  # noqa: E731
        while len(snapshots) < READER_KILLS:
            by_step = rng.random() < 0.5
            child = start(rng.randrange(1, 40) if by_step else 0)
            code = child.wait() if by_step else child.kill_after(rng.uniform(0.02, 0.6))
            assert code == -signal.SIGKILL, said.read_text()[-2000:]
            snapshots.append(held(out))
        last_ms = pusher.newest_ms
        child = start()
        until(lambda: newest_of(out) > last_ms)
        assert child.terminate() == 0, said.read_text()[-2000:]
        begin_ms, until_ms = compared_ms(plan)
        later = imported(asked(server.url, begin_ms, until_ms), tmp_path / "store")
    table = held(out)
    lost, made_up = lacking(table, all_of(pusher.taken, begin_ms, until_ms)), lacking(all_of(pusher.sent), table)
    same = unequal(later, out, begin_ms) == []
    kept = [lacking(table, snapshot) == 0 for snapshot in snapshots]
    for one in kept:
        figure = f"identical to an export, {sum(kept)}/{len(kept)} kills lost nothing, {made_up} samples invented"
        ledger.count(row=11, fault="reader of a Prometheus killed -9", survived=one and same and lost == made_up == 0, figure=figure)
    assert (lost, made_up) == (0, 0)
    assert same, unequal(later, out, begin_ms)
    assert all(kept)
    assert sum(map(bool, snapshots)) > READER_KILLS / 2
