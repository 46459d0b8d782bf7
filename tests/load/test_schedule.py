import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.load.schedule import Pace, Slots, choices_of, next_change, pace_of, share_of


@given(st.integers(1, 60), st.floats(0.05, 5), st.integers(0, 99), st.integers(5, 120))
def test_starts_of_all_users_follow_users_times_rate(users, rate, seed, length):
    """However many users, at whatever pace: the starts in a span are users x rate x length, but for a few at its edges."""
    starts = sum(pace.first(length) - pace.first(0) for pace in (pace_of(slot, rate, seed) for slot in range(users)))

    assert starts == pytest.approx(users * rate * length, abs=2.5)


def test_a_user_who_was_held_up_makes_one_late_journey():
    """Pace of 2 s, turn 3 due at 7 really began at 12.5: those due at 9 and 11 are left out, the next is due at 13."""
    pace = Pace(period_s=2, phase_s=1)

    turn = pace.following(3, started_s=12.5)

    assert pace.start_s(turn) == 13


@given(st.integers(0, 50), st.floats(0, 0.99))
def test_a_user_who_is_in_time_misses_no_turn(turn, late):
    """A start up to one period late is followed by the very next turn."""
    pace = Pace(period_s=2, phase_s=0.3)

    assert pace.following(turn, pace.start_s(turn) + 2 * late) == turn + 1


@given(st.floats(0, 100), st.floats(0.1, 10), st.floats(0, 1))
def test_the_first_turn_is_not_in_the_past(since, period, share):
    """A new user waits for the first intended start after its arrival, less than one period away."""
    pace = Pace(period, share * period)

    wait = pace.start_s(pace.first(since)) - since

    assert -1e-6 <= wait <= max(period, pace.phase_s) + 1e-6


def test_choices_depend_on_seed_user_and_turn_alone():
    """The same journey of the same user draws the same, in any run."""
    assert choices_of(3, 14, seed=7).random() == choices_of(3, 14, seed=7).random()
    assert len({choices_of(slot, turn, seed).random() for slot in range(3) for turn in range(3) for seed in range(3)}) == 27


def test_slots_are_used_again_from_the_lowest():
    """A user who comes after others have left takes the lowest number that is free."""
    slots = Slots()
    taken = [slots.take() for _ in range(4)]
    slots.give_back(2)
    slots.give_back(1)

    assert (taken, slots.take(), slots.take(), slots.take()) == ([0, 1, 2, 3], 1, 2, 4)


@given(st.integers(1, 500), st.floats(0, 30), st.floats(0, 0.9))
def test_no_whole_second_is_left_out_however_late_one_is_served(seconds, offset, late):
    """Served up to 0.9 s late again and again, users still change once in every second."""
    moment, served = offset, [offset]
    for _ in range(seconds):
        moment = next_change(moment, moment + late, offset)
        served.append(moment)

    assert [round(moment - offset) for moment in served] == list(range(seconds + 1))


def test_after_a_hold_up_the_users_are_those_of_now():
    """Seconds that passed while the process stood still are not served one after the other."""
    assert next_change(10.0, now_s=17.4, offset_s=2.0) == 17.0


@given(st.integers(0, 500), st.integers(1, 40))
def test_workers_share_the_users_of_one(users, workers):
    """Their slots together are those of a lone generator, each once, and no worker has more than one user more than another."""
    shares = [share_of(users, number, workers) for number in range(workers)]
    slots = sorted(number + workers * local for number, share in enumerate(shares) for local in range(share))

    assert slots == list(range(users))
    assert max(shares) - min(shares) <= 1
