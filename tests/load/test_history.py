import json

import numpy as np
import pytest

from tasks.base.errors import StorageError
from tasks.load.config import LoadConfig
from tasks.load.fidelity import Machine
from tasks.load.histogram import Histogram, bucket_of
from tasks.load.history import finish, read_history
from tasks.load.journey import journeys_of
from tasks.load.plan import plan_of, write_plan
from tasks.load.raw import RawReader, Tail
from tasks.load.shapes import curve_of
from tasks.load.tally import Result, Tally

START = 1_700_000_000


def row(second, *, endpoints=(), **changes):
    facts = {"users_planned": 20.0, "users_present": 20, "journeys_planned": 10.0, "journeys_started": 10, "journeys_completed": 10}
    measures = {"late_s": 0.02, "lag_s": 0.0, "cpu_ratio": 0.05, "rss_bytes": 80 << 20}
    tally = Tally()
    for endpoint, result, own_s, lag_s in endpoints:
        tally.request(second, endpoint, result, own_s=own_s, lag_s=lag_s)
    counted = tally.second(second).to_json()["endpoints"]
    return {"kind": "second", "second": START + second, **facts, **measures, "endpoints": counted, **changes}


def log(folder, *rows, number=1, tail=b""):
    settings = LoadConfig.model_validate({"users": {"shape": "constant", "users": 20}})
    path = folder / f"raw-{number:06d}.jsonl"
    plan = plan_of(settings, curve=curve_of(settings.users), journeys=journeys_of(settings), host="http://127.0.0.1:1", seed=1, raw=path)
    write_plan(folder / f"generator-{number:06d}.json", plan)
    start = {"kind": "start", "time_s": START, "origin_wall_s": float(START), "origin_monotonic_s": 5.0, "offset_s": 0.0}
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in (start, *rows)) + tail)


def test_what_was_logged_is_what_is_read(tmp_path):
    """Counts by second and endpoint, quantiles of both latencies, ratios: undefined where nothing happened."""
    busy = [("GET /", Result.OK, 0.01, 0.0), ("GET /", Result.FAILED, 0.02, 1.0), ("POST /orders", Result.DECLINED, 0.03, 0.0)]
    log(tmp_path, row(0, endpoints=busy), row(1, journeys_planned=0.0, journeys_completed=0), row(2, journeys_completed=5))

    finished, load = finish(tmp_path), read_history(tmp_path)

    assert (finished.seconds, finished.requests, finished.degraded_s) == (3, 3, 0)
    assert load.endpoints == ("GET /", "POST /orders")
    assert load.requests.tolist() == [[2, 1], [0, 0], [0, 0]]
    assert (load.failures.sum(), load.declined.tolist()[0]) == (1, [0, 1])
    assert load.endpoint_quantile(1.0, latency="own")[0] == pytest.approx([0.02, 0.03], rel=0.02)
    assert load.endpoint_quantile(1.0)[0] == pytest.approx([1.02, 0.03], rel=0.02)
    assert np.isnan(load.endpoint_quantile(0.5)[1:]).all()
    np.testing.assert_allclose(load.error_ratio(), [1 / 3, np.nan, np.nan])
    np.testing.assert_allclose(load.achieved_over_planned(), [1.0, np.nan, 0.5])
    np.testing.assert_allclose(load.achieved_over_planned(window_s=3), [1.0, 1.0, 0.75])


def test_quantiles_over_a_window_are_those_of_all_its_requests(tmp_path):
    """Merging three seconds by column gives the quantile of one histogram of the same requests."""
    rng = np.random.default_rng(3)
    times = {second: rng.lognormal(-4, 1, size=20) for second in range(8)}
    log(tmp_path, *(row(second, endpoints=[("GET /", Result.OK, float(t), 0.0) for t in times[second]]) for second in times))
    finish(tmp_path)

    found = read_history(tmp_path).endpoint_quantile(0.95, window_s=3)[:, 0]

    wanted = [Histogram.of(np.concatenate([times[s] for s in range(max(0, last - 2), last + 1)])).quantile(0.95) for last in times]
    np.testing.assert_allclose(found, wanted)


