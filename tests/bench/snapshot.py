"""
Out of a Prometheus into Parquet: our import against three peers, the same 1,000 series over the same 6 h from the same server.

All are whole processes, measured from outside by the same small starter, in turn; what each wrote is compared value by value
before any time counts. The database is real, and so is the server; see :mod:`tests.bench.snapshot_history` for what is in it.
"""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.export import Export
from tasks.telemetry.prometheus.selectors import parse_selector
from tasks.telemetry.prometheus.writer import WindowWriter
from tests.bench.rows import FIGURES, Goal, Peer, Row, made
from tests.bench.snapshot_history import SELECTOR, Built, Recipe, built
from tests.bench.snapshot_ours import ours, recording_bytes, recording_in, recording_unlike
from tests.bench.snapshot_peers import PEERS, dumped, peers_python
from tests.bench.starter import Ended, launched
from tests.bench.stopwatch import ROUNDS, machine
from tests.prometheus.history import START_MS, Course, differing
from tests.prometheus.servers import Prometheus, binaries, default_binary

WAYS = {"remote_read": "remote-read", "json": "range-json"}
FLAGS = ("--storage.tsdb.retention.time=10y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")
"""Blocks stay as they are: no compaction while others are measured."""
GOALS = {
    "snapshot.remote_read.wall": Goal(">=", 15, "ratio"),
    "snapshot.json.wall": Goal(">=", 7, "ratio"),
    "snapshot.rss": Goal("<=", 160e6),
    "snapshot.bytes_per_sample": Goal("<=", 1.4),
    "snapshot.tsdb_ratio": Goal("<=", 0.40, "ratio"),
    "snapshot.server_cpu": Goal("<=", 0.1, "ratio"),
    "snapshot.growth_10x": Goal("<=", 11),
    "snapshot.growth_10x.rss": Goal("<=", 160e6),
    "snapshot.tail.cpu": Goal("<=", 0.15),
    "snapshot.tail.received": None,
}
UNITS = {
    "snapshot.remote_read.wall": "s",
    "snapshot.json.wall": "s",
    "snapshot.rss": "bytes",
    "snapshot.bytes_per_sample": "bytes a sample",
    "snapshot.tsdb_ratio": "bytes",
    "snapshot.server_cpu": "cpu s",
    "snapshot.growth_10x": "times",
    "snapshot.growth_10x.rss": "bytes",
    "snapshot.tail.cpu": "cpu s",
    "snapshot.tail.received": "bytes a sample",
}
AGAINST_PEERS = frozenset({"snapshot.remote_read.wall", "snapshot.json.wall", "snapshot.rss"})
OURS_ALONE = frozenset({"snapshot.bytes_per_sample", "snapshot.tsdb_ratio", "snapshot.server_cpu"})
GROWTH = frozenset({"snapshot.growth_10x", "snapshot.growth_10x.rss"})
TAIL = frozenset({"snapshot.tail.cpu", "snapshot.tail.received"})
APPENDS, APPEND_S = 11, 60


@dataclass(slots=True)
class Race:
    """What one of those who run in turn needed."""

    ended: list[Ended] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)
    out: Path = Path()
    """What the last round wrote."""

    @property
    def wall_s(self) -> float:
        """Median, in seconds."""
        return statistics.median(one.wall_s for one in self.ended)

    @property
    def rss_bytes(self) -> int:
        """The largest of all rounds."""
        return max(one.rss_bytes for one in self.ended)

    @property
    def server_s(self) -> float:
        """Median of the server's processor time, in seconds."""
        return statistics.median(self.server_cpu_s)

    def run(self, server: Prometheus, argv: Sequence[str], out: Path, home: Path) -> None:
        """One round, into a new folder *out*."""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        self.out = out
        before_s = server.cpu_s()
        self.ended.append(launched(argv, home))
        self.server_cpu_s.append(server.cpu_s() - before_s)


@dataclass(frozen=True, slots=True)
class Served:
    """A history behind a running server, and a folder on the same disk."""

    history: Built
    server: Prometheus
    folder: Path

    def ours(self, way: str, out: Path) -> list[str]:
        """Our command line for all of it."""
        return ours(self.server.url, self.history.recipe, way, out / "store")


