"""Workers that are lost are told, each once, and come back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tasks.base.errors import PreflightError
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.manifests import Crew, workers
from tasks.load.kube.roll import Roll
from tasks.load.kube.watchman import ABSENT_S, FUTILE, Watchman
from tests.load.kube.kubelet import Act, Kubelet

CREW = Crew("load-1a2b3c", "shop", "run-1", "tidegauge.local/locust:1", workers=2, at_most_s=99, memory_bytes=1 << 30)


@dataclass
class HandClock:
    """Time goes by when a test says so; the wall clock is the machine's."""

    now_s: float = 1000.0

    def wall_s(self) -> float:
        """Of this machine."""
        return time.time()

    def monotonic_s(self) -> float:
        """By hand."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Goes by at once."""
        self.now_s += seconds


@dataclass
class Scene:
    """Two workers at work, and somebody who looks after them."""

    clock: HandClock
    kubelet: Kubelet
    roll: Roll
    watchman: Watchman
    second: int = 0

    def act(self, number):
        """Who plays a worker now."""
        return self.kubelet.players[self.kubelet.worker(number)]

    def goes_by(self, *at_work):
        """A second, which those of these numbers have logged; what the look at its end tells."""
        for number in at_work:
            self.act(number).works(self.second)
        self.second += 1
        newest = int(self.act(0).begins_s) + self.second - 1
        book = self.watchman.book
        assert eventually(lambda: all(book.current(number).last_second == newest for number in at_work))
        self.clock.now_s += 1.0
        return self.watchman.look()


def eventually(check, seconds=15.0):
    """Wait until *check* holds; its last value."""
    until_s = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < until_s:
        time.sleep(0.01)
    return found


@pytest.fixture
def scene(api, place, tmp_path):
    """Both have begun, and were looked at."""
    (tmp_path / "load").mkdir()
    clock = HandClock()
    book = Logbook(tmp_path / "load", clock, 2)
    roll = Roll(place, CREW.selector, book, clock)
    with Kubelet(api, "shop", Act.casting(2)) as kubelet:
        api.put(workers(CREW, {}))
        assert eventually(lambda: len(kubelet.pods()) == 2)
        roll.start()
        assert eventually(lambda: book.begun() == {0, 1})
        made = Scene(clock, kubelet, roll, Watchman(place, roll, book, clock))
        assert made.goes_by(0, 1) is None
        yield made
        api.remove("Job", CREW.named("workers"), "shop")
        for pod in kubelet.pods():
            kubelet.lose(pod["metadata"]["name"])
        roll.stop(patience_s=0.1)


def test_workers_at_work_are_left_alone(scene):
    """Second by second, nothing to tell."""
    assert [scene.goes_by(0, 1) for _ in range(10)] == [None] * 10


def test_a_worker_whose_pod_is_gone_is_lost_at_once_and_told_once(scene):
    """The other goes on; the one that takes its place is a new worker of the same number."""
    lost = scene.kubelet.worker(1)
    scene.kubelet.lose(lost)
    assert eventually(lambda: all(pod.name != lost for pod in scene.roll.pods()))

    told = scene.goes_by(0)
    assert eventually(lambda: len(scene.watchman.book.lives_of(1)) == 2)
    after = [scene.goes_by(0, 1) for _ in range(3)]

    assert (told.why, told.who, told.last_second) == ("dead", "worker 1 of the load", int(scene.act(0).begins_s))
    assert after == [None] * 3
    assert scene.watchman.told == [told]


def test_a_worker_whose_kubelet_does_not_know_it_yet_is_not_lost(scene, api):
    """Nothing comes, and the kubelet, started anew, says that there is no such pod, while it is there: nobody can say."""
    api.fail_next(404, times=1000, path=f"{scene.kubelet.worker(1)}/log", message="pod not found")
    told = [scene.goes_by(0) for _ in range(8)]
    looked = eventually(lambda: len(api.asked(f"{scene.kubelet.worker(1)}/log")) > 1)
    told += [scene.goes_by(0) for _ in range(3)]

    assert looked
    assert told == [None] * 11


