"""Following the output of a process: every line once, whatever the pieces, and a full disk costs nothing that was kept."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.cluster.logs import BACKLOG_BYTES, LINE_BYTES, Tail, last_lines


def kept(folder: Path, name: str = "orders") -> list[bytes]:
    """The lines kept so far, without their times."""
    return [line.partition(b"\t")[2] for line in gzip.decompress((folder / f"{name}.log.gz").read_bytes()).splitlines()]


@given(st.lists(st.binary(max_size=20), max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pieces_make_no_difference(tmp_path, pieces):
    """However the output is cut, its lines are those of the whole; bytes are kept as they are."""
    tail = Tail(tmp_path, "orders")
    for piece in pieces:
        os.write(tail.sink, piece)
        tail.poll()
    tail.close()
    whole = gzip.decompress((tmp_path / "orders.log.gz").read_bytes()) if any(pieces) else b""
    lines = b"".join(pieces).split(b"\n")

    assert [line.partition(b"\t")[2] for line in whole.split(b"\n")[:-1]] == (lines if lines[-1] else lines[:-1])
    assert not tail.raw.exists()


def test_space_of_what_was_kept_is_given_back(tmp_path):
    """The plain file keeps its length and loses its blocks, while the process goes on writing to it."""
    tail = Tail(tmp_path, "orders")
    for number in range(8):
        os.write(tail.sink, b"%07d\n" % number * 40_000)
        tail.poll()
    tail.flush()
    os.write(tail.sink, b"more\n")
    blocks = tail.raw.stat().st_blocks * 512
    tail.close()

    assert blocks < 2_000_000 or blocks >= 8 * 320_000  # the second: this file system cannot make holes
    assert len(kept(tmp_path)) == 8 * 40_000 + 1


def test_a_line_without_end_is_cut(tmp_path):
    """A process cannot make the supervisor hold its output in memory."""
    tail = Tail(tmp_path, "orders")
    os.write(tail.sink, b"x" * (2 * LINE_BYTES + 5))
    tail.poll()
    tail.close()

    assert [len(line) for line in kept(tmp_path)] == [LINE_BYTES, LINE_BYTES, 5]


def test_output_that_comes_too_fast_is_left_out_and_said(tmp_path):
    """What could not be followed is counted, in the log and beside it."""
    tail = Tail(tmp_path, "orders")
    os.ftruncate(tail.sink, BACKLOG_BYTES + 100)
    os.write(tail.sink, b"\nlast\n")
    tail.close()
    lines = kept(tmp_path)

    assert tail.left_out_bytes > 0
    assert lines[0] == b"[tidegauge: %d bytes of output were left out; it came faster than it could be kept]" % tail.left_out_bytes
    assert lines[-1] == b"last"


def test_the_next_life_begins_an_empty_file(tmp_path):
    """What the last life wrote is kept once; the new one appends to the same archive."""
    tail = Tail(tmp_path, "orders")
    os.write(tail.sink, b"first\nunfinished")
    tail.renew()
    os.write(tail.sink, b"second\n")
    tail.close()

    assert kept(tmp_path) == [b"first", b"unfinished", b"second"]
    assert list(tail.recent) == ["first", "unfinished", "second"]


def test_a_torn_archive_is_read_to_its_tear(tmp_path):
    """Members before the last one are whole even when the supervisor died while writing."""
    tail = Tail(tmp_path, "orders")
    os.write(tail.sink, b"one\n")
    tail.drain()
    with (tmp_path / "orders.log.gz").open("ab") as file:
        file.write(gzip.compress(b"1\ttwo\n")[:-3])

    assert last_lines(tmp_path, "orders")[:1] == ["one"]
    assert last_lines(tmp_path, "absent") == []


def test_a_full_disk_keeps_what_was_kept(tmp_path):
    """A write that fails half-way is taken back; the lines wait, and are written when there is space again."""
    code = """
import os, resource, signal, sys
from pathlib import Path
from tasks.cluster.logs import Tail
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tail = Tail(Path(sys.argv[1]), "orders")
os.write(tail.sink, b"before\\n")
tail.drain()
size = tail.kept.stat().st_size
os.write(tail.sink, b"%s\\n" % os.urandom(2000).hex().encode())
tail.poll()
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
tail.flush()
assert tail.kept.stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.write(tail.sink, b"after\\n")
tail.close()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    lines = kept(tmp_path)

    assert (lines[0], len(lines[1]), lines[2]) == (b"before", 4000, b"after")


def test_a_line_carries_the_time_it_was_written_at(tmp_path):
    """The stamp is the file's time of change, not the moment of looking."""
    tail = Tail(tmp_path, "orders")
    os.write(tail.sink, b"early\n")
    wrote_ms = time.time() * 1000
    os.utime(tail.sink, (1_700_000_000, 1_700_000_000))
    tail.drain()
    stamp = int(gzip.decompress(tail.kept.read_bytes()).partition(b"\t")[0])

    assert stamp == 1_700_000_000_000 < wrote_ms


@pytest.mark.parametrize("name", ["orders", "orders-db"])
def test_an_earlier_deployments_log_is_begun_anew(tmp_path, name):
    """A folder that is used again does not mix two deployments in one file."""
    for word in (b"old\n", b"new\n"):
        tail = Tail(tmp_path, name)
        os.write(tail.sink, word)
        tail.close()

    assert kept(tmp_path, name) == [b"new"]
