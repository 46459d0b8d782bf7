"""Which rows a degraded second touches."""

import numpy as np

from tasks.featurize import degraded_rows


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
