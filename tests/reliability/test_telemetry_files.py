"""What lies on disk: flipped bytes, mutilated files, and addresses that a document might name."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import DocumentError, StorageError
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.targets import Target
from tests.telemetry.exporters import ok, serving
from tests.telemetry.source_contract import until

FLIPS = 40


@pytest.fixture
def recording(tmp_path: Path, rng: random.Random) -> Path:
    """Five chunks of 60 series."""
    writer = ChunkWriter(tmp_path / "recording")
    for step in range(5):
        numbers = [writer.table.number("service", "orders", "m", {"le": str(number)}) for number in range(20 + 10 * step)]
        for moment in range(3):
            writer.add(1_700_000_000_000 + (3 * step + moment) * 1000, numbers, [rng.random() for _ in numbers])
        writer.flush()
    writer.close()
    return writer.folder


def read_all(folder: Path) -> None:
    read_series(folder)
    read_samples(folder)


@pytest.mark.parametrize("kind", ["samples/*.parquet", "series/*.parquet", "chunks.jsonl"])
def test_one_flipped_byte_is_noticed(ledger: Any, rng: random.Random, recording: Path, kind: str) -> None:
    """Any byte of any file, to any other value: reading stops and names the file."""
    caught = 0
    for _ in range(FLIPS):
        path = rng.choice(sorted(recording.glob(kind)))
        good = path.read_bytes()
        bad = bytearray(good)
        place = rng.randrange(len(bad))
        bad[place] ^= rng.randrange(1, 256)
        path.write_bytes(bad)
        try:
            read_all(recording)
            noticed = False
        except StorageError as error:
            noticed = path.name in str(error) or "ledger" in str(error)
        path.write_bytes(good)
        caught += noticed
        ledger.count(row=14, fault="one byte of a recording's samples flipped", survived=noticed, figure=f"caught {caught} of this kind")
        assert noticed, (path.name, place)
    read_all(recording)


READER = """
import random, resource, sys
from pathlib import Path
from tasks.base.errors import StorageError
from tasks.telemetry.columns import read_columns, read_series_file
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
rng = random.Random(sys.argv[2])
folder = Path(sys.argv[1])
read = {"samples": read_columns, "series": read_series_file}
clean = 0
for _ in range(int(sys.argv[3])):
    kind = rng.choice(["samples", "series"])
    raw = bytearray((folder / kind / "000001.parquet").read_bytes())
    for _ in range(rng.choice([1, 1, 4, 50])):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    if rng.random() < 0.3:
        del raw[rng.randrange(len(raw)):]
    if rng.random() < 0.2:
        at = rng.randrange(len(raw) + 1)
        raw[at:at] = rng.randbytes(rng.randrange(1, 64))
    path = folder / "mutilated.parquet"
    path.write_bytes(raw)
    try:
        read[kind](path)
    except StorageError:
        pass
    clean += 1
print(clean)
"""


@pytest.mark.timeout(300)
def test_mutilated_files_end_in_a_clean_error(ledger: Any, seed: int, recording: Path) -> None:
    """A thousand foreign files that are almost Parquet, read without the help of a ledger: no crash, no memory taken."""
    for part in range(10):
        done = subprocess.run(
            [sys.executable, "-c", READER, str(recording), f"{seed}:{part}", "100"], capture_output=True, text=True, check=False
        )
        survived = done.stdout.strip() == "100"
        for _ in range(100):
            ledger.count(
                row=40, fault="mutilated chunk or series file", survived=survived, figure=f"last reader ended with {done.returncode}"
            )
        assert survived, done.stderr[-2000:]


REFUSED = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "ftp://127.0.0.1/",
    "http://user:secret@127.0.0.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]:{port}/",
    "http://metadata.google.internal/",
    "http://0.0.0.0:{port}/",
    "http://127.0.0.1:{port}@example.com/",
    "http://127.0.0.1:{port}/\r\nHost: example.com",
    "unix:///run/x.sock",
    "data:text/plain,up 1",
]


def test_no_address_leads_elsewhere(ledger: Any, tmp_path: Path) -> None:
    """Addresses that a metrics page never has are refused before a request is made; a redirect is answered by nobody."""
    with serving(ok("a 1\n")) as other:
        for address in REFUSED:
            wanted = ScrapePlan(tmp_path / "out", (Target("a", "service", address.format(port=other.port)),))
            survived = _refused(lambda wanted=wanted: Collector.start(wanted)) and not other.heads
            ledger.count(
                row=36, fault="address of another kind or host", survived=survived, figure=f"{len(other.heads)} requests went elsewhere"
            )
            assert survived, address
        moved = f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(moved) as target:
            collector = Collector.start(ScrapePlan(tmp_path / "moved", (Target("a", "service", target.url),), 0.1, 0.1, 0.1))
            until(lambda: len(target.heads) >= 3)
            collector.stop()
        ledger.count(
            row=36, fault="redirect to another server", survived=not other.heads, figure=f"{len(other.heads)} requests went elsewhere"
        )
        assert other.heads == []


def _refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except DocumentError as error:
        return "secret" not in str(error)
    return False