def test_a_process_that_was_replaced_before_anybody_looked_is_told_all_the_same(scene):
    """Between two looks it died and came back."""
    scene.act(0).kill()
    assert eventually(lambda: len(scene.watchman.book.lives_of(0)) == 2)

    told = scene.goes_by(0, 1)

    assert (told.why, told.exit_status, told.who) == ("dead", 137, "worker 0 of the load")
    assert scene.goes_by(0, 1) is None


def test_a_worker_that_says_nothing_is_hung_within_ten_seconds_and_replaced(scene):
    """Its pod is there, the API server answers, and nothing comes: it is killed, and the Job brings another."""
    hung, begun_s = scene.kubelet.worker(1), scene.clock.now_s

    assert [scene.goes_by(0) for _ in range(5)] == [None] * 5
    while not scene.watchman.told:  # what is found is told at the next look
        scene.goes_by(0)

    assert scene.watchman.told[0].why == "hung"
    assert scene.clock.now_s - begun_s <= 10.0
    assert eventually(lambda: len(scene.watchman.book.lives_of(1)) == 2)
    assert scene.kubelet.worker(1) != hung


def test_a_stream_that_says_nothing_is_no_lost_worker(api, scene):
    """The worker goes on logging, the open connection brings nothing: a look besides it finds the lines, and another stream goes on."""
    api.stall_next(450, path=f"-workers-1-{scene.kubelet.born + 1}/log")
    scene.kubelet.lose(scene.kubelet.worker(1))
    assert eventually(lambda: len(scene.watchman.book.lives_of(1)) == 2)
    assert scene.goes_by(0).why == "dead"
    for second in range(scene.second, scene.second + 20):
        scene.act(1).works(second)
    newest = int(scene.act(1).begins_s) + scene.second + 19

    told = [scene.goes_by(0) for _ in range(8)]

    assert eventually(lambda: scene.watchman.book.current(1).last_second == newest)
    scene.act(1).works(100)
    assert eventually(lambda: scene.watchman.book.current(1).last_second == newest - scene.second + 81 + 8)
    assert told == [None] * 8


def test_while_nobody_can_say_nobody_is_killed(api, scene):
    """The API server is away: silence is no proof."""
    pods = [pod["metadata"]["name"] for pod in scene.kubelet.pods()]
    api.fail_next(403, times=1000, path="/log")

    told = [scene.goes_by(0) for _ in range(1)]
    for _ in range(20):
        scene.clock.now_s += 1.0
        told.append(scene.watchman.look())

    assert told == [None] * 21
    assert [pod["metadata"]["name"] for pod in scene.kubelet.pods()] == pods


def test_after_a_hold_up_of_our_own_readers_may_catch_up_first(scene):
    """This machine was suspended for a minute: that says nothing of the workers."""
    scene.clock.now_s += 60.0

    assert scene.watchman.look() is None
    assert scene.goes_by(0, 1) is None


def test_a_worker_that_dies_again_and_again_ends_the_load(scene):
    """Without one second logged in between, with what it said last."""
    scene.kubelet.players[scene.kubelet.worker(0)].log.append(b"locust: error: no")
    for times in range(FUTILE + 1):
        assert scene.watchman.look() is None
        scene.act(1).kill()
        assert eventually(lambda count=times + 2: len(scene.watchman.book.lives_of(1)) == count)
        scene.clock.now_s += 1.0
        if times < FUTILE:
            assert scene.watchman.look().why == "dead"

    with pytest.raises(PreflightError, match=r"worker 1 of the load keeps dying: load-1a2b3c-workers-0-1: locust: error: no"):
        scene.watchman.look()
    assert len(scene.watchman.told) == FUTILE + 1


def test_a_worker_that_does_not_come_back_ends_the_load(api, scene):
    """Half a load for hours is no load; in the cluster's own words."""
    scene.kubelet.waiting = {"reason": "ErrImagePull", "message": "no such image"}
    scene.kubelet.lose(scene.kubelet.worker(1))
    assert eventually(lambda: any(pod.stuck for pod in scene.roll.pods()))
    assert scene.goes_by(0).why == "dead"
    scene.clock.now_s += ABSENT_S + 1.0

    with pytest.raises(PreflightError, match="worker 1 of the load did not come back in 300 s: ErrImagePull: no such image"):
        scene.watchman.look()
