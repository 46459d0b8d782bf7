"""From the folder of a collector that has ended to the certificate: gaps come from the samples, their causes from what it told."""

from __future__ import annotations

import pytest

from tasks.base.clock import SystemClock
from tasks.recordings.finish import certificate_of
from tasks.telemetry.causes import Cause
from tasks.telemetry.certificate_text import sentences
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.heartbeat import Heartbeat
from tasks.telemetry.samples import read_samples, read_series

T0 = 1_790_000_000
ROUNDS = {"interval_s": 5.0, "rounds": 9, "late": 0, "left_out": 0, "targets": 4, "connections": 4}
ROUNDS |= {"longest_s": 0.3, "usual_s": 0.1, "needed_s": 0.0}


@pytest.fixture
def folder(tmp_path):
    """One pod that was looked at every five seconds, but not from 20 to 40 s."""
    writer = ChunkWriter(tmp_path)
    up = writer.table.number("service", "front", "up", {"job": "pods", "replica": "0"})
    for at in (*range(0, 25, 5), *range(40, 65, 5)):
        writer.add((T0 + at) * 1000, [up], [1.0], {})
    writer.flush()
    writer.close()
    return tmp_path


def told(folder, said, *events):
    """The certificate where a collector said and told this."""
    heartbeat = Heartbeat(folder, SystemClock())
    for kind, at, facts in events:
        heartbeat.event(kind, since_s=T0 + at, **facts)
    heartbeat.say(said, alive=False)
    return certificate_of(folder, read_series(folder), read_samples(folder), 5.0, (T0, T0 + 60))


DOWN = ("api_down", 25, {"word": "refused", "error": "the API server: cannot connect: Connection refused"})


@pytest.mark.parametrize("said", [{}, {"kubelet": {}}, {"kubelet": {"rounds": ROUNDS}}], ids=["scraped", "older", "kubelet"])
def test_a_gap_has_the_cause_that_its_collector_told(folder, said):
    """Whoever scraped; and it is in the JSON that the ledger and the certificate have."""
    found = told(folder, said, ("started", 0, {}), DOWN, ("api_up", 40, {}))

    (gap,) = found.gaps
    assert (gap.start_s, gap.end_s, gap.cause) == (T0 + 20, T0 + 40, Cause("API server", "refused", DOWN[2]["error"]))
    assert found.to_json()["gaps"][0]["cause"] == {"who": "API server", "word": "refused", "said": DOWN[2]["error"]}


def test_a_collector_that_told_nothing_leaves_the_cause_open(folder):
    """The gap is there all the same."""
    (gap,) = told(folder, {"kubelet": {}}).gaps
    assert gap.cause is None


def test_who_watched_beside_a_server_explains_its_own_looks_alone(folder):
    """The API server was away from it, which says nothing about what the server scraped."""
    writer = ChunkWriter(folder)
    looks = writer.table.number("harness", "kubernetes", "up", {"job": "state", "instance": "kubernetes"})
    for at in (*range(0, 15, 5), *range(45, 65, 5)):
        writer.add((T0 + at) * 1000, [looks], [1.0], {})
    writer.flush()
    writer.close()
    Heartbeat(folder, SystemClock()).event("api_down", since_s=T0 + 15, word="timeout", error="no answer within 1 s")
    Heartbeat(folder, SystemClock()).event("api_up", since_s=T0 + 45)
    (folder / "collector-events.jsonl").rename(folder / "watch-events.jsonl")

    found = told(folder, {})

    assert [(gap.target, gap.cause and gap.cause.word) for gap in found.gaps] == [("kubernetes", "timeout"), (None, None)]


def test_rounds_are_told_with_the_certificate(folder):
    """How long they took always; what to do where they were too long."""
    kept = sentences(told(folder, {"kubelet": {"rounds": ROUNDS}}).to_json())
    late = {**ROUNDS, "late": 3, "left_out": 1200, "needed_s": 7.13}
    warned = sentences(told(folder, {"kubelet": {"rounds": late}}).to_json())

    begin = "a round of 4 targets took 0.1 s (median), 0.3 s at most, over 4 connections; its samples have the time at which it began"
    assert begin in kept
    assert not any("warning" in line for line in kept)
    assert (
        "warning: a round takes 7.1 s, longer than the interval of 5 s (3 of 9 rounds, 1,200 scrapes left out): "
        "raise interval_s or use a Prometheus"
    ) in warned
    assert not any("round" in line for line in sentences(told(folder, {"kubelet": {}}).to_json()))


def test_where_silent_targets_took_the_time_no_length_is_told(folder):
    """Of the few who answered nothing follows for all the others."""
    late = {**ROUNDS, "late": 3, "left_out": 12_000, "needed_s": None}
    assert (
        "warning: rounds were longer than the interval of 5 s since silent targets took the time (3 of 9 rounds, 12,000 scrapes left out): "
        "lower timeout_s, raise interval_s or use a Prometheus"
    ) in sentences(told(folder, {"kubelet": {"rounds": late}}).to_json())
