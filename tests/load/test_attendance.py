"""Which workers were at work, second by second."""

import json

from tasks.load.attendance import lacking, restarts_of
from tasks.load.raw import RawReader

START = 1_700_000_000
ROW = {"users_planned": 9.0, "users_present": 3, "journeys_planned": 4.5, "journeys_started": 0, "journeys_completed": 0}
ROW |= {"lag_s": 0.0, "late_s": 0.0, "cpu_ratio": 0.1, "rss_bytes": 1, "endpoints": {}}


def read(folder, *logs):
    """Rows and reader of logs, each given as worker, seconds, and whether it ended in order."""
    for number, (worker, seconds, ended) in enumerate(logs, start=1):
        rows = [{"kind": "start", "origin_wall_s": float(START), "worker": worker}]
        rows += [{"kind": "second", "second": START + second, **ROW} for second in seconds]
        rows += [{"kind": "end"}] if ended else []
        (folder / f"raw-{number:06d}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = RawReader(folder)
    return list(reader.seconds()), reader


def test_workers_that_are_all_there_lack_nothing(tmp_path):
    """One may end a second after the other."""
    rows, reader = read(tmp_path, (0, range(5), True), (1, range(6), True))

    assert lacking(rows, reader, 2) == [False] * 6
    assert restarts_of(reader) == []


def test_a_worker_that_was_replaced_is_lacking_in_between(tmp_path):
    """From its last second to the first of the next one; the order in which logs were begun does not matter for the others."""
    rows, reader = read(tmp_path, (1, range(3), False), (0, range(8), True), (1, range(6, 8), True))

    assert lacking(rows, reader, 2) == [False] * 3 + [True] * 3 + [False] * 2
    assert restarts_of(reader) == [(START + 2, START + 6)]


def test_a_worker_that_never_came_back_is_lacking_to_the_end(tmp_path):
    """Its log just stops."""
    rows, reader = read(tmp_path, (0, range(6), True), (1, range(2), False))

    assert lacking(rows, reader, 2) == [False] * 2 + [True] * 4


def test_a_worker_that_ended_too_soon_is_lacking_until_it_is_back(tmp_path):
    """It was told to end, in order, and its successor goes on."""
    rows, reader = read(tmp_path, (0, range(6), True), (1, range(2), True), (1, range(4, 6), True))

    assert lacking(rows, reader, 2) == [False, False, True, True, False, False]
    assert restarts_of(reader) == [(START + 1, START + 4)]


def test_a_worker_of_which_nothing_is_known_is_lacking_all_the_time(tmp_path):
    """Three were planned, two have logged."""
    rows, reader = read(tmp_path, (0, range(3), True), (2, range(3), True))

    assert lacking(rows, reader, 3) == [True] * 3