@contextmanager
def served(recipe: Recipe) -> Iterator[Served]:
    """A real server on the blocks of *recipe*."""
    history = built(recipe)
    with tempfile.TemporaryDirectory(dir=FIGURES.parent, prefix="snapshot-") as name:
        folder = Path(name)
        history.linked(folder / "data")
        with Prometheus(folder, flags=FLAGS) as server:
            yield Served(history, server, folder)


def told(wrong: Sequence[str], whose: str) -> bool:
    """Whether nothing is *wrong*; says what is, on standard error."""
    for text in wrong[:5]:
        print(f"  {whose}: {text}", file=sys.stderr)
    return not wrong


def raced(one: Served, peers: Path | None, ways: Mapping[str, str]) -> tuple[dict[str, Race], list[float]]:
    """All in turn, round by round; and the server's processor time of an uncompressed ``query_range`` over the same, each round."""
    recipe, url = one.history.recipe, one.server.url
    acts: dict[str, Callable[[Path], list[str]]] = {name: functools.partial(one.ours, way) for name, way in ways.items()}
    if peers is not None:
        acts |= {peer.name: functools.partial(peer.argv, peers, url, SELECTOR, START_MS, recipe.end_ms) for peer in PEERS}
    races = {name: Race() for name in acts}
    asked_s = []
    for _ in range(ROUNDS):
        for number, (name, act) in enumerate(acts.items()):
            out = one.folder / f"out-{number}"
            races[name].run(one.server, act(out), out, one.folder)
        asked_s.append(range_query_cpu_s(one.server, recipe))
    for name, race in races.items():
        walls = " ".join(f"{ended.wall_s:.2f}" for ended in race.ended)
        cpu_s = statistics.median(ended.cpu_s for ended in race.ended)
        figures = f"wall {walls} s, CPU {cpu_s:.2f} s, peak {race.rss_bytes / 1e6:.0f} MB, server CPU {race.server_s:.2f} s"
        print(f"  {name}: {figures}", file=sys.stderr)
    return races, asked_s


