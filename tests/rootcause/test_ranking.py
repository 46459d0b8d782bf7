"""Ranking on made recordings: which service, which metric, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.base.trials import Outcome, Trial, Windows
from tasks.rootcause.config import RankingConfig
from tasks.rootcause.deviations import n_sigma, robust, scale_of, slices_at
from tasks.rootcause.model import Edge, Observed
from tasks.rootcause.ranking import Ranker, terms
from tasks.rootcause.trials import rank_trials, untouched_before

COLUMNS = [
    ("front", "cpu_cores", 0.01),
    ("front", "latency_p95_s", 0.001),
    ("node", "cpu_cores", 0.01),
    ("orders", "cpu_cores", 0.01),
    ("orders", "latency_p95_s", 0.001),
    ("payment", "cpu_cores", 0.01),
    ("payment", "latency_p95_s", 0.001),
]
EDGES = (Edge("front", "orders"), Edge("orders", "payment"))
SETTINGS = RankingConfig(profile="short")


def _observed(rows: int, *, seed: int, start: float = 1000.0) -> Observed:
    services, metrics, resolution = zip(*COLUMNS, strict=True)
    values = np.random.default_rng(seed).normal(1, 0.05, (rows, len(COLUMNS)))
    return Observed.of(start + np.arange(rows), values, None, services=services, metrics=metrics, resolution=resolution)


def _trial(start: float, *, target: str = "orders", witness: str = "orders/cpu_cores", **other) -> Trial:
    windows = Windows(start, start, start + 1, start + 8, start + 8, start + 12)
    return Trial(f"t{start:g}", "cpu_hog", target, 0.9, False, 8.0, windows, **{"outcome": Outcome.IMPACT, "witness": witness, **other})


@pytest.fixture
def history() -> Observed:
    """Six fault-free minutes of another deployment."""
    return _observed(360, seed=1)


@pytest.fixture
def faulty() -> Observed:
    """Orders burns CPU from 1060 on for 8 s, and its callers slow down."""
    observed = _observed(120, seed=2)
    observed.values[60:68, 3] += 1.0
    observed.values[60:68, [1, 4]] += 0.4
    return observed


def test_the_service_that_moved_is_named(history, faulty):
    """The robust method names service and metric; the machine's own columns are no candidates."""
    ranking = {r.method: r for r in Ranker.learn(history, EDGES, SETTINGS).rank(faulty, 1060.0)}["robust"]

    assert ranking.services[0].name == "orders"
    assert ranking.metrics[0].name == "orders/cpu_cores"
    assert {item.name for item in ranking.services} == {"front", "orders", "payment"}
    assert all(not item.name.startswith("node/") for item in ranking.metrics)


def test_a_fault_that_nobody_measures_is_a_tie_for_random(history, faulty):
    """The random method has one score for all, so its measures are chance."""
    report = rank_trials(Ranker.learn(history, EDGES, SETTINGS), faulty, [_trial(1060.0)], own_onsets={}, grace_s=7)
    row = next(r for r in report.rows if (r.method, r.level, r.onset) == ("random", "service", "injected"))

    assert row.ac_at_1 == row.chance == pytest.approx(1 / 3)
    assert next(r for r in report.rows if (r.method, r.level, r.onset) == ("random", "metric", "injected")).ac_at_1 == pytest.approx(1 / 6)


def test_an_unresolved_case_is_a_miss(history, faulty):
    """Without an own onset every method, chance included, misses."""
    report = rank_trials(Ranker.learn(history, EDGES, SETTINGS), faulty, [_trial(1060.0)], own_onsets={"t1060": None}, grace_s=7)
    own = [row for row in report.rows if row.onset == "own"]

    assert {row.unresolved for row in own} == {1}
    assert {row.ac_at_1 for row in own} == {0.0}
    assert all(row.ac_at_1 == 1.0 for row in report.rows if row.method == "robust" and row.onset == "injected")


def test_no_event_leaves_every_measure_undefined(history, faulty):
    """Faults without impact and placebos are not ranked."""
    trials = [_trial(1060.0, outcome=Outcome.INJECTED_NO_IMPACT), replace(_trial(1080.0), placebo=True, outcome=None)]

    report = rank_trials(Ranker.learn(history, EDGES, SETTINGS), faulty, trials, own_onsets={}, grace_s=7)

    assert not report.cases
    assert all(row.ac_at_1 is None and row.chance is None and row.cases == 0 for row in report.rows)


def test_shifting_all_times_changes_nothing(history, faulty):
    """Only differences of time matter."""
    shifted = replace(faulty, time_s=faulty.time_s + 86_400)
    ranker = Ranker.learn(history, EDGES, SETTINGS)
    moved = Ranker.learn(replace(history, time_s=history.time_s - 5000), EDGES, SETTINGS)

    assert ranker.rank(faulty, 1060.0) == moved.rank(shifted, 87_460.0)


def test_another_unit_changes_no_ranking(history, faulty):
    """Seconds or milliseconds, cores or millicores: values and resolution scale together."""

    def in_thousandths(observed: Observed) -> Observed:
        return replace(observed, values=observed.values * 1000, resolution=observed.resolution * 1000)

    first = Ranker.learn(history, EDGES, SETTINGS).rank(faulty, 1060.0)
    second = Ranker.learn(in_thousandths(history), EDGES, SETTINGS).rank(in_thousandths(faulty), 1060.0)

    for a, b in zip(first, second, strict=True):
        assert [item.name for item in a.services] == [item.name for item in b.services]
        assert [item.score for item in a.services] == pytest.approx([item.score for item in b.services])


