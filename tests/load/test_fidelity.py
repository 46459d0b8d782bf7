import numpy as np
import pytest

from tasks.load.fidelity import Generator, Limits, Machine, reasons


def generator(n=6, **changes):
    columns = {
        "second": np.arange(100, 100 + n),
        "users_planned": np.full(n, 20.0),
        "users_present": np.full(n, 20, dtype=np.int32),
        "cpu_ratio": np.full(n, 0.05),
        "rss_bytes": np.full(n, 80 << 20),
        "late_s": np.full(n, 0.02),
        "missing": np.zeros(n, dtype=bool),
    }
    return Generator(**(columns | {name: np.array(values) for name, values in changes.items()}))


def degraded(facts, **settings):
    """Rows with a reason, by row number."""
    return {row: why for row, why in enumerate(reasons(facts, Limits(), **settings)) if why}


def test_a_load_that_did_its_part_has_no_reasons():
    """Users there, generator idle and in time."""
    assert degraded(generator()) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"users_present": [20, 20, 18, 20, 20, 20]}, "users-short"),
        ({"cpu_ratio": [0.1, 0.1, 0.71, 0.1, 0.1, 0.1]}, "generator-cpu"),
        ({"rss_bytes": [1, 1, (1 << 30) + 1, 1, 1, 1]}, "generator-memory"),
        ({"late_s": [0.1, 0.1, 0.3, 0.1, 0.1, 0.1]}, "generator-late"),
        ({"missing": [False, False, True, False, False, False]}, "generator-missing"),
    ],
)
def test_each_shortfall_of_the_generator_names_its_second(changes, reason):
    """Only the row that fell short is degraded, by that name."""
    assert degraded(generator(**changes)) == {2: (reason,)}


def test_users_who_come_and_go_with_the_plan_are_not_short():
    """On a step or a ramp the plan of a neighbouring second is good enough."""
    facts = generator(users_planned=[10.0, 10.0, 14.6, 19.2, 5.0, 5.0], users_present=[10, 10, 10, 14, 5, 5])

    assert degraded(facts) == {}


def test_a_restart_degrades_its_whole_window():
    """From the last second of one generator to the first of the next."""
    assert degraded(generator(), restarts=[(101, 103)]) == dict.fromkeys((1, 2, 3), ("generator-restarted",))


def test_the_machine_is_a_reason_only_where_it_is_known():
    """Steal, other load and a clock jump either way count; NaN does not."""
    nan = np.nan
    machine = Machine(
        second=np.array([99, 100, 101, 102, 103]),
        steal_ratio=np.array([0.9, 0.5, nan, 0.01, 0.0]),
        other_load_ratio=np.array([0.9, 0.5, nan, 0.3, 0.0]),
        clock_jump_s=np.array([9.0, 0.0, nan, 0.0, -2.0]),
    )

    assert degraded(generator(), machine=machine) == {0: ("steal", "other-load"), 2: ("other-load",), 3: ("clock-jump",)}


def test_an_empty_load_has_no_rows():
    """Nothing in, nothing out."""
    assert reasons(generator(n=0), Limits()) == ()
