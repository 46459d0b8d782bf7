"""What a trial did, from series alone; labels; completeness; the live window; lengths."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.faults.config import FaultsConfig, TrialEntry
from tasks.features.matrix import Column, Matrix
from tasks.recordings.config import RecordingEntry
from tasks.recordings.evidence import Scene, callers_of
from tasks.recordings.finish import complete
from tasks.recordings.judging import grace_of, judged, spans_of
from tasks.recordings.labels import HEADER, labels_csv
from tasks.recordings.length import measured_s, planned_s
from tasks.recordings.live import Window, joined
from tasks.telemetry.gaps import Gap
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

T0 = 1_800_000_000.0
COLUMNS = (
    Column("orders/cpu_cores", "orders", "cpu_cores", "cores", 0.01, 0.0),
    Column("front-end/error_ratio", "front-end", "error_ratio", "", 0.01, 0.0),
    Column("front-end/latency_p95_s", "front-end", "latency_p95_s", "s", 0.001, 0.15),
)
NOTHING = Window(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))


def matrix(values: np.ndarray) -> Matrix:
    """Columns of orders and its caller, one row a second."""
    n = len(values)
    data = np.asarray(values, dtype=np.float32)
    return Matrix(
        T0 + np.arange(n, dtype=np.float64),
        COLUMNS,
        data,
        np.isfinite(data),
        np.zeros(data.shape, bool),
        1.0,
        np.ones(3),
        np.zeros(3, np.int64),
    )


def quiet(n: int, seed: int = 1) -> np.ndarray:
    """Fault-free rows with a little noise."""
    rng = np.random.default_rng(seed)
    return np.column_stack([0.1 + rng.normal(0, 0.003, n), np.zeros(n), 0.010 + rng.normal(0, 0.0003, n)])


def trial(kind: str = "cpu_hog", at: float = 30.0, placebo: bool = False, name: str = "t001") -> Trial:
    """A fault on orders of eight seconds."""
    windows = Windows(T0 + at, acknowledged=T0 + at + 0.2, revert_requested=T0 + at + 8, reverted=T0 + at + 8.1)
    return Trial(name, kind, "orders", 1.0, placebo, 8.0, windows)


def scene(values: np.ndarray) -> Scene:
    """A recording of those rows."""
    return Scene(matrix(values), (), NOTHING, {"orders": ("front-end",)})


def test_a_fault_that_hurts_callers_is_impact():
    """Witness and a caller's latency leave their references: impact, with its windows."""
    values = quiet(70)
    values[31:39, 0] += 0.8
    values[31:39, 2] += 0.2

    (found,) = judged(scene(values), [trial()], grace_of(5, 1), T0 + 70)

    assert found.outcome is Outcome.IMPACT
    assert found.witness == "orders/cpu_cores"
    assert found.windows.first_effect == T0 + 31
    assert found.windows.back_to_normal == T0 + 39


def test_a_fault_that_nobody_notices_has_no_impact():
    """Only the witness moves."""
    values = quiet(70)
    values[31:39, 0] += 0.8

    (found,) = judged(scene(values), [trial()], grace_of(5, 1), T0 + 70)

    assert found.outcome is Outcome.INJECTED_NO_IMPACT


def test_a_fault_that_did_nothing_is_void():
    """Nothing moves: not injected; a placebo has no outcome at all."""
    real, placebo = judged(scene(quiet(100)), [trial(), trial(at=60, placebo=True, name="t002")], grace_of(5, 1), T0 + 100)

    assert real.outcome is Outcome.NOT_INJECTED
    assert placebo.outcome is None


