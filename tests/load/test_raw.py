"""Many raw logs become one load."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.load.clocks import ClockFact, write_clocks
from tasks.load.raw import RawReader
from tasks.load.tally import Result, Tally

START = 1_700_000_000
REQUESTS = st.tuples(
    st.integers(0, 5),  # the second
    st.sampled_from(["GET /", "POST /orders"]),
    st.sampled_from(list(Result)),
    st.floats(0.001, 3.0),
    st.floats(0.0, 2.0),
)


def rows_of(requests, *, users=1):
    """What a generator logs that sent these."""
    tally = Tally()
    for second, endpoint, result, own_s, lag_s in requests:
        tally.request(second, endpoint, result, own_s=own_s, lag_s=lag_s)
    for second in range(6):
        facts = {"users_planned": 9.0, "users_present": users, "journeys_planned": 4.5, "cpu_ratio": 0.1, "rss_bytes": 1}
        counted = {**tally.second(second).to_json(), "journeys_started": users, "journeys_completed": users}
        yield {"kind": "second", "second": START + second, **facts, **counted}


def write(folder, number, rows, **start):
    """A raw log."""
    first = {"kind": "start", "origin_wall_s": float(START), **start}
    text = "".join(json.dumps(row) + "\n" for row in (first, *rows))
    (folder / f"raw-{number:06d}.jsonl").write_text(text)


def merged(folder):
    """What the logs in *folder* say together, but for what is only the largest."""
    return [(one.second, one.users_present, one.journeys_started, one.endpoints) for one in RawReader(folder).seconds()]


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(REQUESTS, max_size=40), st.integers(1, 4), st.randoms())
def test_the_merged_logs_of_workers_are_the_log_of_one(tmp_path_factory, requests, workers, random):
    """However the requests were shared among workers, and in whatever order their logs are read: counts and histograms are those of all."""
    shares = [[] for _ in range(workers)]
    for request in requests:
        random.choice(shares).append(request)
    apart, shuffled, alone = (tmp_path_factory.mktemp(name) for name in ("apart", "shuffled", "alone"))
    for place, number in enumerate(random.sample(range(workers), workers)):
        write(apart, place + 1, rows_of(shares[place]), worker=place)
        write(shuffled, number + 1, rows_of(shares[place]), worker=place)
    write(alone, 1, rows_of(requests, users=workers))

    assert merged(apart) == merged(shuffled) == merged(alone)


def test_long_logs_side_by_side_are_merged_in_one_pass(tmp_path):
    """Hours of two workers: none of the second one's rows comes too late."""
    row = next(rows_of([]))
    for number in (1, 2):
        write(tmp_path, number, ({**row, "second": START + second} for second in range(4000)), worker=number - 1)
    reader = RawReader(tmp_path)

    seconds = list(reader.seconds())

    assert [len(one.present) for one in seconds] == [2] * 4000
    assert (reader.late_rows, reader.spans) == (0, {0: (START, START + 3999), 1: (START, START + 3999)})


def test_a_log_by_another_clock_is_moved(tmp_path):
    """By whole seconds, its beginning too."""
    write(tmp_path, 1, rows_of([]), worker=0)
    behind = ({**row, "second": row["second"] - 90} for row in rows_of([]))
    write(tmp_path, 2, behind, worker=1, origin_wall_s=START - 90.2)
    write_clocks(tmp_path, {"raw-000002.jsonl": ClockFact(1, "pod", "node2", 90.2, 0.1, 100)})
    reader = RawReader(tmp_path)

    assert [(one.second, len(one.present)) for one in reader.seconds()] == [(START + second, 2) for second in range(6)]
    assert [start["origin_wall_s"] for start in reader.starts] == pytest.approx([START, START - 0.2])
