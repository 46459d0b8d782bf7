"""The collector as the process it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import DocumentError, LockedError, PreflightError
from tasks.base.process import ProcessId
from tasks.telemetry.certificate import certify
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.series import Role
from tasks.telemetry.source import TelemetrySource
from tasks.telemetry.targets import Target
from tests.telemetry.exporters import ok, serving
from tests.telemetry.source_contract import SourceContract, until

PAGE = ok('# TYPE a counter\na_total{x="1"} 5\nb 2.5\n')


def plan(out: Path, *urls: str, role: Role = "service", interval_s: float = 0.2) -> ScrapePlan:
    targets = tuple(Target(f"t{number}", role, url) for number, url in enumerate(urls))
    return ScrapePlan(out, targets, interval_s=interval_s, timeout_s=interval_s, flush_s=interval_s)


@contextmanager
def collecting(wanted: ScrapePlan) -> Iterator[Collector]:
    collector = Collector.start(wanted)
    try:
        yield collector
    finally:
        collector.stop()


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "collector-events.jsonl").read_text().splitlines()]


class TestCollectorIsASource(SourceContract):
    """The scraping source keeps the contract of all sources."""

    @contextmanager
    def started(self, out: Path) -> Iterator[TelemetrySource]:
        """A collector on one target."""
        with serving(PAGE) as exporter, collecting(plan(out, exporter.url)) as collector:
            yield collector

    def process(self, source: TelemetrySource) -> ProcessId:
        """The collector's own."""
        assert isinstance(source, Collector)
        assert source.process is not None
        return source.process


def test_a_regular_recording_is_complete(tmp_path: Path) -> None:
    """Every tick gives one scrape of every target; each sample exposed is there; no gap, no reset, nothing twice."""
    with serving(PAGE) as a, serving(PAGE) as b:
        with collecting(plan(tmp_path, a.url, b.url)) as collector:
            until(lambda: collector.status().chunk >= 5)
            status = collector.stop()
        answered = len(a.heads)

    found = certify(read_series(tmp_path), read_samples(tmp_path), interval_s=0.2)

    assert (found.targets, found.scrapes_failed, found.duplicates, found.out_of_order, found.counter_resets) == (2, 0, 0, 0, 0)
    assert found.samples_found == found.samples_expected == 5 * found.scrapes_found
    assert answered - 1 <= found.scrapes_found / 2 <= answered
    assert found.scrapes_found == found.scrapes_expected - 2 * sum(gap.missing for gap in found.gaps)
    assert (status.down, status.restarts) == ({}, 0)
    assert 0 < status.cpu_s < 30
    assert 20e6 < status.rss_bytes < 200e6
    assert (tmp_path / "collector.log").read_text() == ""


