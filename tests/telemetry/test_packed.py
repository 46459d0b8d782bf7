"""The packed layout: every bit comes back, decimals are stored as whole numbers, and nothing that is damaged is taken for a number."""

from __future__ import annotations

import math
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import StorageError
from tasks.base.parquet import GroupWriter, read_facts, read_table, write_table
from tasks.telemetry.columns import read_columns, write_samples
from tasks.telemetry.packed import DECIMALS, PACKED, PackedWriter, Runs, decimals_of

ODD = (
    *(0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308),
    *(1e22, 1e23, -1e22, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, -(2.0**63)),
    *(0.1, 0.2, 0.1 + 0.2, 1 / 3, 12.75, 0.000001, 0.0000001, 123456.789, 9007199254740.991, 1e15 + 0.3, -12.75, -0.3),
)
MARKS = np.array([0x7FF8000000000001, 0x7FF0000000000002, 0xFFF8000000000000, 0x7FF4DEADBEEF0000], np.uint64).view(np.float64)
"""NaN with a payload, the stale marker among them."""


def bits(values):
    return np.asarray(values, np.float64).view(np.uint64).tolist()


@st.composite
def floats(draw):
    """Doubles as metrics have them: any bits, decimals of some digits, whole numbers, and the odd ones."""
    some = st.one_of(
        st.integers(0, 2**64 - 1).map(lambda raw: float(np.array([raw], np.uint64).view(np.float64)[0])),
        st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 7)).map(lambda pair: pair[0] / 10 ** pair[1]),
        st.integers(-(2**54), 2**54).map(float),
        st.sampled_from(ODD),
    )
    return draw(st.lists(some, min_size=1, max_size=30))


def written(path, *groups, facts=None):
    """A packed chunk of *groups*: each a list of (series, first time, values)."""
    with PackedWriter(path) as writer:
        for group in groups:
            series = np.concatenate([np.full(len(values), number, np.int32) for number, _, values in group])
            time_ms = np.concatenate([first + np.arange(len(values), dtype=np.int64) for _, first, values in group])
            writer.add(series, time_ms, np.concatenate([np.asarray(values, np.float64) for _, _, values in group]))
        writer.finish(facts or {})
    return writer


@given(st.lists(floats(), min_size=1, max_size=6), st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_every_double_comes_back_bit_by_bit(tmp_path_factory, courses, shift):
    """Whatever mixture of series is in a chunk, in whatever order of their numbers; the last one goes on in the next row group."""
    path = tmp_path_factory.mktemp("packed") / "chunk.parquet"
    numbers = [(place + shift) % len(courses) for place in range(len(courses))]
    last, cut = courses[numbers[-1]], len(courses[numbers[-1]]) // 2
    first = [(number, 1000, courses[number]) for number in numbers[:-1]] + [(numbers[-1], 1000, last[:cut])] * (cut > 0)
    written(path, *([first] if first else []), [(numbers[-1], 1000 + cut, last[cut:])])
    series, time_ms, value = read_columns(path)

    assert series.tolist() == [number for number in range(len(courses)) for _ in courses[number]]
    assert time_ms.tolist() == [1000 + place for course in courses for place in range(len(course))]
    assert bits(value) == [one for course in courses for one in bits(course)]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 3)), min_size=1, max_size=8), st.randoms(use_true_random=False)
)
@settings(deadline=None, max_examples=60)
def test_times_come_back_shared_or_not(tmp_path_factory, runs, rng):
    """Series of one target have the same times, which are stored once; those of others, of any length and step, are not mixed up."""
    path = tmp_path_factory.mktemp("packed") / "chunk.parquet"
    targets = [np.sort(np.array(rng.sample(range(2**41), 60), np.int64)) for _ in range(3)]
    groups = [[], []]
    for number, (target, length, group) in enumerate(runs):
        groups[group % 2].append((number, targets[target][:length]))
    with PackedWriter(path) as writer:
        for group in groups:
            series = np.repeat(np.array([number for number, _ in group], np.int32), [len(times) for _, times in group])
            time_ms = np.concatenate([np.empty(0, np.int64), *(times for _, times in group)])
            writer.add(series, time_ms, time_ms / 8.0)
        writer.finish({})
    series, time_ms, value = read_columns(path)

    for number, (target, length, _) in enumerate(runs):
        assert time_ms[series == number].tolist() == targets[target][:length].tolist()
        assert (value[series == number] == targets[target][:length] / 8.0).all()


