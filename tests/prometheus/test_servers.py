"""A real server does what a test needs of it, and is gone with the test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tasks.base.process import identify
from tests.conftest import ROOT
from tests.prometheus.history import BLOCK_MS, START_MS, Course, differing, jittered, resets, write_blocks
from tests.prometheus.push import push
from tests.prometheus.servers import (
    EACH_MAJOR,
    VARIABLE,
    Job,
    Prometheus,
    ServerError,
    binaries,
    block_bytes,
    block_samples,
    default_binary,
)

each_major = pytest.mark.parametrize("binary", EACH_MAJOR)


def now_ms() -> int:
    """This moment, on a whole second."""
    return int(time.time()) * 1000


@each_major
def test_a_server_answers_on_loopback_until_it_is_stopped(binary, tmp_path):
    """It is the version that was asked for; afterwards nobody listens, and the process is gone."""
    with Prometheus(tmp_path, binary=binary) as server:
        process = identify(server.pid)
        assert server.url.startswith("http://127.0.0.1:")
        assert server.api("status/buildinfo")["version"].startswith(binary.text)

    assert not server.ready()
    assert not process.alive()
    with pytest.raises(ServerError, match="does not run"):
        _ = server.pid


@each_major
def test_blocks_on_disk_are_served(binary, tmp_path):
    """The figures on disk are those of the blocks; what was deleted is gone from the answers, and nothing else is."""
    courses = jittered() + resets()
    write_blocks(courses, tmp_path / "data")
    with Prometheus(tmp_path, binary=binary) as server:
        found = server.raw('{__name__=~".+"}', START_MS, START_MS + 2 * BLOCK_MS)
        size = server.tsdb_bytes()
        server.delete("jittered")
        left = server.raw('{__name__=~".+"}', START_MS, START_MS + 2 * BLOCK_MS)

    assert differing(found, courses) == []
    assert differing(left, resets()) == []
    assert block_samples(tmp_path / "data") == sum(len(course.time_ms) for course in courses)
    assert 0 < size == block_bytes(tmp_path / "data") < 16 * block_samples(tmp_path / "data") + 50_000


@each_major
def test_raw_samples_are_trimmed_to_the_range(binary, tmp_path):
    """Both ends are included, by every version."""
    course = Course.of({"__name__": "edge"}, [START_MS, START_MS + 1000, START_MS + 2000, START_MS + 3000], [1, 2, 3, 4])
    write_blocks([course], tmp_path / "data")
    with Prometheus(tmp_path, binary=binary) as server:
        found = server.raw("edge", START_MS + 1000, START_MS + 2000)
        none = server.raw("edge", START_MS + 3001, START_MS + 9000)

    assert [one.value.tolist() for one in found.values()] == [[2, 3]]
    assert none == {}


@each_major
def test_a_killed_server_keeps_its_address_and_what_was_written(binary, tmp_path):
    """By force, then a start on the same data; an orderly restart keeps them too."""
    course = Course.of({"__name__": "kept"}, now_ms() - 10_000 + 1000 * np.arange(10), np.arange(10))
    with Prometheus(tmp_path, binary=binary) as server:
        push(server.url, [course])
        url, first = server.url, identify(server.pid)
        server.kill9()
        dead = not first.alive() and not server.ready()
        server.start()
        after_kill = server.raw("kept", now_ms() - 60_000, now_ms())
        server.restart()
        after_restart = server.raw("kept", now_ms() - 60_000, now_ms())

    assert dead
    assert server.url == url
    assert differing(after_kill, [course]) == differing(after_restart, [course]) == []


@each_major
def test_flags_and_configuration_reach_the_server(binary, tmp_path):
    """A bound on samples refuses a query with the server's own words; retention and external labels are as told."""
    flags = ("--query.max-samples=5", "--storage.tsdb.retention.time=3h")
    course = Course.of({"__name__": "many"}, now_ms() - 10_000 + 1000 * np.arange(10), np.arange(10))
    with Prometheus(tmp_path, binary=binary, flags=flags, config={"global": {"external_labels": {"cluster": "here"}}}) as server:
        push(server.url, [course])
        with pytest.raises(ServerError, match=r"status 422.*too many samples"):
            server.raw("many", now_ms() - 60_000, now_ms())
        retention = server.api("status/runtimeinfo")["storageRetention"]
        config = server.api("status/config")["yaml"]

    assert retention == "3h"
    assert "cluster: here" in config


