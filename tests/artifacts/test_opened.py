"""``tidegauge.open_run``: a run as tables, every byte checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tidegauge
from tasks.artifacts.runs import Runs
from tasks.base.errors import DocumentError, StorageError
from tests.stored_run import copied_run, shared_run


@pytest.fixture(scope="module", params=["made up", *filter(None, [os.environ.get("TIDEGAUGE_TEST_STORE")])])
def run(request):
    """A made-up run, and the newest real one of the store that ``TIDEGAUGE_TEST_STORE`` names, where it does."""
    return tidegauge.open_run(store=shared_run().root if request.param == "made up" else request.param)


def test_importing_the_package_is_instant():
    """Neither pandas nor pyarrow comes with the import; they come with the first call."""
    code = "import sys, tidegauge; print([name for name in ('pandas', 'pyarrow', 'numpy', 'prefect') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_the_public_object_is_the_one_that_the_command_line_prints(run):
    """``run`` is the object of ``runs show --json``."""
    from flows.records import PUBLIC

    assert tuple(run.run) == PUBLIC
    assert run.id == run.run["run"]
    assert [one["name"] for one in run.run["recordings"]] == list(run.recordings)


def test_samples_are_all_there_and_nothing_more(run):
    """As many samples and series as the facts say, in order, none of them invented by the reader."""
    for name, recording in run.recordings.items():
        samples, series = recording.samples(), recording.series()
        assert recording.facts["name"] == name
        assert (len(samples), len(series)) == (recording.facts["samples"], recording.facts["series"])
        assert samples["series"].is_monotonic_increasing
        assert str(samples["time"].dt.tz) == "UTC"
        up = recording.samples("up", series["service"].iloc[0])
        assert set(up["value"]) <= {0.0, 1.0}
        assert 0 < len(up) < len(samples)


def test_the_matrix_is_a_regular_grid_in_utc(run):
    """Rows lie one grid step apart; every recording has the same columns."""
    matrices = [run.matrix(name) for name in run.recordings]
    step = run.document["features"]["grid_s"]
    for matrix in matrices:
        assert set((matrix.index[1:] - matrix.index[:-1]).total_seconds()) == {step}
        assert set(matrix.dtypes) == {np.dtype("float32")}
        assert list(matrix.columns) == list(matrices[0].columns)


def test_labels_name_every_trial(run):
    """The trials of the run, with times that pandas understands."""
    name = next(one["name"] for one in run.run["recordings"] if one["role"] == "faults")
    labels = run.labels(name)
    assert list(labels.index) == [fault["id"] for fault in run.run["faults"]]
    assert list(labels["placebo"]) == [fault["placebo"] for fault in run.run["faults"]]
    assert labels["requested"].notna().all()
    assert str(labels["requested"].dt.tz) == "UTC"


def test_scores_lie_on_the_grid_of_their_matrix(run):
    """A score a row; the contributors are columns of the matrix."""
    name = next(one["name"] for one in run.run["recordings"] if one["role"] == "faults")
    matrix, scores = run.matrix(name), run.scores("robust_z", name)
    assert scores.index.equals(matrix.index)
    assert set(scores["top_1"]) <= set(matrix.columns)


def test_alarms_are_where_scores_passed_the_threshold(run):
    """In every alarm the score is above the threshold at least once."""
    name = next(one["name"] for one in run.run["recordings"] if one["role"] == "faults")
    threshold, scores = run.threshold("robust_z"), run.scores("robust_z", name)["score"]
    alarms = run.alarms("robust_z", name)
    assert all((scores[one.open : one.close] > threshold).any() for one in alarms.itertuples())
    assert len(run.alarms("constant", name)) == 0


def test_load_and_evaluation_agree_with_the_record(run):
    """The tables hold what the public object sums up."""
    for name, recording in run.recordings.items():
        load = run.load(name)
        assert (load["requests"].sum(), load.index.is_monotonic_increasing) == (recording.requests()["requests"].sum(), True)
        assert len(recording.gaps()) == recording.facts["gaps"]
    assert run.evaluation()["detectors"] == run.run["detectors"]
    assert run.ranking()["ranking"] == run.run["ranking"]
    assert list(run.table().index) == [row["name"] for row in run.run["detectors"]]


@pytest.mark.parametrize(
    ("stage", "file", "read"),
    [
        ("featurize:faults", "matrix.parquet", lambda run: run.matrix("faults")),
        ("record:faults", "samples/000001.parquet", lambda run: run.recordings["faults"].samples()),
        ("record:faults", "series/000001.parquet", lambda run: run.recordings["faults"].series()),
        ("record:faults", "labels.csv", lambda run: run.labels("faults")),
        ("record:faults", "load/seconds.parquet", lambda run: run.load("faults")),
        ("score:robust_z", "faults.parquet", lambda run: run.scores("robust_z", "faults")),
        ("evaluation", "evaluation.json", lambda run: run.evaluation()),
    ],
)
def test_one_flipped_byte_is_never_read(tmp_path, stage, file, read):
    """Whichever table it is in, a byte that was not written ends the reading."""
    store = copied_run(tmp_path / "store")
    run = tidegauge.open_run(store=store.root)
    path = store.folder(run.artifacts[stage]) / file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)

    with pytest.raises(StorageError):
        read(run)


def test_what_is_not_there_is_said_with_what_is(run):
    """An unknown name is answered with the known ones."""
    with pytest.raises(DocumentError, match=r"has no recording breakfast; it has training"):
        run.labels("breakfast")
    with pytest.raises(DocumentError, match="it has random, norm, constant"):
        run.threshold("breakfast")


def test_nothing_is_made_by_looking(tmp_path):
    """A store that does not exist is not made by opening a run in it."""
    with pytest.raises(DocumentError, match="no run in"):
        tidegauge.open_run(store=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_stored_run_can_be_carried_away(tmp_path):
    """A copied store opens like the first one, and its record still verifies."""
    store = copied_run(tmp_path / "store")
    shutil.rmtree(store.root / "staging")
    record = Runs(store).read("latest")
    assert pd.Timestamp(record["started"]).tz is not None
    assert json.dumps(tidegauge.open_run(store=store.root).run["detectors"]) == json.dumps(record["detectors"])
