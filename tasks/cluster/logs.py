"""
The output of one process, kept time-stamped and compressed.

A process writes to a plain file: it neither blocks nor dies when the supervisor is slow or gone. The supervisor follows
that file, stamps each line with the file's time of change, appends whole gzip members to ``NAME.log.gz`` (lines of
``time_ms<TAB>text``), and gives the space of what it has read back to the file system.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import os
import time
from collections import deque
from pathlib import Path

CHUNK_BYTES = 1 << 20
BACKLOG_BYTES = 16 << 20
LINE_BYTES = 1 << 16
FLUSH_S = 5.0
RECENT_LINES = 20
_PUNCH_HOLE = 0x03  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_libc = ctypes.CDLL(None, use_errno=True)


class Tail:
    """Follows the output of process *name* in *folder*; :attr:`sink` is what the process writes to."""

    def __init__(self, folder: Path, name: str) -> None:
        self.raw, self.kept = folder / f"{name}.out", folder / f"{name}.log.gz"
        self.recent: deque[str] = deque(maxlen=RECENT_LINES)
        self.left_out_bytes = 0
        self._archive = os.open(self.kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lines: list[bytes] = []
        self._flushed_s = time.monotonic()
        self.raw.unlink(missing_ok=True)
        self.sink = os.open(self.raw, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._offset, self._rest = 0, bytearray()

    def poll(self) -> None:
        """Take what was written since the last call; keep it on disk every few seconds."""
        written = os.fstat(self.sink)
        if written.st_size - self._offset > BACKLOG_BYTES:
            self._leave_out(written.st_size - CHUNK_BYTES, written.st_mtime_ns // 1_000_000)
        if written.st_size > self._offset:
            data = os.pread(self.sink, CHUNK_BYTES, self._offset)
            self._offset += len(data)
            self._take(data, written.st_mtime_ns // 1_000_000)
        if self._lines and (time.monotonic() - self._flushed_s > FLUSH_S or sum(map(len, self._lines)) > CHUNK_BYTES):
            self.flush()

    def note(self, text: str) -> None:
        """Add a line of the supervisor's own."""
        self._line(text.encode(), time.time_ns() // 1_000_000)

    def drain(self) -> None:
        """Take all that was written, the last unfinished line included, and keep it."""
        before = -1
        while before != self._offset:
            before = self._offset
            self.poll()
        if self._rest:
            self._line(bytes(self._rest), os.fstat(self.sink).st_mtime_ns // 1_000_000)
            self._rest.clear()
        self.flush()

    def renew(self) -> None:
        """Empty the plain file for the next life of the process; nothing of the last one may still write to it."""
        self.drain()
        os.ftruncate(self.sink, 0)
        self._offset = 0

    def close(self) -> None:
        """Keep everything; the plain file goes."""
        self.drain()
        os.close(self.sink)
        os.close(self._archive)
        self.raw.unlink(missing_ok=True)

    def flush(self) -> None:
        """Append what was taken as one gzip member; on a full disk it waits in memory, and beyond some MiB is left out."""
        if not self._lines:
            return
        self._flushed_s = time.monotonic()
        size = os.fstat(self._archive).st_size
        member = gzip.compress(b"".join(self._lines), compresslevel=6, mtime=0)
        try:
            whole = os.write(self._archive, member) == len(member)
        except OSError:
            whole = False
        if whole:
            self._lines.clear()
            _libc.fallocate(self.sink, _PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(self._offset))
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._archive, size)
        if sum(map(len, self._lines)) > BACKLOG_BYTES:
            self.left_out_bytes += sum(map(len, self._lines))
            self._lines.clear()

    def _leave_out(self, offset: int, time_ms: int) -> None:
        missing = offset - self._offset
        self.left_out_bytes += missing
        self._offset = offset
        self._rest.clear()
        self._line(f"[tidegauge: {missing} bytes of output were left out; it came faster than it could be kept]".encode(), time_ms)

    def _take(self, data: bytes, time_ms: int) -> None:
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        while len(rest) > LINE_BYTES:
            lines.append(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._rest = bytearray(rest)
        for line in lines:
            self._line(bytes(line), time_ms)

    def _line(self, line: bytes, time_ms: int) -> None:
        self._lines.append(b"%d\t%s\n" % (time_ms, line))
        self.recent.append(line[:500].decode(errors="replace"))


def last_lines(folder: Path, name: str, count: int = RECENT_LINES) -> list[str]:
    """The last *count* lines kept of process *name*, without their times; what a torn end allows."""
    lines: deque[str] = deque(maxlen=count)
    with contextlib.suppress(OSError, EOFError), gzip.open(folder / f"{name}.log.gz", "rt", encoding="utf-8", errors="replace") as text:
        for line in text:
            lines.append(line.rstrip("\n").partition("\t")[2])
    return list(lines)
