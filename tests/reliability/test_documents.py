"""Rows 13 and 33: documents that must be refused, quickly and in little memory, and plans that the disk has no room for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.checks import DISK_FACTOR, checks, disk
from flows.document import load_document
from flows.timeline import timeline
from tasks.artifacts.store import Store
from tests.conftest import ROOT
from tests.document.menagerie import ZOO, bombs, expected

LIMIT_BYTES = 200_000_000
LIMIT_S = 1.0
EXPECTED = expected()
Usage = namedtuple("Usage", "total used free")


@dataclass(frozen=True)
class Checked:
    """How ``tidegauge check`` ended, what it said, and what it cost."""

    code: int
    err: str
    processor_s: float
    peak_bytes: int


LAUNCHER = """
import json, os, resource, subprocess, sys
limit, out, argv = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
with open(out, "wb") as sink:
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=sink)
    _, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
"""
"""Stands between: the kernel counts the size of whoever starts a program as a peak of the program, and a test session is large."""


def check(path: Path, tmp_path: Path, limit_bytes: int = LIMIT_BYTES, argv: tuple[str, ...] = ("-m", "flows.cli", "check")) -> Checked:
    """Run it in a process that gets no more memory than it may use, and count its processor time (the machine may be busy)."""
    said = tmp_path / "said"
    command = [sys.executable, "-c", LAUNCHER, str(limit_bytes), str(said), sys.executable, *argv, path.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, check=True, capture_output=True, text=True, cwd=path.parent, env=environment)
    code, processor_s, peak_bytes = json.loads(ran.stdout)
    return Checked(code, said.read_text(), processor_s, peak_bytes)


def test_the_peak_is_that_of_the_program_alone(tmp_path):
    """However large this session is: a program that does little is small, and one that takes 80 MB is seen to."""
    ballast = bytearray(b"x" * (300 << 20))

    idle = check(tmp_path / "x", tmp_path, argv=("-c", "pass"))
    greedy = check(tmp_path / "x", tmp_path, argv=("-c", "x = b'x' * (80 << 20)"))

    assert len(ballast) == 300 << 20
    assert idle.peak_bytes < 40 << 20
    assert 80 << 20 < greedy.peak_bytes < 130 << 20


def start_s(tmp_path: Path) -> float:
    """Processor time of a check that finds nothing wrong, the best of three: what any check costs on this machine now."""
    path = tmp_path / "good.yaml"
    shutil.copy(ROOT / "configs" / "quick.yaml", path)
    return min(check(path, tmp_path).processor_s for _ in range(3))


@pytest.mark.timeout(600)
def test_every_bad_document_is_refused(ledger, tmp_path):
    """The whole zoo, each in a process of its own: exit 2, every mistake with file, line and column, in time, in memory, no traceback."""
    shutil.copytree(ZOO, tmp_path / "zoo")
    cost_s, refused, slowest = start_s(tmp_path), 0, 0.0
    for name, mistakes in EXPECTED.items():
        found = check(tmp_path / "zoo" / f"{name}.yaml", tmp_path)
        told = all(f"  {name}.yaml:{mistake}\n" in found.err for mistake in mistakes)
        cheap = found.processor_s - cost_s < LIMIT_S and found.peak_bytes < LIMIT_BYTES
        survived = found.code == 2 and told and cheap and "Traceback" not in found.err and "tidegauge: unexpected" not in found.err
        refused, slowest = refused + survived, max(slowest, found.processor_s)
        figure = f"refused {refused}/{len(EXPECTED)}; slowest {slowest:.2f} s"
        ledger.count(row=33, fault="a bad document", survived=survived, figure=figure)
        assert survived, (name, found)


@pytest.mark.timeout(600)
def test_every_bomb_is_refused(ledger, tmp_path):
    """Fifty megabytes, thousands of levels, keys or anchors, a billion laughs: refused before they are read whole."""
    cost_s, slowest, largest = start_s(tmp_path), 0.0, 0
    (tmp_path / "bombs").mkdir()
    for path in bombs(tmp_path / "bombs"):
        found = check(path, tmp_path)
        cheap = found.processor_s - cost_s < LIMIT_S and found.peak_bytes < LIMIT_BYTES
        survived = (
            found.code == 2
            and f"{path.name}:" in found.err
            and cheap
            and "tidegauge: unexpected" not in found.err
            and len(found.err) < 50_000
        )
        slowest, largest = max(slowest, found.processor_s), max(largest, found.peak_bytes)
        figure = f"{slowest:.2f} s, {largest / 1e6:.0f} MB at most"
        ledger.count(row=33, fault="a document that is a bomb", survived=survived, figure=figure)
        assert survived, (path.name, found.code, found.processor_s, found.peak_bytes, found.err[:500])


def test_a_full_disk_is_refused_before_anything_starts(ledger, tmp_path):
    """Free space just below one and a half times the estimate fails, with a way out; just above it does not."""
    made = timeline(load_document(ROOT / "configs" / "demo.yaml"), "demo.yaml")
    needed = made.disk_bytes * DISK_FACTOR
    for free, state in ((0, "fail"), (int(needed) - 1, "fail"), (int(needed) + 1, "warn"), (int(needed) + 10**10, "ok")):
        found = disk(tmp_path, made.disk_bytes, lambda _, free=free: Usage(10**12, 0, free))
        survived = found.state == state and (found.state != "fail" or bool(found.fix))
        ledger.count(row=13, fault="too little free space", survived=survived)
        assert survived, found


def test_doctor_looks_at_the_disk_for_the_document(tmp_path, monkeypatch):
    """Its last line is the disk, measured against the plan of the document."""
    document = tmp_path / "big.yaml"
    text = (ROOT / "configs" / "baseline-long.yaml").read_text().replace("14400", "2592000")
    document.write_text(text)
    monkeypatch.setattr("flows.checks.disk", lambda store, needed, usage=None: disk(store, needed, lambda _: Usage(10**9, 0, 10**9)))

    found = checks(document, tmp_path / "store")[-1]

    assert (found.name, found.state) == ("disk", "fail")
    assert "the plan needs" in found.text


@pytest.mark.timeout(240)
def test_the_estimate_is_that_of_a_real_shop(ledger, tmp_path):
    """A real recording of some seconds: as many samples as planned, within a quarter, and no more bytes than doctor would ask for."""
    document = tmp_path / "short.yaml"
    text = (ROOT / "configs" / "quick.yaml").read_text()
    head, _, tail = text.partition("recordings:")
    rest = tail[tail.index("features:") :]
    document.write_text(f"{head}recordings:\n  - {{name: training, role: training, duration_s: 14, warmup_s: 6}}\n{rest}")
    made = timeline(load_document(document), str(document))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    argv = [sys.executable, "-m", "flows.cli", "record", str(document), "--store", str(tmp_path / "store"), "--quiet"]

    ran = subprocess.run(argv, check=False, capture_output=True, text=True, env=kept | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)})

    store = Store(tmp_path / "store")
    (recording,) = [store.open(ref) for ref in store.refs() if ref.kind == "recording"]
    samples = json.loads(recording.file("recording.json").read_text())["samples"]
    error = made.samples / samples - 1
    survived = ran.returncode in (0, 8) and abs(error) < 0.25 and recording.bytes < made.disk_bytes * DISK_FACTOR
    ledger.count(row=13, fault="an estimate of samples", survived=survived, figure=f"estimate error {100 * error:+.0f} %")
    assert survived, (made.samples, samples, recording.bytes, ran.stderr)
