"""Load changes: which seconds and rows are of one, and false alarms there beside those under steady load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.artifacts.jobs import Job
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Made, Store
from tasks.base.files import read_json
from tasks.base.parquet import read_table, write_table
from tasks.evaluation.chance import random_row
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.detector import evaluate_detector
from tasks.evaluation.load_change import LoadChange, PlannedUsers, rows_of_change
from tasks.evaluation.thresholds import Calibration, Threshold
from tasks.evaluation.truth import Truth
from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, Ramp, Shape, Steps
from tasks.load.shapes import curve_of
from tasks.stages import evaluate
from tests.evaluation.recording import GRACE_S, scores, trial
from tests.stored_run import copied_run

FIRST = 1_000_000
SHORT = EvaluationConfig(profile="short", false_alarms_per_day=24, random_seeds=3)
THRESHOLD = Threshold(1.5, False, 5760.0, 5, "largest", 0.002)
CALIBRATION = Calibration(budget_per_day=24, rate_window_s=5, persistence_s=3, step_s=1)


def planned(shape: Shape, seconds: int = 600, begun: float = 0.0) -> PlannedUsers:
    """What a generator writes of *shape* in each second, if it began *begun* seconds into the first."""
    curve = curve_of(shape)
    means = [round(curve.mean(max(0.0, second - begun), second + 1 - begun), 3) for second in range(seconds)]
    return PlannedUsers(FIRST + np.arange(seconds), np.array(means))


def moving(shape: Shape, seconds: int = 600) -> list[int]:
    """Seconds of change since the load began."""
    return (planned(shape, seconds).moving() - FIRST).tolist()


def table(*points: tuple[float, float], interpolate: Any = "held") -> Csv:
    """A load from a table."""
    return Csv(shape="csv", file="any.csv", interpolate=interpolate, points=points)


@pytest.mark.parametrize(
    "shape",
    [
        Constant(shape="constant", users=20),
        Steps(shape="steps", users=(100, 104, 100), step_s=100),
        Steps(shape="steps", users=(0, 0), step_s=100),
        DayNight(shape="day-night", night_users=20, day_users=100),
        Ramp(shape="ramp", from_users=1000, to_users=2000, duration_s=3600),
        table((0, 3.0), (100, 3.9), (200, 3.0)),
    ],
    ids=["constant", "small steps", "nobody", "a day", "an hour's ramp", "less than a user"],
)
def test_steady_load_does_not_change(shape):
    """Neither do steps of less than 5 % or of less than a user, nor a drift that no window sees."""
    assert moving(shape, 30_000) == []


@pytest.mark.parametrize("seconds", [10, 60, 300, 1200])
def test_a_ramp_counts_in_full(seconds):
    """From its first second to its last, however long, down to 5 % of the peak a minute."""
    found = moving(Ramp(shape="ramp", from_users=0, to_users=100, duration_s=seconds), seconds + 200)

    assert set(found) >= set(range(1, seconds))
    assert max(found) <= seconds


def test_a_step_counts_where_it_is():
    """Up and down alike; the time between belongs to neither."""
    assert moving(Steps(shape="steps", users=(10, 20, 10), step_s=100)) == [100, 200]


def test_a_crowd_comes_stays_and_goes():
    """Two ramps, and steady load between them."""
    crowd = FlashCrowd(shape="flash-crowd", users=20, peak_users=60, at_s=100, rise_s=5, hold_s=90, fall_s=15)

    assert moving(crowd) == [*range(100, 106), *range(195, 211)]


def test_a_table_of_users_is_read_as_any_other_load():
    """Held numbers are steps, even small ones where several come within a minute; lines are ramps; a drift before a step is none."""
    assert moving(table((0, 10), (50, 14), (300, 14.5))) == [50]
    assert moving(table((0, 100), (200, 104), (220, 108), (240, 112))) == [200, 220, 240]
    lines = table((0, 96), (300, 98), (301, 198), (400, 198), (430, 98), interpolate="linear")
    assert moving(lines) == [300, 301, *range(400, 431)]


def test_a_load_that_began_within_a_second_steps_in_two():
    """The second of the step is a mean of both numbers, and differs from its neighbours on either side."""
    assert (planned(Steps(shape="steps", users=(10, 20), step_s=100), begun=0.5).moving() - FIRST).tolist() == [100, 101]


def test_rows_look_back_as_far_as_a_change_may_show():
    """A step changes the rows of one reach after it, and not the row before it."""
    step = planned(Steps(shape="steps", users=(10, 20), step_s=100))
    rows = rows_of_change(FIRST + np.arange(600.0), [step], reach_s=7.0)

    assert np.flatnonzero(rows).tolist() == list(range(101, 108))


def test_several_recordings_have_the_changes_of_each():
    """One that nobody kept the load of leaves all unknown; no recording, or an empty load, has no change."""
    step = planned(Steps(shape="steps", users=(10, 20), step_s=100))
    later = PlannedUsers(step.second + 1000, step.users)
    rows = rows_of_change(FIRST + np.arange(2000.0), [later, step], reach_s=2.0)

    assert np.flatnonzero(rows).tolist() == [101, 102, 1101, 1102]
    assert rows_of_change(FIRST + np.arange(9.0), [step, None], reach_s=2.0) is None
    nothing = PlannedUsers(np.empty(0, dtype=np.int64), np.empty(0))
    assert not rows_of_change(FIRST + np.arange(9.0), [nothing], reach_s=2.0).any()


def stepped(rows: int = 300) -> Truth:
    """A step of the load at second 100, another inside a fault."""
    load = planned(Steps(shape="steps", users=(10, 20), step_s=100, repeat=True), rows)
    times = FIRST + np.arange(float(rows))
    faults = (trial("a", 190),)
    return Truth.of(times, faults, grace_s=GRACE_S, load_changing=rows_of_change(times, [load], GRACE_S))


def test_a_detector_that_alarms_at_the_step_is_told():
    """Seven seconds look at the step, and the only false alarm is there; the step inside the fault is no quiet time."""
    row = evaluate_detector("naive", "x", scores(high=((101, 103), (201, 204))), THRESHOLD, stepped(), SHORT)

    assert row.load_change.changing.exposure_s == 7
    assert row.load_change.changing.per_day == pytest.approx(0.7 / 7 * 86_400)
    assert row.load_change.steady.exposure_s == 300 - 20 - 7
    assert row.load_change.steady.per_day == 0
    assert row.load_change.ratio is None
    assert row.false_alarms.exposure_s == 280


def test_the_ratio_is_of_two_rates():
    """An alarm at the step and one under steady load: the rates differ by the time behind them."""
    row = evaluate_detector("naive", "x", scores(high=((101, 103), (31, 34))), THRESHOLD, stepped(), SHORT)
    told = row.public_row()

    assert told["load_change_ratio"] == pytest.approx((0.7 / 7) / (1 / 273))
    assert (told["load_changing_s"], told["load_steady_s"]) == (7, 273)
    assert told["false_alarms_load_steady_per_day"] == pytest.approx(86_400 / 273)
    assert json.loads(json.dumps(row.to_json(), allow_nan=False))["load_change"]["changing"]["episodes"] == 1


def test_without_changes_there_is_no_rate_there():
    """None for the part without exposure; nothing at all where the load is not known."""
    times = FIRST + np.arange(300.0)
    steady = Truth.of(times, (), grace_s=GRACE_S, load_changing=np.zeros(300, dtype=bool))
    unknown = Truth.of(times, (), grace_s=GRACE_S)
    one, other = (evaluate_detector("x", "x", scores(), THRESHOLD, truth, SHORT).public_row() for truth in (steady, unknown))

    assert (one["load_changing_s"], one["false_alarms_load_changing_per_day"], one["load_change_ratio"]) == (0, None, None)
    assert one["false_alarms_load_steady_per_day"] == 0
    assert {other[name] for name in other if "load_" in name} == {None}


def test_the_random_row_has_both_rates():
    """Means over its seeds, over the same time as everybody's."""
    truth, rows = stepped(), np.ones(300, dtype=bool)
    row = random_row(CALIBRATION, truth, SHORT, scored_in_calibration=rows[:60], scored=rows, seed=1)

    assert (row.load_change.changing.exposure_s, row.load_change.steady.exposure_s) == (7, 273)
    assert LoadChange.averaged([None, None]) is None


