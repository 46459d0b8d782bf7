"""Trials survive being written."""

from __future__ import annotations

import json
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from tasks.base.trials import Outcome, Trial, Windows

MOMENTS = st.integers(1_000_000_000_000, 2_000_000_000_000).map(lambda ms: ms / 1000)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
WINDOWS = st.builds(
    Windows, requested=MOMENTS, **{field.name: st.none() | MOMENTS for field in fields(Windows) if field.name != "requested"}
)
TRIALS = st.builds(
    Trial,
    id=NAMES,
    kind=NAMES,
    target=NAMES,
    intensity=st.floats(0, 1),
    placebo=st.booleans(),
    duration_s=st.floats(0.1, 1e6),
    windows=WINDOWS,
    outcome=st.none() | st.sampled_from(Outcome),
    witness=st.none() | st.text(max_size=20),
    note=st.text(max_size=20),
    benign=st.booleans(),
)


@given(TRIALS)
def test_a_trial_is_read_as_it_was_written(trial):
    """Through real JSON text; times are exact to a millisecond."""
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


@given(TRIALS)
def test_the_windows_are_the_columns_of_the_labels(trial):
    """Their names are part of the format."""
    assert list(trial.to_json()["windows"]) == [
        "requested",
        "acknowledged",
        "first_effect",
        "revert_requested",
        "reverted",
        "back_to_normal",
    ]
    assert all(text is None or text.endswith("Z") for text in trial.to_json()["windows"].values())


@given(TRIALS)
def test_a_trial_of_an_earlier_version_is_no_benign_change(trial):
    """What was written before there were any says nothing of it."""
    earlier = {name: value for name, value in trial.to_json().items() if name != "benign"}

    assert not Trial.from_json(earlier).benign


def test_a_benign_change_has_no_outcome_of_a_fault():
    """Each thing that may happen has a name of its own; what did not happen is void for both."""
    assert [outcome.of_benign for outcome in Outcome] == [
        Outcome.NOT_INJECTED,
        Outcome.BENIGN,
        Outcome.BENIGN_IMPACT,
        Outcome.BENIGN,
        Outcome.BENIGN_IMPACT,
    ]
