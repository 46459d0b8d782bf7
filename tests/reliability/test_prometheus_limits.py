"""What a Prometheus no longer has, will not give in one piece, or tells twice: rows 3, 4, 5, 7, 10 and 13."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.base.errors import IncompleteError, PreflightError
from tasks.features.build import build
from tasks.features.config import FeaturesConfig
from tasks.recordings.sampling import require_server
from tasks.telemetry.config import PrometheusSource
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.export import SAMPLES_AT_ONCE
from tasks.telemetry.prometheus.preflight import BYTES_A_SAMPLE, require_room
from tasks.telemetry.samples import read_samples
from tests.prometheus.history import BLOCK_MS, START_MS, Course, differing, generations, jittered, write_blocks
from tests.prometheus.recorded import FOREVER, asked, command, export_to, held, imported, size
from tests.prometheus.servers import EACH_MAJOR, Prometheus

WAYS = ("remote-read", "range-json")
HOUR_MS = 3_600_000
each_major = pytest.mark.parametrize("binary", EACH_MAJOR)
each_way = pytest.mark.parametrize("way", WAYS)


def scraped(time_ms: np.ndarray, *courses: tuple[str, np.ndarray], job: str = "orders") -> list[Course]:
    """*courses* as one target shows them at *time_ms*, with what a scrape adds."""
    labels = {"job": job, "instance": "10.0.0.1:80"}
    about = {"up": 1.0, "scrape_samples_post_metric_relabeling": float(len(courses))}
    added = [(name, np.full(len(time_ms), value)) for name, value in about.items()]
    return [Course.of({"__name__": name, **labels}, time_ms, value) for name, value in (*added, *courses)]


def every(step_ms: int, length_ms: int) -> np.ndarray:
    """Scrapes every *step_ms* for *length_ms*."""
    return np.arange(START_MS, START_MS + length_ms, step_ms, dtype=np.int64)


# -- row 3: older than what the server keeps ----------------------------------------------------------------------------


def test_what_retention_took_is_told_and_nothing_is_called_whole(ledger: Any, tmp_path: Path) -> None:
    """A late import of half a day from a server that keeps four hours: exit 8, one gap over what is gone, the coverage is the true one."""
    step_ms = 10_000
    times = every(step_ms, 12 * HOUR_MS)
    courses = scraped(times, ("queue_depth", np.arange(len(times)) % 17))
    write_blocks(courses, tmp_path / "data")
    end_ms, said = int(times[-1]), list[str]()
    with Prometheus(tmp_path, flags=("--storage.tsdb.retention.time=4h",)) as server:
        kept = server.raw('{__name__!=""}', START_MS, end_ms)
        found = imported(asked(server.url, START_MS, end_ms), tmp_path / "store", said)
        gone_ms = min(int(course.time_ms[0]) for course in kept.values())
        with pytest.raises(PreflightError, match="has no sample for") as nothing:
            imported(asked(server.url, START_MS, gone_ms - 1, name="gone"), tmp_path / "store")
    certificate, facts = found.certificate, found.facts
    (gap,) = json.loads((found.folder / "gaps.json").read_bytes())["gaps"]
    true = size(kept.values()) / size(courses)
    reported = certificate["scrapes_found"] / certificate["scrapes_expected"]
    lost = [gap["missing"], (size(courses) - size(kept.values())) // len(courses)]
    survived = (
        0.1 < true < 0.9
        and differing(held(found.folder), kept.values()) == []
        and (found.record["status"], found.record["exit_code"], facts["status"]) == ("incomplete", IncompleteError.exit_code, "incomplete")
        and abs(lost[0] - lost[1]) <= 1
        and any("keeps 4 hours" in sentence for sentence in said)
        and nothing.value.exit_code == 3
    )
    figure = f"coverage reported {reported:.2%}, true {true:.2%}"
    ledger.count(row=3, fault="the server kept less than was asked for", survived=survived and abs(true - reported) < 1e-3, figure=figure)
    assert survived, (certificate, gap, said)
    assert reported == pytest.approx(true, abs=1e-3)


def test_a_plan_longer_than_the_retention_is_refused(ledger: Any, tmp_path: Path) -> None:
    """Before anything is started, with both lengths in the sentence; a plan that fits is not."""
    with Prometheus(tmp_path, flags=("--storage.tsdb.retention.time=4h",)) as server:
        source = PrometheusSource(kind="prometheus", url=server.url)
        require_server(source, 3.9 * 3600)
        for hours in (4.1, 24.0, 72.0):
            with pytest.raises(PreflightError, match=rf"keeps 4 hours, and {hours} are planned") as refused:
                require_server(source, hours * 3600)
            survived = refused.value.exit_code == 3
            ledger.count(row=3, fault="a plan longer than the retention", survived=survived)
            assert survived


# -- row 4: bounds of the server ------------------------------------------------------------------------------------------


@each_way
@each_major
def test_a_bound_on_samples_costs_none(ledger: Any, tmp_path: Path, binary: Any, way: str) -> None:
    """21,600 samples a series where a query may touch 1,000: all come, bit by bit, in little memory."""
    times = every(1000, 6 * HOUR_MS)
    courses = scraped(times, ("orders_placed_total", np.arange(len(times)) * 3.0))
    write_blocks(courses, tmp_path / "data")
    end_ms, root = int(times[-1]), tmp_path / "store"
    with Prometheus(tmp_path, binary=binary, flags=(*FOREVER, "--query.max-samples=1000")) as server:
        argv = command(server.url, START_MS, end_ms, root, "--way", way)
        code, out, rss_bytes = measured(argv, tmp_path)
    assert code in (0, 8), out
    (folder,) = (root / "artifacts" / "recording").iterdir()
    table, told = held(folder), json.loads((folder / "recording.json").read_bytes())["certificate"]["server"]
    survived = code == 0 and differing(table, courses) == [] and told["way"] == way and (told["halved"] > 0) == (way == "range-json")
    figure = f"{size(table.values()):,}/{size(courses):,} rows, peak RSS {rss_bytes / 1e6:.0f} MB"
    ledger.count(row=4, fault=f"--query.max-samples=1000, by {way}", survived=survived, figure=figure)
    assert survived, (out, told)


def measured(argv: Sequence[str], folder: Path) -> tuple[int, str, int]:
    """Exit code, words and peak memory in bytes of a command."""
    with (folder / "said").open("w+b") as said:
        child = subprocess.Popen(argv, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return child.returncode, said.read().decode(), usage.ru_maxrss * 1024


# -- row 5: borders of windows --------------------------------------------------------------------------------------------


@each_way
@each_major
def test_a_sample_on_a_border_is_there_once(ledger: Any, rng: random.Random, tmp_path: Path, binary: Any, way: str) -> None:
    """Windows cut at random, three of four times exactly on a sample: none is missing, none is there twice, and none is left out as one."""
    courses = [*jittered(), *scraped(every(5000, BLOCK_MS // 4), ("queue_depth", np.arange(360) % 17))]
    write_blocks(courses, tmp_path / "data")
    times = np.unique(np.concatenate([course.time_ms for course in courses]))
    missing = twice = 0
    with Prometheus(tmp_path, binary=binary, flags=FOREVER) as server:
        for number in range(6):
            stamps = [int(rng.choice(times)) + rng.choice((-1, 0, 0, 0)) for _ in range(rng.randrange(1, 40))]
            borders = sorted({*stamps, START_MS - 1, int(times[-1])})
            export = export_to(tmp_path / str(number), server.url, way)
            for before, end in itertools.pairwise(borders):
                export.window(before + 1, end)
            tally = export.writer.tally
            export.writer.close()
            table, again = held(tmp_path / str(number)), read_samples(tmp_path / str(number)).duplicates
            missing += size(courses) - size(table.values())
            twice += again
            survived = differing(table, courses) == [] and again == tally.late == 0 and int(tally.count.sum()) == size(courses)
            figure = f"duplicates {twice}, missing {missing}"
            ledger.count(row=5, fault=f"windows cut on samples, {binary.version[0]}.x, by {way}", survived=survived, figure=figure)
            assert survived, (borders, missing, twice)


# -- row 7: pods come and go -----------------------------------------------------------------------------------------------


def test_three_generations_of_pods_make_the_columns_of_one(ledger: Any, tmp_path: Path) -> None:
    """The same names, though every label of a place is another one; and no rate beyond the highest that a pod has."""
    courses = generations()
    first = courses[:2]
    write_blocks(courses, tmp_path / "data")
    whole_ms, one_ms = (max(int(course.time_ms[-1]) for course in some) for some in (courses, first))
    with Prometheus(tmp_path, flags=FOREVER) as server:
        three = imported(asked(server.url, START_MS, whole_ms, name="three"), tmp_path / "store")
        one = imported(asked(server.url, START_MS, one_ms, match=('{pod="orders-7c9d-abcde"}',), name="one"), tmp_path / "store")
    settings = FeaturesConfig(grid_s=5, rate_window_s=20)
    columns = [
        build(found.folder, settings, start_s=START_MS / 1000, end_s=end_ms / 1000) for found, end_ms in ((three, whole_ms), (one, one_ms))
    ]
    pods = {dict(labels)["pod"] for labels in held(three.folder)}
    differ = set(columns[0].names) ^ set(columns[1].names)
    cpu = columns[0].column("orders/cpu_cores")
    seen = cpu[~np.isnan(cpu)]
    survived = len(pods) == 3 and not differ and set(columns[0].names) >= {"orders/cpu_cores", "orders/memory_working_set_bytes"}
    ledger.count(row=7, fault="three generations of pods", survived=survived, figure=f"feature-name diff = {len(differ)}")
    assert survived, (pods, differ, columns[0].names)
    assert seen.min() >= 0
    assert seen.max() <= 1.02 * (0.10 + 0.15)  # two pods at once: .25 core-seconds each 5 s a generation


# -- row 10: what is asked for is not there --------------------------------------------------------------------------------


def test_a_metric_that_is_not_there_is_named(ledger: Any, tmp_path: Path) -> None:
    """The server says ``success`` to a name that it never heard of; the import says which, ends with 3, and leaves no recording."""
    times = every(5000, HOUR_MS // 4)
    write_blocks(scraped(times, ("queue_depth", np.ones(len(times)))), tmp_path / "data")
    with Prometheus(tmp_path, flags=FOREVER) as server:
        for number, text in enumerate(("queue_depht", '{job="order"}', 'queue_depth{job!="orders"}', '{__name__=~"request_.*"}')):
            root = tmp_path / f"store{number}"
            argv = command(server.url, START_MS, int(times[-1]), root, "--match", "queue_depth", "--match", text)
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            said = json.loads(done.stdout)
            survived = (
                done.returncode == said["exit_code"] == 3
                and f"has no sample for {text} in" in said["error"]
                and bool(said["next"])
                and not list((root / "artifacts").rglob("recording.json"))
            )
            ledger.count(row=10, fault="a required metric is missing or was renamed", survived=survived, figure="0 minutes: before the end")
            assert survived, done


# -- row 13: room on the disk ----------------------------------------------------------------------------------------------


def disk(free: int) -> Any:
    """The answer of ``shutil.disk_usage``."""
    return lambda _: type("Usage", (), {"free": free})()


def test_too_little_space_is_refused_before_the_first_sample(ledger: Any, tmp_path: Path) -> None:
    """By what the server says that it scraped; the estimate times 1.5 is never below what the import takes."""
    rng = np.random.default_rng(5)
    times = every(1000, 2 * HOUR_MS)
    walk = np.round(np.cumsum(rng.normal(size=(20, len(times))), axis=1), 2)
    counts = np.cumsum(rng.integers(0, 9, (40, len(times))), axis=1).astype(np.float64)
    courses = scraped(times, *((f"gauge_{number}", values) for number, values in enumerate(walk)))
    courses += scraped(times, *((f"events_{number}_total", values) for number, values in enumerate(counts)), job="cart")
    write_blocks(courses, tmp_path / "data")
    span = asked("http://127.0.0.1:1", START_MS - 1, int(times[-1])).span
    with Prometheus(tmp_path, flags=FOREVER) as server:
        told = Client(DirectAdapter(asked(server.url, START_MS, int(times[-1])).access)).scraped_samples(span)
        found = imported(asked(server.url, START_MS, int(times[-1])), tmp_path / "store")
    samples = size(course for course in courses if dict(course.labels)["__name__"] not in ("up", "scrape_samples_post_metric_relabeling"))
    taken = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    estimate = (told or 0) * BYTES_A_SAMPLE
    with pytest.raises(PreflightError, match="are free at") as refused:
        require_room(tmp_path, told, disk(int(1.5 * estimate) - 1))
    require_room(tmp_path, told, disk(int(1.5 * estimate) + 1))
    survived = told == samples and refused.value.exit_code == 3 and taken <= 1.5 * estimate
    figure = f"estimate {100 * (estimate / taken - 1):+.0f} %"
    ledger.count(row=13, fault="too little free space", survived=survived, figure=figure)
    assert survived, (told, samples, taken, estimate)
    assert samples < SAMPLES_AT_ONCE