STEP_AT = 5
"""Seconds after the first row at which the stored recording's load steps."""


def changed(store: Store, text: str, edit: Any) -> str:
    """Commit the artifact *text* once more as *edit* leaves its folder."""
    old = store.open(Ref.parse(text))
    staged = store.stage(old.ref.kind)
    for name in old.manifest["files"]:
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old.folder / name, staged / name)
    edit(staged)
    return str(store.commit(staged, old.ref.kind, Made(old.manifest["stage"], "f" * 40, settings=old.manifest["settings"])))


def evaluated(store: Store, folder: Path, **edits: Any) -> dict[str, Any]:
    """The evaluation of the stored run, inputs of it changed by *edits*; detectors by name."""
    made = store.open(Ref.parse(Runs(store).read("latest")["artifacts"]["evaluation"])).manifest
    inputs = {**made["made_from"], **{name: changed(store, made["made_from"][name], edit) for name, edit in edits.items()}}
    folder.mkdir()
    evaluate.compute(
        Job(store=str(store.root), stage="evaluate", kind="evaluation", inputs=inputs, settings=made["settings"]), store, folder
    )
    document = read_json(folder / "evaluation.json")
    return {row["name"]: row for row in document["results"]}


def test_a_stored_recording_with_a_step_is_judged_by_its_load(tmp_path):
    """Steady as it was made; with a step, and a detector that alarms there, both rates; without its load, nothing."""
    store = copied_run(tmp_path / "store")
    matrix = store.open(Ref.parse(Runs(store).read("latest")["artifacts"]["featurize:faults"]))
    first_s = read_table(matrix.file("rows.parquet"))["time_s"][0].as_py()

    def step(folder: Path) -> None:
        kept = read_table(folder / "load" / "seconds.parquet")
        users = np.where(kept["second"].to_numpy() >= first_s + STEP_AT, 40.0, 20.0)
        place = kept.column_names.index("users_planned")
        write_table(folder / "load" / "seconds.parquet", kept.set_column(place, "users_planned", pa.array(users)))

    def naive(folder: Path) -> None:
        kept = read_table(folder / "faults.parquet")
        times, found = (kept[name].to_numpy() for name in ("time_s", "score"))
        after = (times > first_s + STEP_AT) & (times <= first_s + STEP_AT + 3)
        place = kept.column_names.index("score")
        write_table(folder / "faults.parquet", kept.set_column(place, "score", pa.array(np.where(after, 1e9, found))))

    def without(folder: Path) -> None:
        shutil.rmtree(folder / "load")

    steady = evaluated(store, tmp_path / "steady")["robust_z"]
    seen = evaluated(store, tmp_path / "step", **{"recording:faults": step, "scores:robust_z": naive})["robust_z"]
    unknown = evaluated(store, tmp_path / "unknown", **{"recording:faults": without})["robust_z"]

    assert (steady["load_changing_s"], steady["false_alarms_load_changing_per_day"]) == (0, None)
    assert steady["load_steady_s"] == steady["false_alarms"]["exposure_s"] > 40
    assert seen["load_changing_s"] == 8  # its rows lie between whole seconds: eight look at the one of the step
    assert seen["load_changing_s"] + seen["load_steady_s"] == steady["load_steady_s"]
    assert seen["load_change_ratio"] > 4
    assert seen["load_change"]["steady"]["blocks_in_alarm"] == steady["false_alarms"]["blocks_in_alarm"] == 1
    assert seen["load_change"]["changing"]["episodes"] == 1
    assert unknown["load_change"] is unknown["load_changing_s"] is None
    assert unknown["false_alarms"] == steady["false_alarms"]
