"""Which rows a degraded second touches."""

import numpy as np

from tasks.stages.featurize import degraded_rows
from tasks.stages.train import stretches


def test_a_degraded_second_leaves_every_row_whose_rates_look_at_it():
    """Second 10 is [10, 11): with rates over three seconds the rows that end in (10, 14) look at a part of it."""
    time_s = np.arange(5, 20) + 0.5

    seen = time_s[degraded_rows(time_s, np.array([10]), 3.0)]

    assert seen.tolist() == [10.5, 11.5, 12.5, 13.5]


def test_no_degraded_second_touches_no_row():
    """And seconds may come in any order."""
    time_s = np.arange(5, 20) + 0.5

    assert not degraded_rows(time_s, np.array([], dtype=np.int64), 5.0).any()
    assert degraded_rows(time_s, np.array([16, 7]), 1.0).sum() == 4


def test_rows_left_out_are_named_by_their_stretches():
    """Rows that follow each other are one stretch; a single row stands alone."""
    times = np.array([0.0, 1.0, 2.0, 10.0, 20.0, 21.0])

    assert stretches(times, 1.0) == [
        "1970-01-01T00:00:00.000Z to 00:00:02.000Z",
        "1970-01-01T00:00:10.000Z",
        "1970-01-01T00:00:20.000Z to 00:00:21.000Z",
    ]
    assert stretches(times[:0], 1.0) == []
