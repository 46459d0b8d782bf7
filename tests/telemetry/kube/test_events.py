"""Kubernetes' own events."""

from __future__ import annotations

import pytest

from tasks.telemetry.kube.events import Happenings, event_view
from tasks.telemetry.kube.journal import Journal, read_journal
from tests.telemetry.kube.saved import saved


def test_events_as_they_are():
    """Of every reason that was saved: what, whom, when."""
    found = {view.reason: view for view in map(event_view, saved("events"))}

    assert (found["Unhealthy"].type, found["Unhealthy"].kind, found["Unhealthy"].source) == ("Warning", "Pod", "kubelet")
    assert found["ErrImageNeverPull"].facts({})["service"] == "front"
    assert found["ScalingReplicaSet"].facts({})["object"] == "deployment/front"
    assert found["SuccessfulCreate"].facts({})["service"] in ("front", "store")
    assert found["Scheduled"].time_s == pytest.approx(1_795_705_685, abs=30)
    assert all(view.time_s >= view.first_s > 1.7e9 for view in found.values())


def test_a_pod_that_is_known_names_its_workload():
    """Better than its name can."""
    event = event_view(
        {"metadata": {"uid": "u"}, "involvedObject": {"kind": "Pod", "name": "odd-name-0"}, "eventTime": "2026-11-26T15:08:16.5Z"}
    )

    assert event.facts({"odd-name-0": "orders"})["service"] == "orders"
    assert event.facts({})["service"] == "odd-name"


def test_what_happened_before_or_was_told_is_not_told():
    """Each happening once; times are whole seconds."""

    def event(uid, count, time_s):
        return event_view({"metadata": {"uid": uid}, "count": count, "lastTimestamp": f"2026-01-01T00:00:{time_s:02d}Z"})

    happenings = Happenings(since_s=event("x", 1, 10).time_s + 0.9)
    steps = [event("a", 1, 9), event("a", 1, 10), event("a", 1, 10), event("a", 3, 20), event("a", 2, 15), event("b", 1, 20)]

    assert [happenings.new(one) for one in steps] == [False, True, False, True, False, True]
    happenings.gone("a")
    assert "a" not in happenings.told


@pytest.mark.parametrize(
    "value", [{}, {"metadata": {}}, {"metadata": {"uid": "u"}, "count": "x"}, {"metadata": {"uid": "u"}, "involvedObject": 3}]
)
def test_what_is_no_event_is_told_so(value):
    """By one kind of error."""
    with pytest.raises(ValueError, match="not an event"):
        event_view(value)


def test_a_torn_line_is_cut(tmp_path):
    """What a killed collector left unfinished is neither read nor continued."""
    Journal(tmp_path).write(1.0, "pod", pod="a")
    with (tmp_path / "kubernetes.jsonl").open("a") as file:
        file.write('{"kind":"po')

    assert [one["pod"] for one in read_journal(tmp_path)] == ["a"]
    Journal(tmp_path).write(2.0, "pod", pod="b")
    assert [(one["time_s"], one["pod"]) for one in read_journal(tmp_path)] == [(1.0, "a"), (2.0, "b")]
    assert list(read_journal(tmp_path / "none")) == []
