"""Quantiles of cumulative histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.features.histograms import parse_edge, quantile
from tasks.features.recipes import shared_buckets

EDGES = np.array([0.1, 0.2, 0.4, np.inf])


def at(q, *counts):
    return quantile(EDGES, np.array(counts, dtype=float)[:, None], q)[0]


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, (0, 10, 10, 10), 0.15),  # inside a bucket
        (0.5, (10, 10, 10, 10), 0.05),  # the first bucket begins at zero
        (1.0, (5, 10, 10, 10), 0.2),
        (0.99, (0, 0, 5, 10), 0.4),  # beyond the last finite edge
        (0.25, (0, 0, 10, 10), 0.25),
        (0.0, (4, 10, 10, 10), 0.0),
    ],
)
def test_known_quantiles(q, counts, expected):
    """What histogram_quantile says to the same buckets."""
    assert at(q, *counts) == pytest.approx(expected)


def test_nothing_observed_is_undefined():
    """No request has no latency."""
    assert math.isnan(at(0.5, 0, 0, 0, 0))
    assert math.isnan(at(0.5, 1, np.nan, 2, np.nan))


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_against_the_plain_loop(added, q):
    """The vectorised rule is the loop of Prometheus' source."""
    counts = np.cumsum(added).astype(float)

    found = at(q, *counts)

    assert (math.isnan(found) and counts[-1] == 0) or found == pytest.approx(plain(q, counts))


def plain(q, counts):
    rank = q * counts[-1]
    bucket = next(place for place, count in enumerate(counts) if count >= rank)
    if bucket == len(counts) - 1:
        return EDGES[-2]
    start = 0.0 if bucket == 0 else EDGES[bucket - 1]
    below = 0.0 if bucket == 0 else counts[bucket - 1]
    return start + (EDGES[bucket] - start) * (rank - below) / (counts[bucket] - below)


@pytest.mark.parametrize("text", ["+Inf", "Inf", "inf"])
def test_infinite_edge(text):
    """However it is written."""
    assert parse_edge(text) == math.inf


@dataclass(frozen=True)
class One:
    """What the buckets are told apart by."""

    id: int
    labels: dict


def test_only_shared_edges_are_added():
    """Java's extra edge does not meet the others; what is no number is left out."""
    rows = [One(i, {"le": le, "route": "/a"}) for i, le in enumerate(["0.1", "0.2", "+Inf"])]
    rows += [One(i + 10, {"le": le, "route": "/b"}) for i, le in enumerate(["0.1", "0.15", "0.2", "+Inf", "x"])]

    assert shared_buckets(rows) == ((0.1, (0, 10)), (0.2, (1, 12)), (math.inf, (2, 13)))


def test_without_the_infinite_edge_there_is_no_histogram():
    """The total is unknown then."""
    assert shared_buckets([One(1, {"le": "0.1"})]) == ()
    assert shared_buckets([]) == ()
