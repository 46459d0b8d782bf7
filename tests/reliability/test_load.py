"""The load generator is killed, stopped, or meets a shop that only fails; and every shape keeps its promise when nothing is wrong."""

import importlib.util
import os
import signal
import time

import pytest

from tasks.load.config import LoadConfig
from tasks.load.history import finish, read_history
from tasks.load.runner import LoadRun

NOTICED_S = 10.0
SHAPES = {
    "constant": {"shape": "constant", "users": 20},
    "steps": {"shape": "steps", "users": [8, 16, 24, 12], "step_s": 10},
    "ramp": {"shape": "ramp", "from_users": 5, "to_users": 30, "duration_s": 35},
    "day-night": {"shape": "day-night", "night_users": 4, "day_users": 28, "period_s": 20},
    "flash-crowd": {"shape": "flash-crowd", "users": 10, "peak_users": 40, "at_s": 10, "rise_s": 3, "hold_s": 10, "fall_s": 5},
    "csv-held": {"shape": "csv", "file": "users.csv"},
    "csv-linear": {"shape": "csv", "file": "users.csv", "interpolate": "linear"},
}


@pytest.fixture
def target(root, tmp_path):
    """A small real web server."""
    spec = importlib.util.spec_from_file_location("load_target", root / "tests" / "load" / "target.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "target"
    folder.mkdir()
    with module.running(folder) as target:
        yield target


@pytest.fixture
def started(target, tmp_path, seed):
    """Starts loads against the target, and ends them."""
    runs = []

    def start(users, rate, name="load", **options):
        settings = LoadConfig.model_validate({"users": users, "journeys_per_user_per_s": rate})
        runs.append(LoadRun.start(settings, host=target.host, seed=seed, out=tmp_path / name, folders=[tmp_path], **options))
        return runs[-1]

    yield start
    for run in runs:
        run.stop(grace_s=0)


def logged(run, second):
    """Whether *run* has logged *second*, without a restart meanwhile."""
    return run.keep() is None and (run.status().second or 0) >= second


def wait_for(condition, seconds=60.0):
    """Poll until *condition* holds; its last value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_lost_generator_is_noticed_replaced_and_its_window_degraded(started, target, ledger, rng, how):
    """Seen within 10 s; the next one goes on at the right place; every second without full load says so; none is invented."""
    run = started({"shape": "constant", "users": 20}, 1.0)
    assert wait_for(lambda: logged(run, run.origin_wall_s + 3))
    time.sleep(rng.random())  # a kill point of its own in each run
    lost_s = time.time()
    os.kill(run.child.pid, how)
    restart = wait_for(run.keep)
    noticed_s = restart.time_s - lost_s
    assert wait_for(lambda: logged(run, time.time() - 1.1) and run.status().users_present == 20)
    good_s = time.time()
    assert wait_for(lambda: logged(run, int(good_s) + 3))
    run.stop()
    finish(run.out)
    load = read_history(run.out)

    window = (load.second >= int(lost_s)) & (load.second <= int(restart.time_s))
    after = load.second > good_s
    honest = bool(load.degraded[window].all()) and not {"generator-missing", "generator-restarted"} & {
        w for why in load.reasons[-2:] for w in why
    }
    seen = noticed_s <= NOTICED_S and restart.why == ("dead" if how == signal.SIGKILL else "hung")
    answered, counted = sum(target.answered().values()), int(load.requests.sum())
    survived = seen and honest and window.any() and after.any() and counted <= answered
    ledger.count(row=29, fault="load generator killed -9 or stopped", survived=survived, figure=f"{noticed_s:.1f} s to notice")
    assert survived, (noticed_s, restart, load.reasons, counted, answered)


@pytest.mark.slow
def test_a_shop_that_only_fails_is_never_told_as_fine(started, target, ledger):
    """Errors of every kind are counted as they are, at the planned pace, and the generator is not blamed for them."""
    target.ask("status?code=500")
    run = started({"shape": "constant", "users": 10}, 1.0)
    assert wait_for(lambda: logged(run, run.origin_wall_s + 3))
    target.process.kill()  # from now on nobody listens at all
    target.process.wait()
    assert wait_for(lambda: logged(run, run.origin_wall_s + 7))
    run.stop()
    finish(run.out)
    load = read_history(run.out)

    failing = bool((load.error_ratio()[:7] == 1.0).all())
    blamed = {reason for why in load.reasons for reason in why} - {"generator-late"}
    survived = failing and not blamed and run.restarts == []
    ledger.count(
        row=29, fault="target answers 500, then is gone", survived=survived, figure=f"error ratio {load.error_ratio()[:7].min():.2f}"
    )
    assert survived, (load.error_ratio(), load.reasons)


@pytest.mark.slow
def test_completed_journeys_are_within_2_percent_of_the_plan_for_every_shape(started, target, tmp_path):
    """Forty seconds of each shape, all at once against one server; seconds in which the machine held the generator up do not count."""
    (tmp_path / "users.csv").write_text("time_s,users\n0,5\n10,25\n22,12\n30,20\n")
    runs = {name: started(users, 0.5, name, duration_s=40) for name, users in SHAPES.items()}
    assert wait_for(lambda: [run.keep() for run in runs.values()] and all(run.status().finished for run in runs.values()), 90)

    errors = {}
    for name, run in runs.items():
        finish(run.out)
        load = read_history(run.out)
        fine = ~load.degraded
        planned = load.journeys_planned[fine].sum()
        errors[name] = abs(load.journeys_completed[fine].sum() - planned) / planned if fine.sum() >= 30 else 1.0

    assert max(errors.values()) <= 0.02, errors