def test_labels_do_not_reach_a_ranking(history, faulty):
    """Kinds, targets and witnesses of the trials may be exchanged; the rankings stay."""
    ranker = Ranker.learn(history, EDGES, SETTINGS)
    right = rank_trials(ranker, faulty, [_trial(1060.0)], own_onsets={"t1060": 1062.0}, grace_s=7)
    wrong = rank_trials(
        ranker, faulty, [_trial(1060.0, target="payment", witness="payment/cpu_cores")], own_onsets={"t1060": 1062.0}, grace_s=7
    )

    assert [case.rankings for case in right.cases] == [case.rankings for case in wrong.cases]
    assert right.rows != wrong.rows


def test_the_reference_reaches_back_across_earlier_faults(faulty):
    """Rows of an earlier fault are left out of the normal level; those of the fault itself and of placebos are not."""
    earlier = _trial(1030.0)
    placebo = replace(_trial(1045.0), placebo=True, outcome=None)
    usable = untouched_before(faulty.time_s, _trial(1060.0), [earlier, placebo, _trial(1060.0)], grace_s=7)

    assert faulty.time_s[~usable].tolist() == list(range(1030, 1050))
    assert len(slices_at(faulty, 1060.0, reference_s=15, effect_s=8, usable=usable).reference) == 15
    assert slices_at(faulty, 1060.0, reference_s=15, effect_s=8).effect.shape == (8, len(COLUMNS))


def test_deviations_by_hand():
    """Robust takes the mean of the effect; N-Sigma the farthest row; a constant reference has its resolution."""
    services, metrics, resolution = ("a", "a"), ("cpu_cores", "threads"), (0.01, 2.0)
    values = np.array([[1.0, 5], [2, 5], [3, 5], [8, 5], [10, 9]])
    observed = Observed.of(np.arange(5.0), values, None, services=services, metrics=metrics, resolution=resolution)
    slices = slices_at(observed, 3.0, reference_s=3, effect_s=2)

    assert robust(slices, np.array([0.5, 2.0])) == pytest.approx([(9 - 2) / 0.5, (7 - 5) / 2])
    assert n_sigma(slices, np.array([0.01, 2.0])) == pytest.approx([8 / np.std([1, 2, 3]), 4 / 2])


def test_scale_is_the_largest_floor():
    """A constant column has 1 % of its level or its resolution; one without cells its resolution."""
    rows = np.column_stack([np.full(9, 50.0), np.full(9, 0.0), np.full(9, np.nan), np.arange(9.0)])

    assert scale_of(rows, np.array([0.1, 0.3, 0.7, 0.1])) == pytest.approx([0.5, 0.3, 0.7, 4 / 1.349])


def test_terms_by_hand():
    """Own resources by their largest, edges by the mean of both ends' request metrics, clipped."""
    observed = _observed(2, seed=0)
    sizes = np.array([1.0, 2.0, 99.0, 7.0, 100.0, 3.0, np.nan])

    resources, touching = terms(sizes, observed, EDGES, observed.candidates)

    assert resources.tolist() == [1.0, 7.0, 3.0]
    assert touching.tolist() == pytest.approx([(2 + 50) / 2, ((2 + 50) / 2 + 50) / 2, 50.0])


def test_without_edges_requests_are_a_services_own():
    """Nobody knows who calls whom, as in what was imported: then what a service measures of its requests says something of it alone."""
    observed = _observed(2, seed=0)
    sizes = np.array([1.0, 2.0, 99.0, 7.0, 100.0, 3.0, np.nan])

    resources, touching = terms(sizes, observed, [], observed.candidates)

    assert resources.tolist() == [2.0, 100.0, 3.0]
    assert np.isnan(touching).all()


def test_a_service_without_valid_cells_comes_last(history, faulty):
    """What could not be seen is not suspected, and not silently 0."""
    faulty.values[60:68, 5:] = np.nan
    settings = RankingConfig(profile="short", methods=("n_sigma",))

    ranking = Ranker.learn(history, EDGES, settings).rank(faulty, 1060.0)[0]

    assert ranking.services[-1].name == "payment"
    assert ranking.services[-1].score is None


def test_norms_need_enough_history(history):
    """Divisors are the 99 % points of pretended onsets; with little history they are 1, and say so."""
    assert Ranker.learn(history, EDGES, SETTINGS).norms.windows >= 20
    short = Ranker.learn(_observed(60, seed=5), EDGES, SETTINGS).norms

    assert short.windows == 0
    assert short.resources.tolist() == [1.0, 1.0, 1.0]


def test_other_columns_are_refused(history, faulty):
    """A recording of another app cannot be ranked."""
    other = Observed.of([0.0], [[1.0]], None, services=["x"], metrics=["cpu_cores"], resolution=[0.1])

    with pytest.raises(ValueError, match="columns"):
        Ranker.learn(history, EDGES, SETTINGS).rank(other, 0.0)
