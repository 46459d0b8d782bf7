"""A reader never sees half a file, whatever happens to the writer."""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import StorageError
from tasks.base.files import canonical_json, read_json, sha256_file, sha256_text, storage_error, write_atomically, write_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@contextmanager
def full_disk(limit):
    """No file of this process may grow beyond *limit* bytes: what a full disk looks like without root."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path):
    """Exit code 6, the old bytes, nothing half-written beside them; with room again it works."""
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    with full_disk(100), pytest.raises(StorageError) as caught:
        write_atomically(path, b"x" * 1000)

    assert caught.value.exit_code == 6
    assert "no space left" in caught.value.message
    assert caught.value.next_step
    assert read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    write_atomically(path, b"x" * 1000)
    assert path.read_bytes() == b"x" * 1000


def test_a_reader_sees_only_whole_files(tmp_path):
    """While one thread replaces the file again and again, every read is one of the whole contents."""
    path = tmp_path / "a"
    contents = [bytes([letter]) * 100_000 for letter in b"abc"]
    write_atomically(path, contents[0])
    done = threading.Event()

    def write():
        for turn in range(150):
            write_atomically(path, contents[turn % 3])
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    thread.join()

    assert seen <= set(contents)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_writer_killed_on_the_way_leaves_the_old_file(tmp_path):
    """SIGKILL between the bytes and the rename: the old file is whole, and a later write does not mind the rest."""
    path = tmp_path / "a"
    write_atomically(path, "old")
    code = "import os, signal, sys; from pathlib import Path; from tasks.base import files\n"
    code += "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\nfiles.write_atomically(Path(sys.argv[1]), 'new' * 1000)\n"

    ran = subprocess.run([sys.executable, "-c", code, str(path)], check=False)

    assert ran.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_atomically(path, "newer")
    assert path.read_text() == "newer"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    """Another reason than a full disk has another sentence."""
    with pytest.raises(StorageError, match=r"cannot write .*No such file"):
        write_atomically(tmp_path / "none" / "a", "x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_of_having_no_space_is_told_alike(tmp_path, number):
    """Disk full, quota used up, file too large."""
    assert "no space left" in storage_error(OSError(number, os.strerror(number)), tmp_path).message


@given(JSON)
def test_canonical_json_is_a_round_trip(value):
    """Exact for everything JSON can hold."""
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(), max_size=6), st.randoms())
def test_canonical_json_does_not_depend_on_the_order(value, rng):
    """Keys sorted, so that a digest of it is one of the content."""
    items = list(value.items())
    assert canonical_json(dict(rng.sample(items, len(items)))) == canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_what_json_cannot_hold_is_refused(value, tmp_path):
    """No NaN reaches a file, and none is left half-written."""
    with pytest.raises(ValueError, match=r"[Oo]ut of range|not JSON"):
        canonical_json(value)
    with pytest.raises(ValueError, match=r"[Oo]ut of range|not JSON"):
        write_json(tmp_path / "a", {"value": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[1, 2"])
def test_what_is_no_json_is_a_storage_error(tmp_path, raw):
    """The sentence names the file."""
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(StorageError, match=r"cannot read .*a"):
        read_json(tmp_path / "a")


def test_digests_are_of_bytes(tmp_path):
    """A text and a file of the same bytes have the same digest."""
    (tmp_path / "a").write_text("grüße")
    assert sha256_file(tmp_path / "a") == sha256_text("grüße")