def test_a_server_that_cannot_start_says_why(tmp_path):
    """The end of its log is in the error; no process is left."""
    server = Prometheus(tmp_path, flags=["--no.such.flag"])

    with pytest.raises(ServerError, match=r"no\.such\.flag"):
        server.start()
    with pytest.raises(ServerError, match="does not run"):
        _ = server.pid


def test_the_processor_time_is_the_servers_own(tmp_path):
    """It grows while the server works, by less than the wall time of all processors."""
    with Prometheus(tmp_path) as server:
        before, begun_s = server.cpu_s(), time.monotonic()
        server.wait(lambda: bool(server.value("count_values('x', vector(1))")) and server.cpu_s() > before + 0.02, "working")
        spent, wall_s = server.cpu_s() - before, time.monotonic() - begun_s

    assert 0.02 < spent < 64 * wall_s


def test_a_server_ends_with_whoever_started_it(tmp_path):
    """Even with kill -9, which lets nobody clean up."""
    default_binary()
    code = "import sys, time; from pathlib import Path; from tests.prometheus.servers import Prometheus\n"
    code += "print(Prometheus(Path(sys.argv[1])).start().pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        server = identify(int(starter.stdout.readline()))
        alive = server.alive()
        starter.send_signal(signal.SIGKILL)
    until_s = time.monotonic() + 20
    while server.alive() and time.monotonic() < until_s:
        time.sleep(0.02)

    assert alive
    assert not server.alive()


def test_a_job_is_what_prometheus_reads(tmp_path):
    """Intervals in milliseconds, targets in a file of their own, further settings as told; a running server takes new targets."""
    job = Job("shop", ["127.0.0.1:1"], interval_s=0.5, labels={"zone": "a"}, more={"honor_labels": True})
    with Prometheus(tmp_path, jobs=[job]) as server:
        loaded = server.api("status/config")["yaml"]
        server.retarget("shop", "127.0.0.1:1", "127.0.0.1:2")
        server.wait(lambda: len(server.api("targets")["activeTargets"]) == 2, "scraping both")
        targets = server.api("targets")["activeTargets"]

    assert "scrape_interval: 500ms" in loaded
    assert "honor_labels: true" in loaded
    assert {(one["labels"]["instance"], one["labels"]["zone"]) for one in targets} == {("127.0.0.1:1", "a"), ("127.0.0.1:2", "a")}
    assert json.loads((tmp_path / "targets-shop.json").read_text())[0]["labels"] == {"zone": "a"}


def test_a_server_named_in_the_environment_is_found(tmp_path, monkeypatch):
    """By its own word for its version; what only looks like one is not."""
    real = default_binary()
    for path, line in ((tmp_path / "three", "prometheus, version 3.9.1 (branch: x)"), (tmp_path / "other", "other, version 4.0.0")):
        path.write_text(f"#!/bin/sh\necho '{line}'\n")
        path.chmod(0o755)
    found = {}
    try:
        for name in ("three", "other", "absent"):
            monkeypatch.setenv(VARIABLE, str(tmp_path / name))
            binaries.cache_clear()
            found[name] = binaries()
    finally:
        monkeypatch.undo()
        binaries.cache_clear()

    assert [(one.path.name, one.text) for one in found["three"] if one.path.parent == tmp_path] == [("three", "3.9.1")]
    assert real in found["three"]
    assert found["other"] == found["absent"] == binaries()
