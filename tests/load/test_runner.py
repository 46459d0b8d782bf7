import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tasks.base.errors import PreflightError
from tasks.load.config import LoadConfig
from tasks.load.history import finish, read_history
from tasks.load.runner import LoadRun


def constant(users, rate):
    return LoadConfig.model_validate({"users": {"shape": "constant", "users": users}, "journeys_per_user_per_s": rate})


LATE = {"generator-late"}  # a machine that is busy with other things may hold anybody up


def shortfalls(load):
    """All reasons of all seconds."""
    return {reason for why in load.reasons for reason in why}


def wait_for(condition, seconds=30.0):
    """Poll until *condition* holds; its last value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def follow(run, seconds):
    """Keep *run* until it has logged *seconds* complete seconds."""
    first = run.origin_wall_s
    assert wait_for(lambda: run.keep() is None and (run.status().second or 0) >= first + seconds - 1)


@pytest.fixture
def started(target, tmp_path):
    """Starts loads against the target, and ends them."""
    runs = []

    def start(settings, **options):
        runs.append(LoadRun.start(settings, **{"host": target.host, "seed": 7, "out": tmp_path / "load"} | options))
        return runs[-1]

    yield start
    for run in runs:
        run.stop(grace_s=0)


def test_the_shop_answers_exactly_what_was_counted_and_planned(started, target, tmp_path):
    """Six seconds, 120 planned journeys: within 2 %, every request of ours is one that the server answered, logins included."""
    run = started(constant(20, 1.0), duration_s=6)
    opened = psutil.Process(run.child.pid).net_connections(kind="inet")

    assert wait_for(lambda: run.keep() is None and run.status().finished)
    answered = target.answered()
    finish(run.out)
    load = read_history(run.out)

    ours = {name.partition("?")[0]: int(count) for name, count in zip(load.endpoints, load.requests.sum(axis=0), strict=True)}
    assert ours == answered
    assert load.journeys_planned.sum() == pytest.approx(120, abs=0.1)
    assert load.journeys_completed.sum() == pytest.approx(120, rel=0.02)
    assert (len(load.second) in (6, 7), shortfalls(load) <= LATE) == (True, True)  # a last journey may end in the seventh
    assert (load.failures.sum(), load.declined.sum()) == (0, answered["POST /orders"] // 10)
    assert len(target.ask("counts")["logins"]) == 3
    assert not [connection for connection in opened if connection.status == psutil.CONN_LISTEN]
    assert run.child.wait(10) == 0


def test_a_freeze_shows_in_the_latency_from_the_intended_start_alone(started, target):
    """While the shop stops for two seconds few requests are under way, so own latencies hide it; but users start late, and that counts."""
    run = started(constant(20, 1.0))
    follow(run, 2)
    target.ask("freeze?s=2")
    follow(run, 6)
    run.stop()
    finish(run.out)
    load = read_history(run.out)

    column, whole = load.endpoints.index("POST /orders"), len(load.second)
    own = load.endpoint_quantile(0.95, latency="own", window_s=whole)[-1, column]
    intended = load.endpoint_quantile(0.95, window_s=whole)[-1, column]
    assert own < 0.2
    assert intended > 0.5
    assert load.journeys_started.sum() < load.journeys_planned.sum() - 5  # turns that a frozen user missed
    assert shortfalls(load) <= LATE  # the shop's fault, not the generator's


def test_asked_to_end_it_writes_the_last_second_and_ends_in_order(started, target):
    """After SIGTERM nothing that the shop answered is missing from the log; the shop is the one that the document names."""
    settings = constant(10, 1.0).model_copy(update={"address": target.host})
    run = started(settings, host="http://127.0.0.1:1")
    follow(run, 2)

    status = run.stop()

    finish(run.out)
    assert (status.finished, status.alive) == (True, False)
    assert read_history(run.out).requests.sum() == sum(target.answered().values())


def test_a_shop_that_only_fails_is_no_fault_of_the_load(started, target):
    """Every reply is a 500: all is counted as failures at the planned pace, and no second is degraded."""
    target.ask("status?code=500")
    run = started(constant(10, 1.0))
    follow(run, 3)
    status = run.stop()
    finish(run.out)
    load = read_history(run.out)

    assert (status.failures_per_s, status.requests_per_s > 0) == (status.requests_per_s, True)
    np.testing.assert_allclose(load.error_ratio()[:3], 1.0)
    assert load.journeys_started[:3].sum() == pytest.approx(30, abs=2)
    assert shortfalls(load) <= LATE


def test_a_generator_that_cannot_start_says_why(monkeypatch, tmp_path):
    """The end of its own output is in the message; nothing is left running."""
    monkeypatch.setattr("tasks.load.runner.LOCUSTFILE", tmp_path / "none.py")

    with pytest.raises(PreflightError, match="the load generator did not start"):
        LoadRun.start(constant(1, 1.0), host="http://127.0.0.1:1", seed=1, out=tmp_path / "load")


def test_our_process_never_loads_gevent():
    """Every module of the load is imported by itself: neither Locust nor gevent comes with them."""
    code = (
        "import importlib, pkgutil, sys, tasks.load as load\n"
        "names = [found.name for found in pkgutil.iter_modules(load.__path__)]\n"
        "assert 'runner' in names\n"
        "for name in names: importlib.import_module('tasks.load.' + name)\n"
        "print([name for name in ('gevent', 'locust', 'geventhttpclient') if name in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