def test_errors_of_the_proxy_are_witnessed_by_its_own_counters():
    """The ratio of two harness counters is a witness though it is no column."""
    n = 70
    values = quiet(n)
    values[32:40, 1] = 0.4
    requests = 10.0 * np.arange(n)
    errors = np.concatenate([np.zeros(31), np.cumsum(np.full(8, 5.0)), np.full(n - 39, 40.0)])
    series = (
        Series(0, "proxy_errors_injected_total", "fault-proxy", "harness", {"service": "orders"}),
        Series(1, "proxy_requests_total", "fault-proxy", "harness", {"service": "orders"}),
    )
    stamps = ((T0 + np.arange(n)) * 1000).astype(np.int64)
    samples = Samples(np.repeat([0, 1], n).astype(np.int32), np.tile(stamps, 2), np.concatenate([errors, requests]), 1, 0, 0)
    found_scene = Scene(matrix(values), series, samples, {"orders": ("front-end",)})

    (found,) = judged(found_scene, [trial("http_errors")], grace_of(5, 1), T0 + n)

    assert found.outcome is Outcome.IMPACT
    assert found.witness == "orders/proxy_error_ratio"


def test_earlier_faults_are_no_reference():
    """Rows of an earlier fault stay out of the next one's reference."""
    values = quiet(120)
    values[31:39, 0] += 0.8
    values[81:89, 0] += 0.8
    values[81:89, 2] += 0.2

    first, second = judged(scene(values), [trial(), trial(at=80, name="t002")], grace_of(5, 1), T0 + 120)

    assert [first.outcome, second.outcome] == [Outcome.INJECTED_NO_IMPACT, Outcome.IMPACT]
    assert spans_of([first], 7.0) == [Interval(T0 + 30, first.windows.back_to_normal + 7.0)]


def test_labels_have_the_documented_columns():
    """One row a trial, times in UTC, empty cells for what did not happen."""
    text = labels_csv([trial(placebo=True)])
    (row,) = csv.DictReader(io.StringIO(text))

    assert tuple(row) == HEADER
    assert row["placebo"] == "true"
    assert row["outcome"] == ""
    assert row["first_effect"] == ""
    assert row["requested"].endswith("Z")


@pytest.mark.parametrize(
    ("gap", "early", "whole"),
    [
        ((T0 + 32, T0 + 36), False, True),
        ((T0 + 5, T0 + 9), False, False),
        ((T0 + 38, T0 + 90), False, False),
        (None, True, False),
        (None, False, True),
    ],
)
def test_complete_means_whole_but_for_gaps_inside_faults(gap, early, whole):
    """A gap is forgiven only inside [requested, back to normal + grace] of a fault."""
    values = quiet(120)
    values[31:39, 0] += 0.8
    trials = judged(scene(values), [trial()], grace_of(5, 1), T0 + 120)
    gaps = [] if gap is None else [Gap(*gap, None, None, 3)]

    assert complete(gaps, trials, 7.0, early) is whole


def test_the_live_window_keeps_what_is_young():
    """New chunks are joined in order, old samples leave."""
    old = Window(np.array([0, 0], np.int32), np.array([0, 1000], np.int64), np.array([1.0, 2.0]))
    fresh = Samples(np.array([0, 1], np.int32), np.array([2500, 2500], np.int64), np.array([3.0, 4.0]), 2, 0, 0)

    found = joined(old, fresh, keep_s=2.0)

    assert found.series.tolist() == [0, 0, 1]
    assert found.time_ms.tolist() == [1000, 2500, 2500]


def test_callers_come_from_the_edges():
    """Every direct caller of a service, in the order of the edges."""
    assert callers_of([("a", "c"), ("b", "c")]) == {"c": ("a", "b")}


def test_the_planned_length_counts_every_trial():
    """Before, durations and mean quiet of trials and placebos."""
    faults = FaultsConfig(
        before_s=30.0, duration_s=8.0, quiet_s=(15.0, 19.0), placebos=2, trials=(TrialEntry(kind="pause", target="carts"),) * 6
    )
    entry = RecordingEntry(name="faults", role="faults", warmup_s=8.0)

    assert measured_s(entry, faults) == 30 + 8 * 8 + 8 * 17
    assert planned_s(entry, faults) > measured_s(entry, faults) + 8


def test_a_recording_of_faults_takes_no_length_of_its_own():
    """The document says so at once."""
    with pytest.raises(ValueError, match="takes its length from the section faults"):
        RecordingEntry(name="x", role="faults", duration_s=5.0)
