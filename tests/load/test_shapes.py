import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import DocumentError
from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, Ramp, Steps
from tasks.load.journey import shipped_folders
from tasks.load.shapes import Curve, curve_of, planned_journeys, read_csv

RAMP = Ramp(shape="ramp", from_users=10, to_users=30, duration_s=20)


@pytest.mark.parametrize(
    ("shape", "moments", "users"),
    [
        (Constant(shape="constant", users=20), [-1, 0, 1e6], [0, 20, 20]),
        (Steps(shape="steps", users=(5, 10, 3), step_s=60), [0, 59.9, 60, 120, 500], [5, 5, 10, 3, 3]),
        (Steps(shape="steps", users=(5, 10), step_s=60, repeat=True), [0, 60, 120, 180], [5, 10, 5, 10]),
        (RAMP, [0, 5, 20, 100], [10, 15, 30, 30]),
        (DayNight(shape="day-night", night_users=4, day_users=20, period_s=100), [0, 25, 50, 100, 150], [4, 12, 20, 4, 20]),
        (
            FlashCrowd(shape="flash-crowd", users=10, peak_users=50, at_s=30, rise_s=4, hold_s=10, fall_s=20),
            [0, 30, 32, 34, 44, 54, 64, 99],
            [10, 10, 30, 50, 50, 30, 10, 10],
        ),
    ],
)
def test_users_at_a_moment(shape, moments, users):
    """Each shape gives the users that its description says; nobody is there before the start."""
    assert [curve_of(shape).at(moment) for moment in moments] == pytest.approx(users)


def test_a_day_is_close_to_a_cosine():
    """The straight pieces stay within 0.1 % of the height."""
    times = np.linspace(0, 86_400, 10_001)

    curve = curve_of(DayNight(shape="day-night", night_users=0, day_users=100))
    users = np.array([curve.at(moment) for moment in times])

    assert np.abs(users - (50 - 50 * np.cos(2 * math.pi * times / 86_400))).max() < 0.1


points = st.lists(st.tuples(st.floats(0.1, 50), st.integers(0, 100)), min_size=1, max_size=6)


@given(points, st.booleans(), st.booleans(), st.floats(0, 300), st.floats(0, 300))
def test_the_integral_is_the_area_below_the_curve(steps, held, periodic, one, other):
    """User seconds agree with a fine sum, wherever the span begins and ends."""
    times = np.concatenate(([0.0], np.cumsum([step for step, _ in steps])))
    curve = Curve(tuple(times.tolist()), (7.0, *(float(users) for _, users in steps)), held, float(times[-1]) if periodic else None)
    start, end = sorted((one, other))
    middles = np.linspace(start, end, 2_001)[:-1] + (end - start) / 4_000

    area = curve.integral(end) - curve.integral(start)

    assert area == pytest.approx(sum(map(curve.at, middles.tolist())) * (end - start) / 2_000, rel=1e-2, abs=10.0)


def test_planned_journeys_are_users_times_rate():
    """A ramp from 10 to 30 in 20 s has 400 user seconds: 200 journeys at one every two seconds."""
    assert planned_journeys(curve_of(RAMP), 0.5, 0, 20) == pytest.approx(200)


def write(folder, text):
    path = folder / "users.csv"
    path.write_text(text)
    return path


def test_a_table_is_held_until_its_next_row(tmp_path):
    """Between two rows the earlier number stays, and the last one to the end."""
    path = write(tmp_path, "time_s,users\n0,5\n10,20\n")

    assert [read_csv(path, held=True).at(moment) for moment in (0, 9.9, 10, 99)] == [5, 5, 20, 20]


def test_a_table_may_be_joined_by_lines(tmp_path):
    """With ``interpolate: linear`` the users change evenly between two rows; the file is found in the first folder that has it."""
    write(tmp_path, "time_s,users\n0,5\n10,20\n")

    curve = curve_of(Csv(shape="csv", file="users.csv", interpolate="linear"), [tmp_path / "none", tmp_path])

    assert curve.at(4.0) == pytest.approx(11)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("time,users\n0,1\n", [":1: the header must be time_s,users"]),
        ("time_s,users\n", [":2: no row follows"]),
        ("time_s,users\n5,1\n", [":2: time_s: the first row must be at 0"]),
        ("time_s,users\n0,1\n9,x\n9,3\n5,2\n", [":3: users: 'x' is not", ":4: time_s: 9 does not come after 9", ":5: time_s: 5 does not"]),
        ("time_s,users\n0,1,2\n", [":2: two cells were expected, not 3"]),
        ("time_s,users\n0,-1\n", [":2: users: '-1' is not"]),
        ("time_s,users\n0,nan\n1,inf\n", [":2: users: 'nan'", ":3: users: 'inf'"]),
        ("time_s,users\n0,1_000\n", [":2: users: '1_000'"]),
        ("", [":1: the header"]),
    ],
)
def test_every_mistake_of_a_table_is_told_with_its_line(tmp_path, text, mistakes):
    """Nothing in a table is guessed or skipped."""
    path = write(tmp_path, text)

    with pytest.raises(DocumentError) as caught:
        read_csv(path, held=True)

    assert all(f"{path}{mistake}" in str(caught.value) for mistake in mistakes)


def test_a_missing_table_is_told_with_the_places_looked_at(tmp_path):
    """The message helps to put the file where it is looked for."""
    with pytest.raises(DocumentError, match="there is no file none"):
        curve_of(Csv(shape="csv", file="none.csv"), [tmp_path])


def test_the_shipped_tables_read():
    """Every CSV in configs/load is a curve with users."""
    tables = sorted((shipped_folders()[0] / "load").glob("*.csv"))

    assert tables
    assert all(read_csv(path, held=True).peak > 0 for path in tables)
