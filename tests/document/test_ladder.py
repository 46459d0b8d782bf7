"""The shipped ladder of faults in a cluster, and how a plan shows what is benign in it."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from flows.document import load_document
from flows.drawing import drawn
from flows.timeline import Timeline, timeline
from tasks.base.shipped import shipped
from tasks.faults.catalogue import kinds_for

LADDER = shipped("kubernetes-ladder.yaml")
KINDS = kinds_for("kubernetes")


@lru_cache(maxsize=1)
def planned() -> Timeline:
    """The plan of the ladder."""
    return timeline(load_document(LADDER), str(LADDER))


def test_every_kind_is_there_and_each_with_an_intensity_at_five_levels():
    """None is forgotten when one is added; benign ones and placebos are among them."""
    trials = planned().recordings[-1].trials
    levels: dict[str, set[float]] = defaultdict(set)
    for trial in trials:
        if not trial.placebo:
            levels[trial.kind].add(trial.intensity)

    assert set(levels) == set(KINDS)
    assert {name for name, kind in KINDS.items() if kind.graded and len(levels[name]) < 5} == set()
    assert [trial.kind for trial in trials if trial.benign].count("rollout") == 3
    assert [trial.kind for trial in trials if trial.benign].count("scale_out_in") == 3
    assert sum(trial.placebo for trial in trials) / len(trials) >= 0.2


def test_the_plan_marks_what_is_benign():
    """With a letter of its own in the line and a word in the list; a plan without any does not speak of it."""
    text = drawn(load_document(LADDER), planned())
    line = next(line for line in text.splitlines() if line.startswith("  faults |"))
    quick = shipped("quick.yaml")

    assert "b benign change" in line
    assert "b" in line.split("|")[1]
    assert text.count("  (benign)") == 6
    assert "benign" not in drawn(load_document(quick), timeline(load_document(quick), str(quick)))
