"""The plan is decided by the document and the seed, and refused with sentences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import DocumentError
from tasks.faults.config import FaultsConfig
from tasks.faults.schedule import AppFacts, Settling, length_s, plan_trials, refusals

APP = AppFacts(
    services=("front-end", "orders", "catalogue", "payment", "queue-master"),
    entry=("front-end",),
    reached=("front-end", "orders", "catalogue", "payment"),
    readiness_s={"orders": 2.0},
)
SETTLING = Settling(rate_window_s=5, persistence_s=3, closing_s=5)


def config(**other: object) -> FaultsConfig:
    value = {
        "trials": (
            {"kind": "cpu_squeeze", "target": "orders", "intensity": 0.9},
            {"kind": "latency", "target": "catalogue"},
            {"kind": "crash", "target": "payment", "duration_s": 4},
        ),
        "placebos": 1,
        **other,
    }
    return FaultsConfig.model_validate(value)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_order():
    """Nothing but document and seed decides."""
    plans = [plan_trials(config(repeats=4, placebos=4), APP, SETTLING, seed) for seed in (7, 7, 8)]

    assert plans[0] == plans[1]
    assert [trial.kind for trial in plans[0]] != [trial.kind for trial in plans[2]]


def test_everything_asked_for_is_planned_once_per_repeat():
    """Each entry appears once a repeat as a real fault; placebos take kind and target from the entries."""
    planned = plan_trials(config(repeats=3, placebos=3), APP, SETTLING, 1)
    real = [(trial.kind, trial.target) for trial in planned if not trial.placebo]
    fakes = [(trial.kind, trial.target) for trial in planned if trial.placebo]

    assert sorted(real) == sorted([("cpu_squeeze", "orders"), ("latency", "catalogue"), ("crash", "payment")] * 3)
    assert len(fakes) == 3
    assert set(fakes) <= set(real)
    assert {trial.duration_s for trial in planned if trial.kind == "crash"} == {4}
    assert {trial.intensity for trial in planned if trial.kind == "latency"} == {0.5}
    assert length_s(planned, config()) > planned[-1].end_s


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), before=st.floats(14, 200), repeats=st.integers(1, 5))
def test_no_fault_starts_on_a_round_second_and_quiet_time_is_kept(seed: int, before: float, repeats: int):
    """Starts keep away from whole seconds and minutes; between two faults lies the quiet time asked for."""
    planned = plan_trials(config(before_s=before, repeats=repeats, placebos=repeats), APP, SETTLING, seed)

    assert all(0.1 < trial.start_s % 1 < 0.9 and trial.start_s % 60 > 1 for trial in planned)
    assert planned[0].start_s >= before
    for first, second in pairwise(planned):
        assert 15 <= first.quiet_s <= 19
        assert first.quiet_s - 0.01 <= second.start_s - first.end_s <= first.quiet_s + 2.3


def test_every_reason_to_refuse_is_given_at_once():
    """Unknown, entry and unreached targets, short quiet time and missing placebos are told together, with the nearest name."""
    trials = tuple({"kind": "pause", "target": target} for target in ("ordrs", "front-end", "queue-master", "payment"))
    app = AppFacts(APP.services, APP.entry, APP.reached, {"payment": 180.0})
    found = refusals(config(trials=trials, quiet_s=(8, 9), before_s=5, placebos=0), app, SETTLING)

    text = "\n".join(found)
    assert "trials[0].target: the app has no service 'ordrs'; did you mean orders?" in text
    assert "front-end is the entry service" in text
    assert "the journeys never reach queue-master" in text
    assert "8 s is not longer than rate window + persistence + closing (5 + 3 + 5 s)" in text
    assert "before_s: 5 s" in text
    assert "8 s is shorter than the 180 s that payment needs" in text
    assert "0 among 4 trials are fewer than min_placebo_ratio 0.15 asks for; 1 would do" in text
    with pytest.raises(DocumentError, match="cannot be planned"):
        plan_trials(config(placebos=0), APP, SETTLING, 1)


def test_a_kind_is_refused_where_it_cannot_be_done():
    """Each place has its own kinds, and its own default intensity for those that have the same name."""
    trials = (
        {"kind": "crash", "target": "payment"},
        {"kind": "pod_kill", "target": "payment"},
        {"kind": "memory_leak", "target": "orders"},
    )
    here, there = (replace(APP, provider=provider) for provider in ("local", "kubernetes"))

    assert [text for text in refusals(config(trials=trials), here, SETTLING) if "kind" in text] == [
        "faults.trials[1].kind: pod_kill cannot be done to processes on this machine"
    ]
    assert [text for text in refusals(config(trials=trials), there, SETTLING) if "kind" in text] == [
        "faults.trials[0].kind: crash cannot be done in a cluster"
    ]
    planned = plan_trials(config(trials=({"kind": "cpu_starvation", "target": "payment"},)), there, SETTLING, 1)
    assert {trial.intensity for trial in planned} == {0.9}


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet_s": (19, 15)},
        {"trials": ()},
        {"trials": ({"kind": "pause", "target": "orders; rm -rf /"},)},
        {"trials": ({"kind": "pause", "target": "orders", "intensity": 0},)},
        {"trials": ({"kind": "pause", "target": "orders", "intensity": 1.5},)},
        {"trials": ({"kind": "explode", "target": "orders"},)},
        {"duration_s": -1},
        {"placebos": -1},
        {"surprise": 1},
    ],
)
def test_a_wrong_section_is_refused(wrong: dict[str, object]):
    """Each mistake is an error of the document."""
    with pytest.raises(ValueError, match="FaultsConfig"):
        config(**wrong)


def test_the_plan_says_which_trials_are_benign():
    """In a cluster a rollout is; its placebo is a placebo, and a fault stays one."""
    trials = (
        {"kind": "rollout", "target": "catalogue"},
        {"kind": "scale_out_in", "target": "payment"},
        {"kind": "latency", "target": "orders"},
    )
    planned = plan_trials(config(trials=trials, placebos=3), replace(APP, provider="kubernetes"), SETTLING, 1)

    assert {trial.kind for trial in planned if trial.benign} == {"rollout", "scale_out_in"}
    assert {trial.kind for trial in planned if trial.placebo} == {"rollout", "scale_out_in", "latency"}
    assert not any(trial.benign and (trial.placebo or trial.kind == "latency") for trial in planned)
    assert not any(trial.benign for trial in plan_trials(config(), APP, SETTLING, 1))
