"""The plan, read without anything but the standard library."""

import subprocess
import sys

from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of
from tasks.load.plan import plan_of, write_plan
from tasks.load.script import read_script
from tasks.load.shapes import curve_of

JOURNEYS = [
    {
        "name": "buy",
        "weight": 2.5,
        "requests": [
            {"method": "GET", "path": "/catalogue", "learn": {"name": "item", "field": "id"}},
            {"method": "POST", "path": "/cart", "body": {"id": "{item}", "list": [1]}, "login": True, "declined": [406], "pause_s": 0.5},
        ],
    }
]


def test_generator_and_planner_read_the_same_plan(tmp_path):
    """Every value of the plan is in the script, journeys with all their requests included."""
    users = {"shape": "steps", "users": [2, 5], "step_s": 10, "repeat": True}
    settings = LoadConfig.model_validate({"users": users, "journeys": JOURNEYS, "accounts": [{"user": "me", "password": "secret"}]})
    plan = plan_of(settings, curve=curve_of(settings.users), journeys=journeys_of(settings), host="http://h", seed=4, raw=None)
    plan = plan.model_copy(update={"duration_s": 30.0, "origin_wall_s": 17.0})
    write_plan(tmp_path / "plan.json", plan)

    script = read_script(tmp_path / "plan.json")

    assert script.curve == curve_of(settings.users)
    plain = ("host", "seed", "rate_per_user_per_s", "timeout_s", "offset_s", "duration_s", "origin_monotonic_s", "origin_wall_s")
    assert [getattr(script, name) for name in plain] == [getattr(plan, name) for name in plain]
    assert (script.raw, script.stop_grace_s, script.workers) == (None, plan.stop_grace_s, 1)
    (account,), (journey,), (wanted,) = script.accounts, script.journeys, plan.journeys.journeys
    assert (account.user, account.password, journey.name, journey.weight) == ("me", "secret", "buy", 2.5)
    names = ("method", "path", "login", "body", "declined", "pause_s", "endpoint")
    for request, model in zip(journey.requests, wanted.requests, strict=True):
        assert [getattr(request, name) for name in names] == [getattr(model, name) for name in names]
    assert (journey.requests[0].learn.name, journey.requests[0].learn.field, journey.requests[1].learn) == ("item", "id", None)


def test_a_script_needs_nothing_but_the_standard_library():
    """Where only Locust is installed, reading it and counting work too."""
    code = "import sys, tasks.load.script, tasks.load.tally, tasks.load.walk, tasks.load.raw_log, tasks.load.schedule; print(*sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in ("pydantic", "numpy", "pyarrow", "ruamel", "yaml") if name in found] == []