def test_seconds_between_two_generators_are_rows_that_say_so(tmp_path):
    """What was planned in the hole is known, nothing was done, and the whole window is degraded; seconds after it are fine."""
    log(tmp_path, row(0), row(1))
    log(tmp_path, row(4, users_present=0, journeys_started=0), row(5), number=2)

    finished, load = finish(tmp_path), read_history(tmp_path)

    assert (finished.missing_s, finished.degraded_s) == (2, 4)
    assert load.journeys_planned.tolist() == [10.0] * 6
    assert load.journeys_started.tolist() == [10, 10, 0, 0, 0, 10]
    assert [("generator-restarted" in why, "generator-missing" in why) for why in load.reasons] == [
        *((False, False), (True, False), (True, True), (True, True), (True, False), (False, False)),
    ]


def test_logs_side_by_side_add_up(tmp_path):
    """Two workers in the same seconds: what they did is summed, what was planned is not, and nothing is a restart."""
    half = {"users_present": 10, "journeys_started": 5, "journeys_completed": 5}
    for number in (1, 2):
        log(tmp_path, *(row(s, endpoints=[("GET /", Result.OK, 0.01, 0.0)], **half) for s in range(3)), number=number)

    finished, load = finish(tmp_path), read_history(tmp_path)

    assert finished.degraded_s == 0
    assert (load.users_present.tolist(), load.journeys_planned.tolist(), load.requests.sum()) == ([20] * 3, [10.0] * 3, 6)
    assert load.own.bucket.tolist() == [bucket_of(0.01)] * 3


def test_a_torn_last_line_is_left_out_and_counted(tmp_path):
    """A kill in the middle of a line costs that line, and is told."""
    log(tmp_path, row(0), row(1), tail=json.dumps(row(2)).encode()[:40])

    finished = finish(tmp_path)

    assert (finished.seconds, finished.torn_lines) == (2, 1)


def test_the_machines_reasons_stand_beside_the_generators(tmp_path):
    """Given what the machine did, its seconds are degraded too."""
    log(tmp_path, row(0), row(1), row(2, cpu_ratio=0.9))
    machine = Machine(np.array([START + 1]), np.array([0.5]), np.array([np.nan]), np.array([0.0]))

    finish(tmp_path, machine=machine)

    load = read_history(tmp_path)
    assert load.reasons == ((), ("steal",), ("generator-cpu",))
    assert load.degraded.tolist() == [False, True, True]


def test_finishing_twice_gives_the_same_files(tmp_path):
    """The logs stay, and the tables are a function of them."""
    log(tmp_path, row(0, endpoints=[("GET /", Result.OK, 0.01, 0.0)]), row(1))
    names = ("requests.parquet", "seconds.parquet")
    finish(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in names]

    finish(tmp_path)

    assert [(tmp_path / name).read_bytes() for name in names] == before


def test_a_log_without_a_second_is_an_error(tmp_path):
    """A load that never ran is not an empty history."""
    log(tmp_path)

    with pytest.raises(StorageError, match="no complete second"):
        finish(tmp_path)


def test_a_flipped_byte_is_refused(tmp_path):
    """A damaged table is never read as numbers."""
    log(tmp_path, *(row(s) for s in range(50)))
    finish(tmp_path)
    path = tmp_path / "seconds.parquet"
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)

    with pytest.raises(StorageError):
        read_history(tmp_path)


def test_a_long_log_is_merged_piece_by_piece(tmp_path):
    """Two hours make the rows that one pass would make, and a row from long ago is left out and counted."""
    log(tmp_path, *(row(s, endpoints=[("GET /", Result.OK, 0.01, 0.0)]) for s in range(7200)), row(3))

    finished = finish(tmp_path)

    assert (finished.seconds, finished.requests, finished.late_rows) == (7200, 7200, 1)


def test_a_tail_gives_each_line_once_and_only_when_it_is_whole(tmp_path):
    """A line that is still being written waits for its end."""
    path = tmp_path / "raw-000001.jsonl"
    tail = Tail(path)
    path.write_bytes(b'{"a": 1}\n{"a"')
    first = tail.new()
    with path.open("ab") as file:
        file.write(b": 2}\nno json\n")

    assert (first, tail.new(), tail.new()) == ([{"a": 1}], [{"a": 2}], [])


def test_a_reader_of_an_empty_folder_has_no_seconds(tmp_path):
    """No log, no row."""
    assert list(RawReader(tmp_path).seconds()) == []
