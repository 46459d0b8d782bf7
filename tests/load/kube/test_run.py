"""A load in pods, from start to stop, on a fake API server whose pods are real processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.kube.rights import without_names
from tasks.load.config import LoadConfig
from tasks.load.history import finish, read_history
from tasks.load.kube.rights import needed
from tasks.load.kube.run import PodLoad
from tests.load.kube.kubelet import Kubelet, Process


def settings(**changes: Any) -> LoadConfig:
    """Twenty-one users of two workers."""
    given = {"users": {"shape": "constant", "users": 21}, "journeys_per_user_per_s": 1.0, "place": "pods", "workers": 2}
    return LoadConfig.model_validate(given | changes)


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Poll until *condition* holds; its last value."""
    until_s = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until_s:
        time.sleep(0.05)
    return found


@pytest.fixture
def place(place):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return replace(place, port=found.getsockname()[1])


def test_a_master_and_two_workers_are_one_load(api, place, target, tmp_path):
    """
    Some seconds of Locust, in three processes, one of which is killed.

    All that the shop answered is counted, but for the second in which the worker was killed; that worker is seen to be lost,
    comes back at its place, and every second without it says so. Nothing is left in the cluster, and the rights that were used are those
    that the load says it needs.
    """
    with Kubelet(api, "shop", Process.casting(api, tmp_path)) as kubelet:
        load = PodLoad.start(settings(), place=place, host=target.host, seed=7, out=tmp_path / "load")
        begun_s = load.origin_wall_s
        assert wait_for(lambda: load.keep() is None and (load.status().second or 0) >= begun_s)
        before = load.status()
        lost_s = time.time()
        os.kill(kubelet.players[kubelet.worker(1)].child.pid, signal.SIGKILL)
        restart = wait_for(load.keep)
        assert wait_for(lambda: load.keep() is None and load.status().users_present == 21 and load.status().second > lost_s)
        back_s = load.status().second
        stopped = load.stop()
        left = [one["kind"] for kind in ("Job", "Pod", "Service", "ConfigMap") for one in api.all(kind, "shop")]
    finish(load.out)
    history = read_history(load.out)

    assert (before.users_planned, before.users_present, before.alive, before.restarts) == (21.0, 21, True, 0)
    assert (restart.why, restart.exit_status, restart.who, restart.time_s - lost_s < 10) == ("dead", 137, "worker 1 of the load", True)
    assert (stopped.finished, stopped.alive, load.left, left) == (True, False, [], [])
    assert sorted(map(str, without_names(place.api.used))) == sorted(map(str, needed(settings(), "shop")))
    answered, counted = sum(target.answered().values()), int(history.requests.sum())
    assert answered - 2 * 9 * 10 <= counted <= answered
    window = (history.second > lost_s) & (history.second < back_s - 1)
    assert all("generator-restarted" in why for why in (history.reasons[place] for place in window.nonzero()[0]))
    assert not history.degraded[history.second < int(lost_s) - 1].any()
