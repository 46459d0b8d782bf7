"""Dense blocks out of chunks: the same whatever the chunks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.features.source import Gathered, blocks

OWNERS = {0: "a", 1: "a", 3: "b", 4: "b", 5: "b"}


@dataclass(frozen=True)
class Chunk:
    """Samples as three arrays."""

    series: Any
    time_ms: Any
    value: Any


def chunk(*samples: tuple[int, int, float]) -> Chunk:
    return Chunk(
        np.array([one[0] for one in samples], dtype=np.int32),
        np.array([one[1] for one in samples], dtype=np.int64),
        np.array([one[2] for one in samples], dtype=np.float64),
    )


def by_series(found: Any) -> dict[int, tuple[str, list[float], list[float]]]:
    """Owner, times and values of each series."""
    return {
        number: (block.owner, block.time_s.tolist(), block.values[row].tolist()) for block in found for row, number in enumerate(block.ids)
    }


def plainly(samples: list[tuple[int, int, float]]) -> dict[int, tuple[str, list[float], list[float]]]:
    """The same by a loop over the samples: the first of a moment counts, what is not finite is left out."""
    kept: dict[tuple[int, int], float] = {}
    for number, time_ms, value in samples:
        kept.setdefault((number, time_ms), value)
    found: dict[int, tuple[str, list[float], list[float]]] = {}
    for (number, time_ms), value in sorted(kept.items(), key=lambda item: item[0]):
        if number in OWNERS and np.isfinite(value):
            _, times, values = found.setdefault(number, (OWNERS[number], [], []))
            times.append(time_ms / 1000)
            values.append(value)
    return found


SAMPLE = st.tuples(st.integers(0, 7), st.integers(0, 12), st.sampled_from([0.0, 1.0, 2.5, float("nan"), float("inf")]))


@given(st.lists(st.lists(SAMPLE, max_size=20), max_size=8), st.integers(1, 50))
@settings(deadline=None, max_examples=300)
def test_any_chunks_give_the_samples_that_were_in_them(parts, staged):
    """Late ones, doubles, series that nobody wants, values that are not finite, however much is held back."""
    gathered = Gathered(OWNERS, staged)
    for part in parts:
        gathered.add(chunk(*part))

    found = by_series(gathered.take(["a", "b"]))

    assert found == plainly([one for part in parts for one in part])


def test_series_with_the_same_times_stay_in_one_block():
    """Over all chunks; the one that missed a scrape has a block of its own."""
    gathered = Gathered(OWNERS, 4)
    gathered.add(chunk((3, 10, 1.0), (3, 20, 2.0), (4, 10, 3.0), (4, 20, 4.0), (5, 10, 5.0), (5, 20, 6.0)))
    gathered.add(chunk((3, 30, 7.0), (4, 30, 8.0)))

    together, alone = gathered.take(["b"])

    assert (together.ids, together.time_s.tolist(), together.values.tolist()) == ((3, 4), [0.01, 0.02, 0.03], [[1, 2, 7], [3, 4, 8]])
    assert (alone.ids, alone.values.tolist()) == ((5,), [[5, 6]])


def test_what_was_taken_is_gone():
    """So that one service after the other can be worked on."""
    gathered = Gathered(OWNERS)
    gathered.add(chunk((0, 1, 1.0), (3, 1, 1.0)))

    assert [block.ids for block in gathered.take(["a"])] == [(0,)]
    assert list(gathered.take(["a"])) == []
    assert [block.ids for block in gathered.take(["b"])] == [(3,)]


@pytest.mark.parametrize("count", [70_000, 10])
def test_many_series_are_told_apart(count):
    """More than sixteen bits can name."""
    numbers = np.repeat(np.arange(count, dtype=np.int32), 2)
    samples = Chunk(numbers, np.tile(np.array([1, 2]), count), np.arange(2.0 * count))

    (block,) = blocks(samples, dict.fromkeys(range(count), "a"))

    assert block.ids == tuple(range(count))
    assert np.array_equal(block.values, np.arange(2.0 * count).reshape(count, 2))