def test_a_target_that_dies_is_told_and_recorded_as_down(tmp_path: Path) -> None:
    """``up`` turns 0 and 1 again, with an event each time; the other target does not suffer."""
    with serving(PAGE) as well:
        with serving(PAGE) as ill:
            port = ill.port
            collector = Collector.start(plan(tmp_path, well.url, ill.url))
            until(lambda: collector.status().chunk >= 1)
        ill.answer = lambda _, send: False
        until(lambda: "t1" in collector.status().down)
        with serving(PAGE, port=port):
            until(lambda: "t1" not in collector.status().down)
            collector.stop()

    series, samples = read_series(tmp_path), read_samples(tmp_path)
    up = {one.service: samples.value[samples.series == one.id].tolist() for one in series if one.name == "up"}
    assert set(up["t0"]) == {1.0}
    assert set(up["t1"]) == {0.0, 1.0}
    assert (up["t1"][0], up["t1"][-1]) == (1.0, 1.0)
    assert [event["kind"] for event in events(tmp_path)] == ["started", "target_down", "target_up", "stopped"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_flushes_and_ends_it(tmp_path: Path, signum: int) -> None:
    """What was scraped but not yet committed is written, however long the flush interval; exit code 0."""
    with serving(PAGE) as exporter:
        ScrapePlan(tmp_path, (Target("a", "service", exporter.url),), 0.1, 0.1, flush_s=3600).write(tmp_path / "config.json")
        child = subprocess.Popen([sys.executable, "-m", "tasks.telemetry.collect", str(tmp_path / "config.json")])
        until(lambda: len(exporter.heads) >= 3)
        child.send_signal(signum)

        assert child.wait(20) == 0

    assert len(read_samples(tmp_path).series) >= 2 * 5


def test_it_uses_neither_pandas_nor_pydantic(tmp_path: Path) -> None:
    """Writing and reading chunks stays light."""
    code = (
        "import sys; from pathlib import Path; import tasks.telemetry.collect; from tasks.telemetry.chunks import ChunkWriter;"
        "from tasks.telemetry.samples import read_samples, read_series; out = Path(sys.argv[1]); w = ChunkWriter(out);"
        "w.add(1, [w.table.number('service', 's', 'm', {'a': 'b'})], [1.0]); w.flush(); read_samples(out); read_series(out);"
        "print([m for m in ('pandas', 'pydantic', 'prefect', 'httpx') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "change",
    [
        {"targets": []},
        {"targets": [{"name": "a", "role": "service", "url": "http://example.com/"}]},
        {"targets": [{"name": "a", "role": "service", "url": "http://127.0.0.1/"}] * 2},
        {"targets": [{"name": "a"}]},
        {"interval_s": 0},
        {"interval_s": "NaN"},
        {"timeout_s": 2},
        {"flush_s": None},
        {"speed": 1},
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """The plan is checked before anything is written, in the process as in the caller."""
    good = plan(tmp_path / "out", "http://127.0.0.1:1/").to_json()

    with pytest.raises(DocumentError):
        ScrapePlan.from_json({**good, **change})

    assert not (tmp_path / "out").exists()


def test_it_says_in_one_sentence_why_it_refuses(tmp_path: Path) -> None:
    """Exit code 2 for a wrong configuration, 7 for a folder that is taken; no traceback."""
    (tmp_path / "wrong.json").write_text('{"out": "x"}')
    out = tmp_path / "out"
    taken = ChunkWriter(out)
    plan(out, "http://127.0.0.1:1/").write(tmp_path / "taken.json")

    results = [
        subprocess.run([sys.executable, "-m", "tasks.telemetry.collect", str(tmp_path / name)], capture_output=True, text=True, check=False)
        for name in ("wrong.json", "taken.json")
    ]
    taken.close()

    assert [one.returncode for one in results] == [2, 7]
    assert all(one.stderr and "Traceback" not in one.stderr and not one.stdout for one in results)


def test_keep_tells_a_refusal_apart_from_a_crash(tmp_path: Path) -> None:
    """A collector that cannot have its folder is not started over and over."""
    taken = ChunkWriter(tmp_path)
    collector = Collector.start(plan(tmp_path, "http://127.0.0.1:1/"))
    until(lambda: not collector.status().alive)

    with pytest.raises(LockedError, match="another process"):
        collector.keep()
    taken.close()


def test_ready_waits_for_the_first_chunk(tmp_path: Path) -> None:
    """It returns once samples are on disk, and says so when that takes too long."""
    with serving(PAGE) as exporter, collecting(plan(tmp_path / "a", exporter.url)) as collector:
        assert collector.ready().chunk >= 1
    slow = ScrapePlan(tmp_path / "b", (Target("a", "service", "http://127.0.0.1:1/"),), flush_s=3600)
    with collecting(slow) as collector, pytest.raises(PreflightError, match="wrote nothing"):
        collector.ready(timeout_s=0.1)


def test_the_collector_dies_with_its_owner(tmp_path: Path) -> None:
    """When the process that started it is killed -9, that leaves no collector behind."""
    plan(tmp_path / "out", "http://127.0.0.1:1/").write(tmp_path / "config.json")
    code = (
        "import sys, time; from pathlib import Path; from tasks.telemetry.plan import ScrapePlan;"
        "from tasks.telemetry.runner import Collector; c = Collector.start(ScrapePlan.read(Path(sys.argv[1])));"
        "print(c.process.pid, c.process.start_ticks, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "config.json")], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    collector = ProcessId(*map(int, owner.stdout.readline().split()))
    assert collector.alive()

    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()

    until(lambda: not collector.alive())
