"""The log of a pod is read to its end, whatever happens on the way."""

from __future__ import annotations

import json
import time

import pytest

from tasks.base.clock import SystemClock
from tasks.load.kube.follower import Follower
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.manifests import CONTAINER
from tasks.load.kube.pods import state_of
from tasks.load.raw import raw_files
from tests.load.kube.kubelet import status
from tests.load.kube.robot import Robot

NAME = "load-workers-0-x"


@pytest.fixture
def log(api):
    """What the API server shows of a pod's log."""
    api.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "namespace": "shop", "annotations": {"batch.kubernetes.io/job-completion-index": "0"}},
            "spec": {},
            "status": status("Running", 0, {"running": {}}),
        }
    )
    return api.logs.setdefault(("shop", NAME, CONTAINER), [])


@pytest.fixture
def follower(api, place, log, tmp_path):
    """A reader of that log."""
    (tmp_path / "load").mkdir()

    def newest():
        found = api.object("Pod", NAME, "shop")
        return None if found is None else state_of(found)

    return Follower(place, newest(), Logbook(tmp_path / "load", SystemClock(), 1), SystemClock(), newest)


def whole(robot, seconds):
    """The lines of a load of some seconds."""
    now = int(time.time())
    robot.begin(float(now))
    for second in range(seconds):
        robot.second(now + second)
    robot.end()
    return robot.lines


def written(follower):
    """All lines of all raw logs."""
    return [line for path in raw_files(follower.book.out) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("cuts", [(10,), (1, 700, 2000)])
def test_a_stream_that_is_cut_is_taken_up_where_it_was(api, log, follower, cuts):
    """In the middle of a line or between two: nothing is lost, nothing is there twice."""
    log += whole(Robot(), 12)
    for place in cuts:
        api.cut_next(place, path=f"{NAME}/log")
    thread = follower.start()
    assert _eventually(lambda: follower.book.current(0) is not None and follower.book.current(0).ended)
    api.remove("Pod", NAME, "shop")
    thread.join(10)

    assert not thread.is_alive()
    assert written(follower) == log
    assert len(api.asked(f"{NAME}/log")) > len(cuts)


def test_lines_that_the_node_has_thrown_away_cost_themselves_alone(api, log, follower):
    """A log was turned over while the way was cut: what is gone is counted, and reading goes on after it."""
    lines = whole(Robot(), 12)
    log += lines[:3] + lines[6:]
    thread = follower.start()
    assert _eventually(lambda: follower.book.current(0) is not None and follower.book.current(0).ended)
    api.remove("Pod", NAME, "shop")
    thread.join(10)

    assert written(follower) == lines[:3] + lines[6:]
    assert follower.book.current(0).sequence.lost == 3


def test_the_last_words_of_a_process_that_was_replaced_are_read(log, follower, monkeypatch):
    """Its successor has a log of its own; the one before is asked for once."""
    before, after = whole(Robot(), 5), whole(Robot(), 3)
    log += after
    asked = []
    monkeypatch.setattr(follower.place.api, "text", lambda path, query: asked.append((path, query)) or b"\n".join(before).decode())
    for line in before[:2]:
        follower.book.take(follower.pod, line)

    follower.catch_up()
    follower.catch_up()

    assert sorted(written(follower)) == sorted([*before, *after])
    assert asked == [(f"/api/v1/namespaces/shop/pods/{NAME}/log", {"container": CONTAINER, "previous": "true"})]


def test_a_reader_ends_with_its_pod(api, log, follower):
    """A pod that is gone has no log."""
    api.remove("Pod", NAME, "shop")

    thread = follower.start()
    thread.join(10)

    assert not thread.is_alive()
    assert follower.trouble is None


def test_a_kubelet_that_has_not_found_its_pod_yet_is_asked_again(api, log, follower):
    """It was started anew; the pod is there, and its log is read to the end."""
    log += whole(Robot(), 5)
    api.fail_next(404, times=2, path=f"{NAME}/log", message=f"pod {NAME} not found")
    thread = follower.start()
    assert _eventually(lambda: follower.book.current(0) is not None and follower.book.current(0).ended)
    api.remove("Pod", NAME, "shop")
    thread.join(10)

    assert written(follower) == log
    assert not thread.is_alive()


def test_an_api_server_that_is_away_is_asked_again(api, log, follower):
    """Errors that pass are no reason to end."""
    log += whole(Robot(), 3)
    api.fail_next(400, times=2, path=f"{NAME}/log", message="container is waiting to start")
    thread = follower.start()
    assert _eventually(lambda: follower.book.current(0) is not None and follower.book.current(0).ended)
    api.remove("Pod", NAME, "shop")
    thread.join(10)

    assert written(follower) == log
    assert json.loads(log[-1])["kind"] == "end"


def _eventually(check, seconds=15.0):
    until_s = time.monotonic() + seconds
    while not check() and time.monotonic() < until_s:
        time.sleep(0.02)
    return check()
