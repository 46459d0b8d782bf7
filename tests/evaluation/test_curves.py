"""Average precision against another implementation, and VUS-PR against published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import argrelextrema
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from tasks.evaluation.curves import average_precision
from tasks.evaluation.volume import SAMPLED_THRESHOLDS, vus_pr


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=60).filter(lambda r: 0 < sum(x for x, _ in r) < len(r)))
def test_average_precision_equals_scikit_learn(rows):
    """Ties included."""
    labels, scores = zip(*rows, strict=True)

    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("labels", [[False] * 4, [True] * 4])
def test_one_class_has_no_area(labels):
    """Undefined is None."""
    assert average_precision(labels, [1, 2, 3, 4]) is None
    assert vus_pr(labels, [1, 2, 3, 4], 2) is None


def test_a_row_without_a_score_is_last():
    """It can raise no alarm, so it is ranked below all others."""
    labels = [True, False, True, False]

    assert average_precision(labels, [3, 2, np.nan, 1]) == average_precision(labels, [3, 2, -99, 1])
    assert vus_pr(labels, [3, 2, np.nan, 1], 2) == vus_pr(labels, [3, 2, -99, 1], 2)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_only_the_order_of_scores_matters(seed):
    """A rising transformation changes no area, exact or sampled."""
    rng = np.random.default_rng(seed)
    labels = rng.random(80) < 0.2
    labels[0], labels[1] = True, False
    scores = rng.normal(size=80)

    for measure in (average_precision, lambda y, s: vus_pr(y, s, 6), lambda y, s: vus_pr(y, s, 6, thresholds=20)):
        assert measure(labels, scores) == pytest.approx(measure(labels, np.exp(2 * scores) + 3), abs=1e-12)


def test_perfect_scores_fill_the_volume_without_a_buffer():
    """At window 0 the volume is the area, and a perfect order has 1."""
    labels = np.repeat([False, True, False], [20, 5, 20])

    assert vus_pr(labels, labels.astype(float), 0) == pytest.approx(1.0)


def test_shapes_are_checked():
    """Labels and scores belong together row by row."""
    with pytest.raises(ValueError, match="shape"):
        vus_pr([True, False], [1.0], 1)
    with pytest.raises(ValueError, match="at least 0"):
        vus_pr([True, False], [1.0, 0.0], -1)


def _period(values: np.ndarray) -> int:
    """The reference's window: the lag of the highest local maximum of the autocorrelation, 125 when there is none in 6 ... 303."""
    centred = values[:20_000].astype(float) - values[:20_000].astype(float).mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:401]
    correlation = (correlation / correlation[0])[3:]
    peaks = argrelextrema(correlation, np.greater)[0]
    if not len(peaks):
        return 125
    best = int(peaks[np.argmax(correlation[peaks])])
    return best + 3 if 3 <= best <= 300 else 125


@pytest.mark.parametrize(
    "series",
    [
        "063_SMD_id_7_Facility_tr_5923_1st_6506",
        "065_SMD_id_9_Facility_tr_737_1st_837",
        "066_SMD_id_10_Facility_tr_2634_1st_2734",
        "069_SMD_id_13_Facility_tr_5925_1st_12760",
        "075_SMD_id_19_Facility_tr_564_1st_664",
        "076_SMD_id_20_Facility_tr_5925_1st_17580",
    ],
)
def test_vus_pr_of_isolation_forest_is_the_published_one(shared_data: Path, series: str):
    """Rows scaled across features, forest fitted on all rows, 250 thresholds: equal to TSB-AD's table."""
    folder = shared_data / "tsb-ad-m-rebuilt"
    if not folder.is_dir():
        pytest.skip("the public data set tsb-ad-m-rebuilt is absent")
    published = pd.read_csv(folder / "published_vus_pr_subset.csv").set_index("file")["IForest"][f"{series}.csv"]
    table = pd.read_parquet(folder / "series" / f"{series}.parquet")
    values = table.drop(columns="Label").to_numpy(float)
    spread = values.std(axis=1, ddof=1, keepdims=True)
    scaled = (values - values.mean(axis=1, keepdims=True)) / np.where(spread == 0, 1, spread)
    forest = IsolationForest(n_estimators=25, max_features=0.8, contamination=0.1, random_state=0).fit(scaled)

    found = vus_pr(table["Label"] == 1, -forest.decision_function(scaled), _period(values[:, 0]), thresholds=SAMPLED_THRESHOLDS)

    assert found == pytest.approx(published, abs=1e-6)
