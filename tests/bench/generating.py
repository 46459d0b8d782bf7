"""
What one load generator can send: requests per second of its processor, and its memory, against a server that does nothing.

``python -m tests.bench.generating`` is that server; it prints its port and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tasks.load.config import Constant, Journey, LoadConfig, Request
from tasks.load.history import LoadHistory
from tasks.load.runner import LoadRun
from tests.bench.fidelity import ended
from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import ROUNDS, machine

USERS, REQUESTS, LENGTH_S = 80, 9, 12.0
"""Eighty visits a second of nine requests each, as the Sock Shop's own load test has them."""
SETTLING = 3
"""Seconds at the start that do not count: connections are opened there."""
MEMORY_GOAL = Goal("<", 1 << 30)
"""A generator above it is degraded by default."""
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(REPLY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve() -> None:
    """Answer every request at once, until standard input ends."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server in a process of its own."""
    argv = [sys.executable, "-m", "tests.bench.generating"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"


def walked(host: str, out: Path) -> LoadHistory:
    """
    The load as it was.

    Raises:
        OSError: The generator died.
    """
    visit = Journey(name="visit", requests=tuple(Request(method="GET", path=f"/{number}") for number in range(REQUESTS)))
    settings = LoadConfig(users=Constant(shape="constant", users=USERS), journeys_per_user_per_s=1.0, journeys=(visit,))
    load = LoadRun.start(settings, host=host, seed=3, out=out, duration_s=LENGTH_S)
    return ended(load, out, LENGTH_S)


def spent(history: LoadHistory) -> tuple[float, bool]:
    """Requests per second of processor time once all connections stand, and whether all that was planned was sent and answered."""
    there = slice(SETTLING, -1)
    sent = int(history.requests[there].sum())
    planned = float(history.journeys_planned[there].sum()) * REQUESTS
    return sent / float(history.generator_cpu_ratio[there].sum()), not history.failures.any() and abs(sent / planned - 1) < 0.02


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Several walks, one after the other; the rate is sound where each kept to its plan."""
    with serving() as host, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        histories = [walked(host, Path(folder, str(number))) for number in range(ROUNDS)]
    found = [spent(history) for history in histories]
    if not all(kept for _, kept in found):
        print("  not all that was planned was sent: the machine is busy, or the generator too slow", file=sys.stderr)
    rate = statistics.median(value for value, _ in found) if all(kept for _, kept in found) else None
    rss = float(np.max([history.generator_rss_bytes.max() for history in histories]))
    rows = (
        made("load.generator.requests", rate, "requests a cpu s", machine=machine()),
        made("load.generator.rss", rss, "bytes", machine=machine(), goal=MEMORY_GOAL),
    )
    yield from (row for row in rows if row.name in only)


if __name__ == "__main__":
    asyncio.run(serve())
