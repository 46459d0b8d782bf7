"""Which generators should have logged each second, and did not; and where one followed another."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from tasks.load.raw import RawReader, RawSecond


def restarts_of(reader: RawReader) -> list[tuple[int, int]]:
    """From the last second of a generator's log to the first of its next one; logs side by side are workers, not restarts."""
    found = []
    for logs in _lives(reader).values():
        spans = [reader.spans[log] for log in logs]
        found += [(before[1], after[0]) for before, after in itertools.pairwise(spans) if after[0] >= before[1]]
    return found


def lacking(rows: Sequence[RawSecond], reader: RawReader, workers: int) -> list[bool]:
    """
    Whether each second lacks the row of a generator that should be at work, or all rows.

    Args:
        rows: Every second, in order.
        reader: What read them, to the end.
        workers: How many generators were planned; each is at work from the first second to its own end in order.
    """
    lives = _lives(reader)
    last = {number: _last_second(reader, logs) for number, logs in lives.items()}
    everyone = set(range(workers))

    def lacks(row: RawSecond) -> bool:
        there = {reader.workers.get(log, 0) for log in row.present}
        return not there or any(row.second <= last.get(number, math.inf) for number in everyone - there)

    return [lacks(row) for row in rows]


def _lives(reader: RawReader) -> dict[int, list[int]]:
    """Logs with seconds of each generator, in order."""
    found = defaultdict(list)
    for log in sorted(reader.spans):
        found[reader.workers.get(log, 0)].append(log)
    return found


def _last_second(reader: RawReader, logs: Sequence[int]) -> float:
    return reader.spans[logs[-1]][1] if logs[-1] in reader.ended else math.inf
