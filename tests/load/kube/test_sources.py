"""The code that travels into pods."""

from __future__ import annotations

import subprocess
import sys

from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of
from tasks.load.kube.sources import FILES, sources
from tasks.load.plan import plan_of, write_plan
from tasks.load.shapes import curve_of

LOAD = """
import sys
for name in ("pydantic", "numpy", "pyarrow", "ruamel", "ruamel.yaml", "yaml", "prefect", "kubernetes"):
    sys.modules[name] = None
sys.path.insert(0, ".")
from locust.util.load_locustfile import load_locustfile
users, _ = load_locustfile("tasks/load/journeys/locustfile.py")
print(sorted(users), sorted(one.__file__ for name, one in sys.modules.items() if name.split(".")[0] == "tasks" and one.__file__))
"""


def test_locust_and_the_standard_library_are_all_it_needs(tmp_path):
    """Loaded from the files alone, without anything else of the product's dependencies: it works, and each file is used."""
    for name, text in sources().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = LoadConfig.model_validate({"users": {"shape": "constant", "users": 1}})
    plan = plan_of(settings, curve=curve_of(settings.users), journeys=journeys_of(settings), host="http://127.0.0.1:1", seed=1, raw=None)
    write_plan(tmp_path / "plan.json", plan)

    argv = [sys.executable, "-c", LOAD]
    ran = subprocess.run(argv, cwd=tmp_path, env={"TIDEGAUGE_LOAD_PLAN": "plan.json"}, capture_output=True, text=True, check=True)

    used = [f"{tmp_path}/{name}" for name in FILES if not name.endswith("locustfile.py")]
    assert ran.stdout.strip() == f"['Visitor'] {sorted(used)}"
