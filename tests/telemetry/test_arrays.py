"""numpy to Arrow and back: the same bits, null where it was said, and no pandas on the way; sets as numpy makes them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.arrays import among, distinct, median, text_to_arrow, to_arrow, to_numpy

BITS = st.lists(st.integers(0, 2**64 - 1), max_size=40)


@pytest.mark.parametrize(("dtype", "kind"), [("i1", pa.int8()), ("i4", pa.int32()), ("i8", pa.int64()), ("f8", pa.float64())])
@given(bits=BITS, cut=st.integers(0, 40))
def test_every_bit_comes_back(dtype, kind, bits, cut):
    """Whatever the bits are, in one piece or in two, and where a piece begins in the middle of its buffer."""
    values = np.array(bits, np.uint64).view(dtype)
    array = to_arrow(values)
    column = pa.chunked_array([array[:cut], array[cut:]], type=kind)

    assert array.type == kind
    assert to_numpy(column, np.dtype(dtype).type).tobytes() == values.tobytes()


def test_every_other_value_of_an_array_is_still_its_own():
    """An array whose values do not lie side by side is copied."""
    values = np.arange(20, dtype=np.int64)[::-2]

    assert to_arrow(values).to_pylist() == values.tolist()


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=40))
def test_what_is_not_valid_is_null(rows):
    """Nulls stand where they were asked for, and a reader that wants none refuses them."""
    values, valid = np.array([value for value, _ in rows], np.int64), np.array([known for _, known in rows], np.bool_)
    array = to_arrow(values, valid=valid)

    assert array.to_pylist() == [value if known else None for value, known in rows]
    if not valid.all():
        with pytest.raises(ValueError, match="nulls"):
            to_numpy(pa.chunked_array([array]), np.int64)


def test_no_piece_at_all_is_an_empty_array():
    """A column of no chunks, and one of an empty chunk without a buffer."""
    none = pa.chunked_array([], type=pa.int32())
    empty = pa.chunked_array([pa.array([], pa.int32())])

    assert [to_numpy(column, np.int32).tolist() for column in (none, empty)] == [[], []]
    assert to_numpy(none, np.int32).dtype == np.int32


@given(st.lists(st.text(max_size=20), max_size=20))
def test_texts_come_back(texts):
    """Empty ones, and letters of several bytes."""
    array = text_to_arrow(texts)

    assert array.type == pa.string()
    assert array.to_pylist() == texts


def test_pandas_stays_out():
    """``pa.array`` and ``to_numpy`` would import it; these do not."""
    code = (
        "import sys, numpy as np, pyarrow as pa; from tasks.telemetry.arrays import *;"
        "assert to_numpy(pa.chunked_array([to_arrow(np.arange(3))]), np.int64).tolist() == [0, 1, 2]; text_to_arrow(['a']);"
        "print('pandas' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


NUMBERS = st.lists(st.integers(-5, 5) | st.integers(-(2**62), 2**62), max_size=40).map(lambda some: np.array(some, np.int64))


@given(NUMBERS, NUMBERS)
def test_sets_are_those_of_numpy(numbers, known):
    """Without what numpy's own functions import."""
    assert distinct(numbers).tolist() == np.unique(numbers).tolist()
    assert among(numbers, distinct(known)).tolist() == np.isin(numbers, known).tolist()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9))
def test_the_median_is_that_of_numpy(values):
    """Of an odd and of an even number of values."""
    assert median(np.array(values)) == np.median(values)