@pytest.mark.parametrize("value", [*ODD, *MARKS.tolist()])
def test_each_odd_value_comes_back(tmp_path, value):
    """Alone, and among others of its series."""
    raw = np.array([value]) if not math.isnan(value) else MARKS[:1]
    courses = [raw, np.concatenate([raw, [1.0, 2.5]]), np.concatenate([[7.0] * 20, raw, [7.0] * 20])]
    written(tmp_path / "c", [(number, 0, course) for number, course in enumerate(courses)])

    assert bits(read_columns(tmp_path / "c")[2]) == bits(np.concatenate(courses))


def test_payloads_of_nan_come_back(tmp_path):
    """They are told apart by their bits, so numpy's own comparison would not notice."""
    written(tmp_path / "c", [(0, 0, MARKS), (1, 0, [1.0, *MARKS, 2.0])])

    assert bits(read_columns(tmp_path / "c")[2]) == [*bits(MARKS), *bits([1.0]), *bits(MARKS), *bits([2.0])]


@pytest.mark.parametrize("places", DECIMALS)
def test_decimals_are_whole_numbers_of_the_fewest_digits(places):
    """A series that is rounded to so many digits is stored by them."""
    value = (np.arange(500) * 7 + 1) / 10**places

    assert decimals_of(Runs.of(np.zeros(500, np.int32)), value).tolist() == [places]


@pytest.mark.parametrize("odd", [-0.0, math.nan, math.inf, 0.1 + 0.2, 2.0**53, 1e-7])
def test_one_value_that_does_not_fit_keeps_the_doubles_of_its_series_alone(odd):
    """In the middle, where no probe looks; the series beside it is not concerned."""
    value = np.concatenate([np.arange(101.0), np.arange(101.0)])
    value[150] = odd
    decimals = decimals_of(Runs.of(np.repeat(np.array([3, 1], np.int32), 101)), value)

    assert decimals.tolist() == [0, -1]


def test_decimals_are_smaller_than_doubles(tmp_path):
    """Less than half, for a gauge of two digits: what the layout is there for."""
    rng = np.random.default_rng(3)
    value = np.round(np.cumsum(rng.normal(0, 0.5, 20_000)) + 500, 2)
    series, time_ms = np.zeros(20_000, np.int32), np.arange(20_000, dtype=np.int64) * 5000
    written(tmp_path / "packed", [(0, 0, value)])
    write_samples(tmp_path / "plain", series, time_ms, value)

    sizes = [(tmp_path / name).stat().st_size for name in ("packed", "plain")]
    assert read_columns(tmp_path / "packed")[2].tobytes() == value.tobytes()
    assert sizes[0] < 0.5 * sizes[1]


def test_series_out_of_order_and_in_two_row_groups_are_read_in_order(tmp_path):
    """A series goes on in the next group; numbers need not ascend; what is read is in order of series and time."""
    writer = written(tmp_path / "c", [(5, 10, [1.0, 2.0]), (2, 10, [0.5])], [(2, 11, [0.75]), (0, 3, [9.0])], facts={"until_ms": "12"})
    series, time_ms, value = read_columns(tmp_path / "c")

    assert (series.tolist(), time_ms.tolist(), value.tolist()) == ([0, 2, 2, 5, 5], [3, 10, 11, 10, 11], [9.0, 0.5, 0.75, 1.0, 2.0])
    assert (writer.rows, read_facts(tmp_path / "c")["until_ms"]) == (5, "12")


@pytest.mark.parametrize("groups", [[[(0, 10, [1.0]), (0, 10, [1.0])]], [[(0, 10, [1.0, 2.0])], [(0, 9, [1.0])]], [[(-1, 10, [1.0])]]])
def test_a_chunk_that_goes_back_in_time_is_refused(tmp_path, groups):
    """A moment twice, an older one behind, a number that is none."""
    written(tmp_path / "c", *groups)

    with pytest.raises(StorageError, match="not in order"):
        read_columns(tmp_path / "c")


