"""What single detectors compute."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.base.errors import DocumentError, PreflightError
from tasks.detectors.base import mean_of_largest
from tasks.detectors.ewma import residuals
from tasks.detectors.floors import FittedRandom
from tasks.detectors.kmeans import windows
from tasks.detectors.mahalanobis import shrunk_covariance
from tasks.detectors.registry import NAMES, descriptions, make
from tasks.detectors.scaling import Scaler


def normal(rows=300, columns=8, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def fit(item, rows, resolution=0.01, seed=3, **options):
    return make(item, **options).fit(rows, resolution=np.full(rows.shape[1], resolution), seed=seed)


def test_scale_is_the_largest_of_its_four_floors():
    """IQR, a tenth of the deviation, a hundredth of the median, the resolution: each is the largest once."""
    steps = np.linspace(-1, 1, 401)
    rows = np.stack(
        [
            steps,  # IQR 1
            np.where(np.arange(401) < 20, 100.0, 0.0),  # IQR 0, deviation 21.8
            1000 + 0 * steps,  # constant, median 1000
            0 * steps,  # constant zero
        ],
        axis=1,
    ).astype(np.float32)

    scaler = Scaler.learn(rows, np.array([0.001, 0.001, 0.001, 0.25]))

    assert scaler.scale == pytest.approx([1 / 1.349, 0.1 * rows[:, 1].std(), 10.0, 0.25], rel=1e-5)
    assert scaler.center == pytest.approx([0, 0, 1000, 0])


def test_one_stray_event_in_a_quiet_column_stays_small():
    """One failed request in a column that was constant in training is worth its resolution, not two hundred thousand scales."""
    rows = normal()
    rows[:, 0] = 0.0

    fitted = fit("robust_z", rows, resolution=0.01)
    stray = rows[:1].copy()
    stray[0, 0] = 0.02

    assert fitted.score(stray)[0] < 5


def test_robust_z_names_the_column():
    """The farthest column has the largest contribution, and the score is its distance."""
    rows = normal()
    fitted = fit("robust_z", rows)
    strange = np.zeros((1, 8), dtype=np.float32)
    strange[0, 5] = 9

    parts = fitted.contributions(strange)

    assert parts.argmax() == 5
    assert fitted.score(strange)[0] == pytest.approx(parts[0, 5])


def test_mean_of_largest():
    """The mean of the two largest; more than there are columns means all."""
    values = np.array([[1, 5, 3], [0, 0, 9]], dtype=np.float32)

    assert mean_of_largest(values, 1).tolist() == [5, 9]
    assert mean_of_largest(values, 2).tolist() == [4, 4.5]
    assert mean_of_largest(values, 50).tolist() == [3, 3]


def test_ewma_follows_drift_and_its_updates_are_clipped():
    """A slow ramp leaves small residuals; a jump moves the mean by weight times clip a row."""
    ramp = np.linspace(0, 10, 500, dtype=np.float32)[:, None]
    jump = np.array([[100.0], [100.0], [100.0]], dtype=np.float32)

    assert np.abs(residuals(ramp, 0.2, 3.0)).max() < 0.11
    assert residuals(jump, 0.2, 3.0)[:, 0] == pytest.approx([100, 99.4, 98.8])


def test_ewma_starts_at_the_training_median():
    """The first row of a new recording is judged, not believed."""
    fitted = fit("ewma", normal())

    assert fitted.score(np.full((1, 8), 8.0, dtype=np.float32))[0] > 5


def test_spe_sees_what_leaves_the_plane_and_t2_what_moves_within_it():
    """Two columns that move together: breaking the bond raises SPE, a joint excursion raises T2."""
    base = np.random.default_rng(1).normal(size=500)
    rows = np.stack([base, base + 0.05 * np.random.default_rng(2).normal(size=500)], axis=1).astype(np.float32)
    apart = np.array([[1, -1]], dtype=np.float32)
    together = np.array([[6, 6]], dtype=np.float32)

    spe, t2 = fit("pca_spe", rows), fit("pca_t2", rows)

    assert spe.score(apart)[0] > 50 * spe.score(together)[0]
    assert t2.score(together)[0] > 50 * t2.score(apart)[0]


@pytest.mark.parametrize("name", ["pca_spe", "pca_t2", "mahalanobis"])
def test_contributions_add_up_to_the_score(name):
    """The parts of the columns are the score, taken apart."""
    rows = normal(seed=4) @ np.random.default_rng(5).normal(size=(8, 8)).astype(np.float32)
    fitted = fit(name, rows)

    assert fitted.contributions(rows[:20]).sum(axis=1) == pytest.approx(fitted.score(rows[:20]), rel=1e-3)


def test_mahalanobis_agrees_with_the_covariance_it_was_given():
    """Independent unit columns: the squared distance is about the squared length."""
    fitted = fit("mahalanobis", normal(20_000, 4))
    point = np.array([[3, 0, 0, 0]], dtype=np.float32)

    assert fitted.score(point)[0] == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize("shape", [(60, 200), (2000, 12)])
def test_shrinkage_is_that_of_scikit_learn(shape):
    """The short formula gives the covariance of the long one."""
    from sklearn.covariance import ledoit_wolf

    rows = normal(*shape) @ np.random.default_rng(1).normal(size=(shape[1], shape[1])).astype(np.float32)
    rows -= rows.mean(axis=0)

    assert shrunk_covariance(rows) == pytest.approx(ledoit_wolf(rows.astype(np.float64), assume_centered=True)[0], rel=1e-3, abs=1e-3)


def test_mahalanobis_learns_from_fewer_rows_than_columns():
    """Sixty rows of two hundred columns are what a demo has."""
    rows = normal(60, 200)
    fitted = fit("mahalanobis", rows)
    strange = normal(1, 200, seed=9)
    strange[0, 7] += 30

    assert fitted.score(strange)[0] > 3 * fitted.score(normal(50, 200, seed=8)).max()


def test_kmeans_distance_is_that_of_the_window():
    """The distance without making windows is the distance of the windows made, first rows padded by the first."""
    rows = normal(200, 5)
    fitted = fit("kmeans", rows, profile="short")
    test = normal(30, 5, seed=11)

    length = fitted.centres.shape[1]
    scaled = fitted.scaler(test)
    padded = np.concatenate([np.repeat(scaled[:1], length - 1, axis=0), scaled])
    made = np.stack([padded[at : at + length].ravel() for at in range(30)])
    centres = fitted.centres.reshape(fitted.centres.shape[0], -1)
    expected = np.sqrt(((made[:, None] - centres) ** 2).sum(axis=2)).min(axis=1)

    assert length == 8
    assert fitted.score(test) == pytest.approx(expected, rel=1e-4)


def test_window_is_given_in_seconds():
    """Eight seconds are four rows two seconds apart; the long profile's forty are twenty."""
    assert make("kmeans", profile="short", grid_s=2.0).window_rows == 4
    assert make("kmeans", profile="long", grid_s=2.0).window_rows == 20


