"""Benign changes in a cluster: those that took place, those that users noticed, those of which there is no proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.base.clock import SystemClock
from tasks.base.trials import Outcome, Trial, Windows
from tasks.faults.catalogue import kinds_for
from tasks.faults.journal import Journal
from tasks.features.catalogue import read_catalogue
from tasks.features.matrix import Column, Matrix
from tasks.recordings.evidence import Scene
from tasks.recordings.judging import grace_of, judged
from tasks.recordings.live import Window
from tasks.recordings.truth import with_journal

T0 = 1_800_000_000.0
ROWS = 100
COLUMNS = ("catalogue/replacements", "catalogue/replicas_available", "catalogue/memory_working_set_bytes", "front-end/error_ratio")
FLOORS = {metric.metric: metric.floor_abs for metric in read_catalogue("default").metrics}
"""The smallest change that matters of each metric: one pod more must be more than noise."""
BEGUN, OVER = slice(42, 52), slice(62, 70)
"""Rows just after a change is made, and just after it is taken back."""
NOTHING = Window(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))


def scene(*moved: tuple[str, slice, float], without: tuple[str, ...] = ()) -> Scene:
    """A quiet recording on a cluster, one row a second, in which some columns *moved* by so much in those rows."""
    rng = np.random.default_rng(1)
    level = {"catalogue/replicas_available": 1.0, "catalogue/memory_working_set_bytes": 6e7}
    values = {name: np.full(ROWS, level.get(name, 0.0)) for name in COLUMNS if name not in without}
    values["catalogue/memory_working_set_bytes"] += rng.normal(0, 1e5, ROWS)
    for name, rows, by in moved:
        values[name][rows] += by
    columns = tuple(Column(name, *name.split("/"), "", FLOORS[name.partition("/")[2]], 0.0) for name in values)
    data = np.column_stack(list(values.values())).astype(np.float32)
    n = len(columns)
    times = T0 + np.arange(ROWS, dtype=np.float64)
    made = Matrix(times, columns, data, np.isfinite(data), np.zeros(data.shape, bool), 1.0, np.ones(n), np.zeros(n, np.int64))
    return Scene(made, (), NOTHING, {"catalogue": ("front-end",)}, kinds=kinds_for("kubernetes"))


def change(kind: str, placebo: bool = False) -> Trial:
    """A benign change of twenty seconds on the catalogue."""
    windows = Windows(T0 + 40, acknowledged=T0 + 41, revert_requested=T0 + 60, reverted=T0 + 61)
    return Trial("t001", kind, "catalogue", 1.0, placebo, 20.0, windows, benign=not placebo)


def outcome_of(trial: Trial, seen: Scene) -> Trial:
    """*trial* as it is judged."""
    (found,) = judged(seen, [trial], grace_of(5, 1), T0 + ROWS)
    return found


PROOFS = [
    ("rollout", (("catalogue/replacements", BEGUN, 1.0), ("catalogue/replacements", OVER, 1.0))),
    ("scale_out_in", (("catalogue/replicas_available", slice(43, 61), 1.0),)),
]


@pytest.mark.parametrize(("kind", "proof"), PROOFS)
def test_a_change_that_took_place_is_benign(kind: str, proof: tuple[tuple[str, slice, float], ...]):
    """Pods were replaced, or added: the proof names the column, and the first row that shows it."""
    found = outcome_of(change(kind), scene(*proof))

    assert found.outcome is Outcome.BENIGN
    assert found.witness == proof[0][0]
    assert found.windows.first_effect in (T0 + 42, T0 + 43)
    assert found.windows.back_to_normal is not None


@pytest.mark.parametrize(("kind", "proof"), PROOFS)
def test_a_change_that_users_noticed_says_so(kind: str, proof: tuple[tuple[str, slice, float], ...]):
    """Its callers' errors: an outcome of its own, never that of a fault; and the note names what they saw."""
    found = outcome_of(change(kind), scene(*proof, ("front-end/error_ratio", slice(44, 48), 0.5)))

    assert found.outcome is Outcome.BENIGN_IMPACT
    assert found.note == "impact seen in front-end/error_ratio"


@pytest.mark.parametrize("kind", ["rollout", "scale_out_in"])
def test_a_change_without_proof_did_not_take_place(kind: str):
    """Nobody's pods changed, whatever the memory did by itself."""
    found = outcome_of(change(kind), scene(("catalogue/memory_working_set_bytes", slice(42, 60), 3e7)))

    assert found.outcome is Outcome.NOT_INJECTED
    assert found.witness == f"catalogue/{'replacements' if kind == 'rollout' else 'replicas_available'}"


def test_a_rollout_that_ends_the_old_pod_first_is_seen_by_its_absence():
    """Longer than a rate window nobody was there: no rate holds the replacement, and the pods that were missing are proof enough."""
    found = outcome_of(change("rollout"), scene(("catalogue/replicas_available", slice(42, 52), -1.0)))

    assert (found.outcome, found.witness) == (Outcome.BENIGN, "catalogue/replicas_available")


@pytest.mark.parametrize("kind", ["rollout", "scale_out_in"])
def test_where_nobody_counts_pods_memory_speaks(kind: str):
    """A Prometheus without such metrics has nothing better."""
    without = ("catalogue/replacements", "catalogue/replicas_available")

    assert (
        outcome_of(change(kind), scene(("catalogue/memory_working_set_bytes", slice(42, 60), 3e7), without=without)).outcome
        is Outcome.BENIGN
    )
    assert outcome_of(change(kind), scene(without=without)).outcome is Outcome.NOT_INJECTED


def test_a_placebo_of_a_change_has_no_outcome():
    """And says when pods changed all the same."""
    found = outcome_of(change("rollout", placebo=True), scene(*PROOFS[0][1]))

    assert (found.outcome, found.note) == (None, "the witness moved in a placebo")


def test_a_fault_keeps_its_outcome():
    """The same rows, called a fault."""
    trial = replace(change("pod_kill"), benign=False)

    assert outcome_of(trial, scene(*PROOFS[0][1])).outcome is Outcome.INJECTED_NO_IMPACT


@pytest.mark.parametrize(
    ("kind", "place", "placebo", "benign"),
    [
        ("rollout", "kubernetes", False, True),
        ("rollout", "kubernetes", True, False),
        ("latency", "kubernetes", False, False),
        ("pause", "processes", False, False),
    ],
)
def test_a_recording_that_was_stopped_knows_a_change_from_its_journal(tmp_path: Path, kind: str, place: str, placebo: bool, benign: bool):
    """Nobody lived to write the trial down; the journal names kind and place."""
    facts = {"kind": kind, "target": "catalogue", "intensity": 1.0, "placebo": placebo, "duration_s": 20.0, "boot": "b", "place": place}
    Journal(tmp_path).append("t001", "planned", SystemClock(), **facts, leader=None, signature=None, until_mono_s=1.0, until_wall_s=1.0)

    (found,) = with_journal([], tmp_path)

    assert (found.kind, found.placebo, found.benign) == (kind, placebo, benign)