def range_query_cpu_s(server: Prometheus, recipe: Recipe) -> float:
    """What an uncompressed ``query_range`` over the whole history costs the server."""
    parameters = {"query": SELECTOR, "start": START_MS // 1000, "end": recipe.end_ms // 1000, "step": recipe.step_s}
    address = f"{server.url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    request = urllib.request.Request(address, headers={"Accept-Encoding": "identity"})
    before_s = server.cpu_s()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as reply:
        while reply.read(1 << 20):
            pass
    return server.cpu_s() - before_s


def dump_unlike(data: Path, courses: Sequence[Course]) -> list[str]:
    """What Prometheus' own tool reads in the database *data*, be it in use, that is not as in *courses*."""
    with subprocess.Popen(["promtool", "tsdb", "dump", str(data)], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        found = dumped(tool.stdout)
    return differing(found, courses) if tool.returncode == 0 else [f"it ended with {tool.returncode}"]


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Only what is asked for is run: the peers take minutes."""
    if not binaries() or shutil.which("promtool") is None:
        print("  there is no Prometheus with its promtool on PATH: not measured", file=sys.stderr)
        yield from (made(name, None, UNITS[name], machine=machine(), goal=GOALS[name]) for name in GOALS if name in only)
        return
    if only & (AGAINST_PEERS | OURS_ALONE | TAIL):
        with served(Recipe()) as one:
            if only & (AGAINST_PEERS | OURS_ALONE):
                yield from (row for row in against(one, with_peers=bool(only & AGAINST_PEERS)) if row.name in only)
            if only & TAIL:
                yield from (row for row in appended(one) if row.name in only)
    if only & GROWTH:
        yield from (row for row in grown() if row.name in only)


def against(one: Served, *, with_peers: bool) -> Iterator[Row]:
    """Time, memory, size, and what it costs the server; ours in both ways."""
    courses, recipe = one.history.recipe.courses(), one.history.recipe
    peers = _peers() if with_peers else None
    races, asked_s = raced(one, peers, WAYS)
    sound = told(dump_unlike(one.server.data, courses), "promtool tsdb dump")
    sound &= all(told(recording_unlike(recording_in(races[name].out), courses), f"ours by {way}") for name, way in WAYS.items())
    rivals = [
        (races[peer.name], json.loads(races[peer.name].ended[-1].said)["call"], peer)
        for peer in (PEERS if peers is not None else ())
        if told(peer.unlike(races[peer.name].out, courses, START_MS, recipe.end_ms), peer.name)
    ]
    best = min(rivals, key=lambda rival: rival[0].wall_s, default=None)
    smallest = min(rivals, key=lambda rival: rival[0].rss_bytes, default=None)
    fastest = None if best is None else Peer(best[1], best[0].wall_s)
    leanest = None if smallest is None else Peer(smallest[1], smallest[0].rss_bytes)
    for name in WAYS:
        yield _row(f"snapshot.{name}.wall", races[name].wall_s, peer=fastest, sound=sound)
    yield _row("snapshot.rss", max(races[name].rss_bytes for name in WAYS), peer=leanest, sound=sound)
    size = max(recording_bytes(recording_in(races[name].out)) for name in WAYS)
    yield _row("snapshot.bytes_per_sample", size / one.history.samples, sound=sound)
    database = Peer(f"Prometheus {default_binary().text}: chunks and indexes of its blocks", one.history.tsdb_bytes)
    yield _row("snapshot.tsdb_ratio", size, peer=database, sound=sound)
    call = f"Prometheus {default_binary().text}: GET /api/v1/query_range?query={SELECTOR}&start=START&end=END&step={recipe.step_s}"
    asked = Peer(f"{call} (Accept-Encoding: identity)", statistics.median(asked_s))
    yield _row("snapshot.server_cpu", races["remote_read"].server_s, peer=asked, sound=sound)


def _peers() -> Path | None:
    try:
        return peers_python()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"  the peers cannot be installed: {error}", file=sys.stderr)
        return None


def _row(name: str, value: float, *, peer: Peer | None = None, sound: bool = True) -> Row:
    return made(name, value, UNITS[name], machine=machine(), goal=GOALS[name], peer=peer, sound=sound)


def grown() -> Iterator[Row]:
    """Ten times as long: time against the shorter one in turn, and memory; what was written is compared in both."""
    with served(Recipe()) as short, served(Recipe(hours=60)) as long:
        races = {"short": Race(), "long": Race()}
        for _ in range(ROUNDS):
            for (name, race), one in zip(races.items(), (short, long), strict=True):
                out = one.folder / name
                race.run(one.server, one.ours(WAYS["remote_read"], out), out, one.folder)
        sound = all(
            told(recording_unlike(recording_in(race.out), one.history.recipe.courses()), f"ours, {name}")
            for (name, race), one in zip(races.items(), (short, long), strict=True)
        )
    for name, race in races.items():
        print(
            f"  {name}: wall {' '.join(f'{ended.wall_s:.2f}' for ended in race.ended)} s, peak {race.rss_bytes / 1e6:.0f} MB",
            file=sys.stderr,
        )
    yield _row("snapshot.growth_10x", races["long"].wall_s / races["short"].wall_s, sound=sound)
    yield _row("snapshot.growth_10x.rss", races["long"].rss_bytes, sound=sound)


def appended(one: Served) -> tuple[Row, ...]:
    """One append of a minute to a recording that goes on; the first one, which imports and makes all series, does not count."""
    client = Client(DirectAdapter(Access(one.server.url)))
    folder = one.folder / "appended"
    writer = WindowWriter(folder)
    export = Export(client, client.facts(), (parse_selector(SELECTOR),), writer)
    spent, received = [], []
    for number in range(APPENDS):
        start_ms = START_MS + 1000 * APPEND_S * number
        before_s, before_bytes = time.process_time(), client.received_bytes
        export.window(start_ms, start_ms + 1000 * APPEND_S - 1)
        spent.append(time.process_time() - before_s)
        received.append(client.received_bytes - before_bytes)
    writer.close()
    end_ms = START_MS + 1000 * APPEND_S * APPENDS - 1
    sound = told(recording_unlike(folder, [course.between(START_MS, end_ms) for course in one.history.recipe.courses()]), "appended")
    samples = one.history.samples * APPEND_S / (one.history.recipe.hours * 3600)
    return (
        _row("snapshot.tail.cpu", statistics.median(spent[1:]), sound=sound),
        _row("snapshot.tail.received", statistics.median(received[1:]) / samples, sound=sound),
    )