def test_windows_are_thinned_to_their_cap():
    """The matrix of windows stays below its limit."""
    rows = normal(5000, 10)

    made = windows(rows, 40, 1_000_000)

    assert made.nbytes <= 1_000_000
    assert (made[0] == rows[:40].ravel()).all()


def test_ocsvm_trains_on_its_cap():
    """More rows than the cap do not make more landmarks than asked for."""
    fitted = fit("ocsvm", normal(7000, 4))

    assert fitted.landmarks.shape == (300, 4)
    assert fit("ocsvm", normal(50, 4)).landmarks.shape == (50, 4)


@pytest.mark.parametrize("rows", [60, 3000])
def test_ocsvm_leaves_about_nu_outside(rows):
    """About one in twenty training rows lies outside the boundary."""
    training = normal(rows, 20)

    outside = (fit("ocsvm", training).score(training) > 0).mean()

    assert outside < 0.2


def test_random_draws_differ_between_recordings_and_repeat_within_one():
    """Calibration must not hold the very scores that the test recording gets."""
    fitted = FittedRandom(seed=1, seeds=20)
    first, second = normal(100), normal(100, seed=1)

    draws = fitted.draws(first)

    assert draws.shape == (20, 100)
    assert (fitted.draws(first) == draws).all()
    assert (draws[0] == fitted.score(first)).all()
    assert not np.isclose(draws[0], draws[1]).any()
    assert not np.isclose(fitted.score(second), fitted.score(first)).any()


def test_too_few_rows_are_refused_with_a_next_step():
    """Seven rows say nothing about a scale."""
    with pytest.raises(PreflightError) as caught:
        fit("robust_z", normal(7))

    assert caught.value.exit_code == 3
    assert caught.value.next_step


def test_every_detector_describes_itself():
    """Each name has a family, a sentence and its defaults; what is made carries the same name and family."""
    lines = descriptions()

    assert tuple(line.name for line in lines) == NAMES
    for line in lines:
        made = make(line.name)
        assert (made.name, made.family) == (line.name, line.family)
        assert line.sentence.endswith(".")


def test_unknown_name_lists_the_known():
    """A detector that does not exist is refused, and the names are told."""
    with pytest.raises(DocumentError, match="no detector named 'robust'") as caught:
        make("robust")

    assert "robust_z" in caught.value.next_step
