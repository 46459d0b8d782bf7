"""What makes a folder of samples a recording: complete only where nothing is missing, and every oddity noted."""

from __future__ import annotations

import json

import pytest

from tasks.base.files import read_json
from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.recordings.imported import Imported, write_imported
from tasks.recordings.label_file import read_labels
from tasks.telemetry.certificate import Certificate
from tasks.telemetry.gaps import Gap

T0 = 1_790_000_000.0
SPAN = Interval(T0, T0 + 600)


def certificate(*gaps, **more) -> Certificate:
    """One of a server that was read, with *gaps*."""
    numbers = dict.fromkeys(("series", "samples", "targets", "scrapes_expected", "scrapes_found", "samples_expected", "samples_found"), 10)
    zeros = dict.fromkeys(("scrapes_failed", "counter_resets", "duplicates", "out_of_order", "non_finite"), 0)
    return Certificate(**{**numbers, **zeros, "gaps": gaps, **more})


def about(**more) -> Imported:
    return Imported(
        **{
            "name": "imported",
            "role": "training",
            "span": SPAN,
            "source": {"kind": "prometheus", "url": "http://h"},
            "interval_s": 5.0,
            "modules": {"m": "d"},
            **more,
        }
    )


def fault(begin, end, **windows) -> Trial:
    times = {"requested": T0 + begin, "acknowledged": T0 + begin, "revert_requested": T0 + end, "reverted": T0 + end, **windows}
    return Trial("f", "cpu", "orders", 1.0, False, end - begin, Windows(**times), Outcome.IMPACT)


def gap(begin, end) -> Gap:
    return Gap(T0 + begin, T0 + end, None, None, 3)


def test_the_facts_are_those_of_any_recording(tmp_path):
    """Times in ISO 8601, counts of the certificate, where it came from; files beside it that every recording has."""
    facts = write_imported(tmp_path, about(notes=("a note",)), certificate(samples=77, series=5), [fault(10, 20)])

    assert read_json(tmp_path / "recording.json") == json.loads(json.dumps(facts))
    assert (facts["format"], facts["name"], facts["role"], facts["status"]) == ("recording/1", "imported", "training", "complete")
    assert (facts["start"], facts["end"], facts["length_s"], facts["interval_s"]) == (
        "2026-09-21T14:13:20.000Z",
        "2026-09-21T14:23:20.000Z",
        600.0,
        5.0,
    )
    assert (facts["samples"], facts["series"], facts["gaps"], facts["trials"], facts["notes"]) == (77, 5, 0, 1, ["a note"])
    assert (facts["imported"], facts["recorded_by"]) == ({"kind": "prometheus", "url": "http://h"}, {"m": "d"})
    assert read_json(tmp_path / "gaps.json") == {"interval_s": 5.0, "gaps": []}
    assert read_json(tmp_path / "degraded.json") == []
    assert [one["id"] for one in read_json(tmp_path / "faults.json")] == ["f"]
    assert [one.windows for one in read_labels(tmp_path / "labels.csv", SPAN)] == [fault(10, 20).windows]


@pytest.mark.parametrize(
    ("gaps", "trials", "status"),
    [
        ([], [], "complete"),
        ([gap(100, 120)], [], "incomplete"),
        ([gap(100, 120)], [fault(90, 130)], "complete"),
        ([gap(100, 120)], [fault(90, 110)], "incomplete"),
        ([gap(100, 120)], [fault(90, 110, back_to_normal=T0 + 125)], "complete"),
        ([gap(100, 120)], [fault(200, 210)], "incomplete"),
        ([gap(100, 120), gap(300, 320)], [fault(90, 130)], "incomplete"),
        ([gap(100, 120), gap(300, 320)], [fault(90, 130), fault(290, 330)], "complete"),
    ],
)
def test_a_hole_outside_of_the_faults_makes_it_incomplete(tmp_path, gaps, trials, status):
    """A fault may silence what it hits, until all is well again; elsewhere nothing may be missing."""
    assert write_imported(tmp_path, about(), certificate(*gaps), trials)["status"] == status


def test_no_sample_at_all_is_never_complete(tmp_path):
    """Though no gap was found, since nobody knows what there should have been."""
    assert write_imported(tmp_path, about(), certificate(samples=0), [])["status"] == "incomplete"


def test_a_fault_that_was_never_injected_is_kept(tmp_path):
    """Its windows have no end, and cover nothing."""
    never = Trial("n", "cpu", "orders", 1.0, False, 0.0, Windows(T0 + 10, T0 + 10), Outcome.NOT_INJECTED)
    facts = write_imported(tmp_path, about(), certificate(gap(5, 30)), [never])

    assert (facts["trials"], facts["status"]) == (1, "incomplete")


def test_every_oddity_is_noted(tmp_path):
    """No ``up``, histograms that were not kept, what the server warned of."""
    odd = certificate(targets=0, left_out={"b": 2, "a": 1}, server={"warnings": {"partial data": 3}})
    facts = write_imported(tmp_path, about(notes=("first",)), odd, [])

    assert facts["notes"] == [
        "first",
        "no series `up` is among the samples, so nobody can say where they have holes",
        "native histograms are not kept: a (1), b (2)",
        "the server warned: partial data (3 times)",
    ]
    assert write_imported(tmp_path, about(), certificate(server={"warnings": {}}), [])["notes"] == []
