"""What workers say becomes raw logs, a status, and facts about clocks."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace

import pytest

from tasks.base.clock import SystemClock
from tasks.load.clocks import read_shifts
from tasks.load.kube.logbook import NOISE_BYTES, Logbook
from tasks.load.kube.pods import PodState
from tasks.load.raw import RawReader, raw_files
from tests.load.kube.robot import Robot


def pod(worker=0, **changes):
    """A pod at work."""
    name = f"load-workers-{worker}-x"
    facts = {"name": name, "uid": name, "worker": worker, "node": f"node{worker}", "begun": True, "restarts": 0, "over": False}
    return PodState(**{**facts, "exit_code": None, "stuck": None, "waiting": None, **changes})


@pytest.fixture
def book(tmp_path):
    """Of two workers."""
    return Logbook(tmp_path, SystemClock(), workers=2)


def seconds_of(folder):
    """What the raw logs say: second, users and requests."""
    return [(one.second, one.users_present, one.endpoints["GET /"].requests) for one in RawReader(folder).seconds()]


def test_logs_cut_and_read_again_are_written_once(book, tmp_path):
    """Two workers, pieces of their logs in any order and overlap: a file each, every line once, and their sum."""
    now, rng = int(time.time()), random.Random(5)
    robots = [Robot(worker, 2) for worker in (0, 1)]
    for robot in robots:
        robot.say("ready")
        robot.begin(float(now))
        for second in range(20):
            robot.second(now + second)
        robot.end()

    for _ in range(30):
        robot = rng.choice(robots)
        start = rng.randrange(len(robot.lines))
        for line in robot.lines[start : start + rng.randrange(12)]:
            book.take(pod(robot.worker), line)
    for robot in robots:
        for line in robot.lines:
            book.take(pod(robot.worker), line)

    written = sorted(path.read_bytes().splitlines() for path in raw_files(tmp_path))
    assert written == sorted(robot.lines[1:] for robot in robots)
    assert seconds_of(tmp_path) == [(now + second, 20, 10) for second in range(20)]


def test_each_process_has_a_log_of_its_own(book, tmp_path):
    """A worker that was replaced, in its pod or by another pod, goes on in a new file."""
    now = int(time.time())
    for number, there in enumerate((pod(), replace(pod(), restarts=1), pod(uid="another"))):
        robot = Robot()
        for line in (robot.begin(float(now)), robot.second(now + number)):
            book.take(there, line)

    assert len(raw_files(tmp_path)) == 3
    assert [(life.place, life.last_second) for life in book.lives_of(0)] == [(0, now), (1, now + 1), (0, now + 2)]
    assert book.current(0) is book.lives_of(0)[-1]


def test_seconds_of_another_clock_become_ours(book, tmp_path):
    """A node that is 90 seconds behind: the offset is measured to what a line takes to arrive, and its seconds are moved."""
    now = int(time.time())
    for worker, behind_s in ((0, 0.0), (1, 90.3)):
        robot = Robot(worker, 2, behind_s)
        for line in (robot.begin(float(now)), robot.second(now)):
            book.take(pod(worker), line)
    book.write_clocks()

    assert seconds_of(tmp_path) == [(now, 20, 10)]
    assert [start["origin_wall_s"] for start in _starts(tmp_path)] == pytest.approx([now, now - 0.3])
    facts = json.loads((tmp_path / "clocks.json").read_text())
    assert [fact["offset_s"] for fact in facts.values()] == pytest.approx([0.0, 90.3], abs=0.2)
    assert sorted(read_shifts(tmp_path).values()) == [0, 90]
    assert book.origin_wall_s(ours=True) == pytest.approx(now)


def _starts(folder):
    reader = RawReader(folder)
    list(reader.seconds())
    return reader.starts


def test_the_status_is_that_of_the_newest_second_that_is_whole(book):
    """Not of one that a worker has still to report; but a worker that is lost holds nobody up for more than two seconds."""
    now = int(time.time())
    first, second = Robot(0, 2), Robot(1, 2)
    for robot in (first, second):
        book.take(pod(robot.worker), robot.begin(float(now)))
    told = [book.status(alive=True, finished=False, restarts=0).second]
    for robot in (first, second):
        book.take(pod(robot.worker), robot.second(now))
    for later in range(1, 5):
        book.take(pod(), first.second(now + later))
        status = book.status(alive=True, finished=False, restarts=0)
        told.append((status.second - now, status.users_present, status.requests_per_s))

    assert told == [None, (0, 20, 10.0), (0, 20, 10.0), (1, 10, 5.0), (2, 10, 5.0)]


def test_what_else_containers_say_is_kept_up_to_a_limit(book, tmp_path):
    """For whoever has to find out why they do not start."""
    for _ in range(3000):
        book.take(pod(), b"x" * 1000)

    assert book.noise().startswith("load-workers-0-x: xxx")
    assert (tmp_path / "generator.log").stat().st_size <= NOISE_BYTES
    assert book.lives == {}


def test_how_long_ago_a_pod_said_something_is_told_by_its_own_words(book):
    """By when the line was written, not by when it came, and whatever the clock there says; nothing for who was never heard."""
    robot = Robot(behind_s=50.0)
    book.take(pod(), robot.say("ready"))
    robot.behind_s += 7.0
    late = robot.say("ready")
    book.take(pod(), late)

    assert book.age_s(pod().uid) == pytest.approx(7.0, abs=0.2)
    assert book.age_s("another") is None
