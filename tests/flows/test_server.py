"""Which Prefect server is used, and why."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from uuid import UUID

import pytest

from flows.server import choose_server, without_login
from tests.conftest import ROOT
from tests.flows.conftest import latest

PROFILES = """\
active = "work"

[profiles.work]
PREFECT_API_URL = "http://127.0.0.1:4999/api"

[profiles.bare]
PREFECT_LOGGING_LEVEL = "INFO"
"""


@pytest.fixture
def home(tmp_path):
    """A Prefect home with two profiles, one of which names a server."""
    folder = tmp_path / ".prefect"
    folder.mkdir()
    (folder / "profiles.toml").write_text(PROFILES)
    return folder


def test_the_named_address_wins(tmp_path, home):
    """``PREFECT_API_URL`` comes before any profile, and no home is set."""
    choice = choose_server({"HOME": str(tmp_path), "PREFECT_API_URL": "http://127.0.0.1:4201/api"}, tmp_path / "store")

    assert choice.url == "http://127.0.0.1:4201/api"
    assert "PREFECT_HOME" not in choice.environment


def test_the_active_profile_is_used(tmp_path, home):
    """A profile with an address is the user's choice; the reason names it."""
    choice = choose_server({"HOME": str(tmp_path)}, tmp_path / "store")

    assert choice.url == "http://127.0.0.1:4999/api"
    assert "'work'" in choice.why
    assert "PREFECT_HOME" not in choice.environment


@pytest.mark.parametrize("variable", ["PREFECT_PROFILE", "PREFECT_HOME"])
def test_a_home_or_profile_without_address_keeps_its_database(tmp_path, home, variable):
    """The server is temporary, but its database stays where the user keeps it."""
    environ = {"HOME": str(tmp_path), "PREFECT_PROFILE": "bare", "PREFECT_HOME": str(home)}
    if variable == "PREFECT_PROFILE":
        del environ["PREFECT_HOME"]

    choice = choose_server(environ, tmp_path / "store")

    assert choice.url is None
    assert "PREFECT_HOME" not in choice.environment
    assert str(home) in choice.why


def test_without_anything_the_database_is_the_stores(tmp_path):
    """Nothing named: a temporary server whose database lies in the store."""
    choice = choose_server({"HOME": str(tmp_path)}, tmp_path / "store")

    assert choice.url is None
    assert choice.environment["PREFECT_HOME"] == str(tmp_path / "store" / "prefect")


def test_every_choice_keeps_quiet_and_writes_json(tmp_path):
    """No look-up outside, no pickle, leases that survive a restart, whoever's server it is."""
    for environ in ({}, {"PREFECT_API_URL": "http://127.0.0.1:4201/api"}):
        chosen = choose_server({"HOME": str(tmp_path), **environ}, tmp_path / "store").environment

        assert (chosen["DO_NOT_TRACK"], chosen["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")
        assert chosen["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
        assert chosen["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(".filesystem")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
        ("https://me:s3cret@host/api", "https://host/api"),
        ("https://me:p@ss@host/api", "https://host/api"),
    ],
)
def test_a_login_is_never_shown(url, shown):
    """What is kept of an address has no user name and no password."""
    assert without_login(url) == shown


@pytest.mark.timeout(180)
def test_runs_of_a_named_server_are_seen_there(tidegauge, store, prefect_url):
    """`evaluate` on the user's server: its flow run is there, under the address that the record holds."""
    from prefect.client.orchestration import get_client

    done = tidegauge("evaluate", "--run", "latest", "--refresh", "evaluate", "--json", store=store, PREFECT_API_URL=prefect_url)

    assert done.code == 0, done.err
    assert done.value["prefect"]["server"] == prefect_url
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(UUID(done.value["prefect"]["flow_run"]))
    assert found.state_name == "Completed"
    assert not list(store.root.glob("prefect/*"))


@pytest.mark.timeout(180)
def test_the_temporary_server_leaves_its_database_and_no_process(tidegauge, store, clean):
    """The run is in the database that `serve` opens, with every task run in its final state; its server is gone."""
    done = tidegauge("evaluate", "--run", "latest", "--refresh", "evaluate", "--json", store=store)

    assert done.code == 0, done.err
    assert done.value["prefect"]["server"] == "ephemeral"
    with sqlite3.connect(store.root / "prefect" / "prefect.db") as database:
        flow_runs = dict(database.execute("select id, state_name from flow_run"))
        tasks = [name for (name,) in database.execute("select state_name from task_run")]
        logged = [text for (text,) in database.execute("select message from log")]
    assert list(flow_runs.values()) == ["Completed"]
    assert UUID(next(iter(flow_runs))) == UUID(latest(store)["prefect"]["flow_run"])
    assert len(tasks) == len([stage for stage in done.value["stages"] if not stage["name"].startswith("record:")])
    assert set(tasks) <= {"Completed", "Cached"}
    assert any("evaluate ran evaluation/" in text for text in logged)
    assert processes_of(str(store.root)) == []


def processes_of(text: str) -> list[str]:
    """Command lines and working folders of living processes that name *text*."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline()) + " " + process.cwd()
        except (psutil.Error, OSError):
            continue
        if text in words:
            found.append(words)
    return found


def test_nothing_of_gevent_comes_with_the_flows(clean):
    """Locust's event loop would hang Prefect: no flow and no task module imports it."""
    program = (
        "import importlib, pathlib, sys\n"
        "for path in [*pathlib.Path('flows').rglob('*.py'), *pathlib.Path('tasks').rglob('*.py')]:\n"
        "    if 'journeys' not in path.parts and path.stem != '__init__':\n"
        "        importlib.import_module('.'.join(path.with_suffix('').parts))\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('gevent', 'locust')))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=100)

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"