def forged(path, **columns):
    """A packed chunk of two series with two samples each, the second one with the times of the first, and *columns* instead of its own."""
    series, time_ms = np.array([0, 0, 1, 1], np.int32), np.array([5, 7, 5, 7], np.int64)
    with PackedWriter(path) as writer:
        writer.add(series, time_ms, np.array([7.0, 9.0, 0.1 + 0.2, 0.5]))
        writer.finish({})
    table = read_table(path).to_pydict()
    assert table["time"][2:] == [None, None]
    write_table(path, pa.Table.from_pydict({**table, **{name: change(table[name]) for name, change in columns.items()}}, schema=PACKED))
    return path


def put(**values):
    """A change of a column: the values at some places, called ``at0``, ``at1``."""
    return lambda column: [values.get(f"at{place}", value) for place, value in enumerate(column)]


def test_the_forgery_without_a_change_is_read(tmp_path):
    """So that the refusals below are about what was changed."""
    assert read_columns(forged(tmp_path / "c"))[2].tolist() == [7.0, 9.0, 0.1 + 0.2, 0.5]


@pytest.mark.parametrize(
    "columns",
    [
        {"bits": put(at2=None, at3=None)},
        {"bits": put(at0=1, at1=0)},
        {"whole": put(at0=None, at1=None)},
        {"whole": put(at2=7, at3=7)},
        {"decimals": put(at0=-1, at1=-1)},
        {"decimals": put(at1=-1)},
        {"decimals": put(at0=7, at1=7)},
        {"decimals": put(at2=-2, at3=-2)},
        {"decimals": put(at0=None)},
        {"series": put(at0=None)},
        {"time": put(at0=None, at1=None)},
        {"time": put(at1=None)},
        {"time": put(at2=10)},
        {"series": put(at1=2), "time": put(at1=10)},
        {"series": put(at2=0)},
        {"time": put(at0=10, at1=0)},
        {"time": put(at1=1)},
    ],
)
def test_a_sample_of_no_value_or_of_two_is_refused(tmp_path, columns):
    """Also one whose decimals are out of range, whose time nobody has or stands still, and nulls elsewhere."""
    with pytest.raises(StorageError, match="is not a chunk of samples"):
        read_columns(forged(tmp_path / "c", **columns))


def test_a_file_of_other_columns_is_refused(tmp_path):
    """A table of anything else is no chunk."""
    write_table(tmp_path / "c", pa.table({"series": pa.array([1], pa.int32())}))

    with pytest.raises(StorageError, match="other columns"):
        read_columns(tmp_path / "c")


@pytest.mark.parametrize("schema", [PACKED, pa.schema([("series", pa.int32()), ("time_ms", pa.int64()), ("value", pa.float64())])])
def test_a_chunk_of_nothing_is_empty(tmp_path, schema):
    """With an empty row group, and without any."""
    write_table(tmp_path / "empty", schema.empty_table())
    with GroupWriter(tmp_path / "none", schema, {}) as none:
        none.finish({})

    for name in ("empty", "none"):
        assert [len(column) for column in read_columns(tmp_path / name)] == [0, 0, 0]


def test_a_flipped_byte_is_never_a_number(tmp_path):
    """Whichever byte of the file is turned: refused, or (in what no reader looks at) the very same samples."""
    rng = random.Random(5)
    written(tmp_path / "c", [(0, 0, np.arange(3000) / 100), (1, 0, np.sin(np.arange(3000)))], facts={"until_ms": "9"})
    raw, right = (tmp_path / "c").read_bytes(), [column.tobytes() for column in read_columns(tmp_path / "c")]
    refused = 0
    for place in rng.sample(range(len(raw)), 300):
        (tmp_path / "f").write_bytes(raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1 :])
        try:
            found = [column.tobytes() for column in read_columns(tmp_path / "f")]
        except StorageError:
            refused += 1
        else:
            assert found == right, place
    assert refused > 200


def test_facts_of_no_file_are_refused(tmp_path):
    """A missing file, and one that is cut off."""
    written(tmp_path / "c", [(0, 0, [1.0])], facts={"a": "b"})
    (tmp_path / "cut").write_bytes((tmp_path / "c").read_bytes()[:-5])

    assert read_facts(tmp_path / "c") == {"a": "b"}
    for name in ("cut", "absent"):
        with pytest.raises(StorageError, match="is not the Parquet file"):
            read_facts(tmp_path / name)
