"""Rows 32, 35 and 41: names that are paths, planted pickles, and metacharacters."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from tasks.artifacts.refs import new_run_id
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tests.conftest import ROOT
from tests.stored_run import copied_run

BAD_IDS = (
    "../x",
    "a/b",
    "..",
    ".",
    "a\0b",
    "-a",
    "--help-me",
    "x" * 65,
    "x" * 5000,
    "a\nb",
    "%2e%2e%2fx",
    "a\\b",
    "",
    " ",
    "../runs/latest",
    "latest/../x",
    "~root",
    "$(touch canary)",
    "; touch canary",
    "20261124-213959-1f0c/..",
    "20261124-213959-1f0c\n",
    "20261124-213959-1F0C",
    "\uff12\uff10\uff12\uff161124-213959-1f0c",
    "/etc/passwd",
    "file:///etc/passwd",
)
COMMANDS = (
    ("runs", "show", "{}"),
    ("runs", "verify", "{}"),
    ("runs", "compare", "{}", "latest"),
    ("runs", "export", "{}", "exported"),
    ("runs", "rm", "{}", "--yes"),
    ("evaluate", "--run", "{}"),
    ("rank", "--run", "{}"),
    ("report", "--run", "{}"),
    ("resume", "--run", "{}"),
    ("cancel", "--run", "{}"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store that holds a run, and things beside it that nobody may touch."""
    copied_run(tmp_path / "place" / "store")
    for name in ("x.json", "latest.json", "canary.json"):
        (tmp_path / "place" / name).write_text("{}")
        (tmp_path / name).write_text("{}")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TIDEGAUGE_STORE", str(tmp_path / "place" / "store"))
    return tmp_path


def outside(home: Path) -> dict[str, tuple[int, bytes]]:
    """All that is not the store: time of change and content."""
    store = home / "place" / "store"
    files = [path for path in home.rglob("*") if not path.is_relative_to(store) and path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_what_is_no_run_id_is_refused_by_every_command(ledger, home, capsys):
    """Exit 2 by one pattern; nothing outside the store is touched, and nothing in it either."""
    before, ids = outside(home), Runs(Store(home / "place" / "store")).ids()
    refused = 0
    for bad in BAD_IDS:
        codes = [main([part.format(bad) if part == "{}" else part for part in command]) for command in COMMANDS]
        told = capsys.readouterr()
        survived = set(codes) == {2} and "tidegauge: unexpected" not in told.err and outside(home) == before
        survived = survived and Runs(Store(home / "place" / "store")).ids() == ids
        refused += survived
        ledger.count(row=32, fault="a run id that is none", survived=survived, figure=f"refused {refused}/{len(BAD_IDS)}")
        assert survived, (bad, codes, told.err)


@pytest.mark.parametrize("json_too", [False, True])
def test_the_real_command_refuses_too(home, json_too):
    """A process of its own, as a user would: exit code, one sentence, the next step."""
    flags = ["--json"] if json_too else []
    ran = subprocess.run([sys.executable, "-m", "flows.cli", "runs", "show", "../x", *flags], capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "'../x' is not a run id" in ran.stderr
    assert "next: tidegauge runs list" in ran.stderr
    assert not json_too or json.loads(ran.stdout)["exit_code"] == 2


def test_a_linked_record_leads_nowhere(ledger, home, capsys):
    """A link in the place of a record, to a file outside that looks like one: refused, untouched, not removed by others."""
    store = Store(home / "place" / "store")
    run = new_run_id(1_700_000_000)
    body = Runs(store).read("latest") | {"run": run}
    Runs(store).write(body)
    shutil.move(Runs(store).path(run), home / "outside.json")
    (store.root / "runs" / f"{run}.json").symlink_to(home / "outside.json")
    before = outside(home)

    codes = [main([part.format(run) if part == "{}" else part for part in command]) for command in COMMANDS]

    survived = set(codes) == {2} and outside(home) == before
    ledger.count(row=32, fault="a linked run record", survived=survived)
    assert survived, (codes, capsys.readouterr().err)


def test_a_linked_folder_of_records_leads_nowhere(ledger, home, capsys):
    """The whole folder ``runs`` is a link to one outside."""
    store = Store(home / "place" / "store")
    run = Runs(store).resolve("latest")
    shutil.move(store.root / "runs", home / "elsewhere")
    (store.root / "runs").symlink_to(home / "elsewhere")
    before = outside(home)

    codes = [main([part.format(run) if part == "{}" else part for part in command]) for command in COMMANDS]

    survived = set(codes) == {2} and outside(home) == before
    ledger.count(row=32, fault="a linked folder of records", survived=survived)
    assert survived, (codes, capsys.readouterr().err)


# -- row 35: pickles ----------------------------------------------------------------------------------------------------


class Touch:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        """What a pickle of it does."""
        return os.mkdir, (str(self.canary),)


def run(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with a Prefect of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *argv], capture_output=True, text=True, env=environment, timeout=110, check=False
    )


@pytest.mark.timeout(300)
def test_pickles_in_the_store_are_never_loaded(ledger, home):
    """In place of models, manifests, records, index entries and beside them: every command goes its way, and none executes one."""
    store, canary = Store(home / "place" / "store"), home / "canary"
    poison = pickle.dumps(Touch(canary))
    with pytest.raises(FileExistsError):  # the poison works
        pickle.loads(pickle.dumps(Touch(home)))  # noqa: S301
    places = [
        store.root / name for name in ("runs/model.pkl", "index/x.pkl", "staging/x.joblib", "artifacts/model/x.pkl", "prefect-results/x")
    ]
    for ref in store.refs():
        if ref.kind in ("model", "scores"):
            places += [path for path in store.folder(ref).iterdir() if path.name != "manifest.json"]
    record = Runs(store).path(Runs(store).resolve("latest"))
    for place in (*places, record.with_name("20200101-000000-0000.json")):
        place.write_bytes(poison)
    commands = (
        ("runs", "list"),
        ("runs", "show"),
        ("runs", "verify", "--read-data"),
        ("runs", "gc"),
        ("detectors", "list"),
        ("evaluate", "--run", "latest"),
    )
    for command in commands:
        ran = run(home, *command)
        survived = not canary.exists() and "tidegauge: unexpected" not in ran.stderr
        ledger.count(row=35, fault="a pickle planted in the store", survived=survived, figure="loads 0")
        assert survived, (command, ran.returncode, ran.stderr)


RESULTS = {
    "a bare pickle": lambda poison, record: poison,
    "a record that asks for pickle": lambda poison, record: _asking({"type": "pickle", "picklelib": "pickle"}, poison, record),
    "a record that asks for compressed pickle": lambda poison, record: _asking({"type": "compressed/pickle"}, poison, record),
    "a record that names a decoder": lambda poison, record: _asking(
        {"type": "json", "jsonlib": "json", "object_decoder": "pprint.pprint"}, b"{}", record
    ),
    "a record whose JSON is another module": lambda poison, record: _asking({"type": "json", "jsonlib": "antigravity"}, b"{}", record),
    "a result that names a class": lambda poison, record: json.dumps(
        {**record, "result": json.dumps({"__class__": "subprocess.Popen", "data": ["touch", "canary"]})}
    ).encode(),
    "a result that names an exception": lambda poison, record: json.dumps(
        {**record, "result": json.dumps({"__exc_type__": "os.system", "message": "touch canary"})}
    ).encode(),
    "no JSON at all": lambda poison, record: b"\x80\x04[",
    "nested too deep": lambda poison, record: b"[" * 100_000,
}


def _asking(serializer: dict[str, Any], raw: bytes, record: dict[str, Any]) -> bytes:
    import base64

    text = base64.encodebytes(raw).decode() if "pickle" in serializer["type"] else raw.decode()
    return json.dumps({**record, "metadata": {**record["metadata"], "serializer": serializer}, "result": text}).encode()


@pytest.mark.timeout(300)
def test_a_poisoned_result_of_prefect_is_never_loaded(ledger, tmp_path, monkeypatch):
    """Where Prefect keeps what a stage returned, the file itself says how it is read: ours refuses all but its own JSON."""
    from prefect import flow
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    from flows.pipeline import through_prefect
    from tasks.artifacts.jobs import Job
    from tasks.caching import cache_key, stage

    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    results = tmp_path / "results"
    store = Store(tmp_path / "store").create()
    job = Job(store=str(store.root), stage="poisoned", kind="thing", settings={"a": 1})
    calls: list[str] = []

    def compute(job: Job, store: Store, folder: Path) -> None:
        calls.append(job.stage)
        (folder / "a").write_text("1")

    task = stage("poisoned", compute)

    @flow(persist_result=False)
    def ask() -> str:
        return through_prefect(task, job).outcome

    with prefect_test_harness(server_startup_timeout=120), temporary_settings({PREFECT_LOCAL_STORAGE_PATH: results}):
        assert ask() == "ran"
        path = results / cache_key(job)
        good = path.read_bytes()
        assert ask() == "cached"
        for name, make in RESULTS.items():
            path.write_bytes(make(pickle.dumps(Touch(canary)), json.loads(good)))
            outcome = ask()
            survived = outcome == "cached" and not canary.exists() and "antigravity" not in sys.modules and calls == ["poisoned"]
            survived = survived and json.loads(path.read_bytes())["metadata"]["serializer"] == json.loads(good)["metadata"]["serializer"]
            ledger.count(row=35, fault=f"Prefect's result is {name}", survived=survived, figure="loads 0")
            assert survived, name


def test_a_store_is_readable_by_its_owner_alone(ledger, home):
    """After a command that made it, whatever the umask says."""
    old = os.umask(0)
    try:
        ran = run(home, "runs", "gc", "--store", str(home / "new" / "store"))
    finally:
        os.umask(old)
    modes = {path.stat().st_mode & 0o777 for path in (home / "new" / "store", *(home / "new" / "store").iterdir()) if path.is_dir()}
    survived = ran.returncode == 0 and modes == {0o700}
    ledger.count(row=35, fault="a store made under umask 0", survived=survived, figure="folders 0700")
    assert survived, modes


# -- row 41: metacharacters ---------------------------------------------------------------------------------------------

NASTY = (
    "a b",
    "$(touch canary)",
    "`touch canary`",
    "; touch canary #",
    "a'b\"c",
    "&& touch canary",
    "| touch canary",
    "a\nb",
    "*?[x]",
    "{port} %s %n",
    "-rf",
    "\\",
    "é☃",
)
DOCUMENT = (ROOT / "configs" / "quick.yaml").read_text()


def test_metacharacters_in_paths_and_settings_are_text(ledger, home, rng):
    """Folders, documents, stores and values named like commands: nothing runs, and what is right works."""
    canaries = 0
    for nasty in NASTY:
        name = nasty.replace("/", "_")
        folder = home / "work" / f"x{name}"
        folder.mkdir()
        document = folder / f"{name}.yaml"
        document.write_text(DOCUMENT)
        store = folder / f"store {name}"
        commands = [
            (0, ["check", str(document)]),
            (0, ["plan", str(document), "--json"]),
            (0, ["runs", "list", "--store", str(store)]),
            (0, ["init", str(folder / "new")]),
            (2, ["check", str(document), "--set", f"name={nasty}"]),
            (2, ["check", str(document), "--set", f"faults.trials[0].target={nasty}"]),
            (2, ["runs", "show", nasty, "--store", str(store)]),
        ]
        expected, argv = rng.choice([one for one in commands if one[1][0] != "init"])
        codes = [(wanted, main(list(one))) for wanted, one in commands]
        real = subprocess.run([sys.executable, "-m", "flows.cli", *argv], capture_output=True, text=True, check=False, cwd=folder)
        found = [path for path in home.rglob("canary") if path.name == "canary"]
        canaries += len(found)
        survived = not found and all(wanted == code for wanted, code in codes) and real.returncode == expected
        survived = survived and "tidegauge: unexpected" not in real.stderr
        ledger.count(row=41, fault="shell metacharacters in names", survived=survived, figure=f"executed {canaries}")
        assert survived, (nasty, codes, real.returncode, real.stderr)


@pytest.mark.timeout(120)
def test_metacharacters_reach_ones_own_programs_as_they_are(ledger, home, rng):
    """A service whose arguments and environment look like commands gets them letter by letter, in a store with a nasty name."""
    nasty = [one for one in NASTY if one.isprintable() and "{" not in one]
    rng.shuffle(nasty)
    server = home / "work" / "serve it.py"
    server.write_text(
        "import http.server, json, os, sys\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "        self.wfile.write(json.dumps([sys.argv[2:], os.environ['NASTY']]).encode())\n"
        "    def log_message(self, *_): pass\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()\n"
    )
    service = {
        "name": "web",
        "command": ["{python}", str(server), "{port}", *nasty],
        "env": {"NASTY": " ".join(nasty)},
        "metrics_path": None,
    }
    app = {"kind": "own-app", "entry": "web", "services": [service]}
    journeys = [{"name": "look", "requests": [{"method": "GET", "path": "/"}]}]
    load = {"users": {"shape": "constant", "users": 1}, "journeys": journeys}
    document = {
        "version": 1,
        "name": "nasty",
        "app": app,
        "load": load,
        "recordings": [{"name": "t", "role": "training", "duration_s": 15}],
    }
    path = home / "work" / "nasty.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False))
    store = home / "work" / "a 'store'; touch canary"
    up = run(home, "up", str(path), "--json", "--store", str(store))
    try:
        address = json.loads(up.stdout)["address"]
        import httpx

        arguments, variable = httpx.get(address, trust_env=False).json()
    finally:
        down = run(home, "down", "--all", "--store", str(store))
    survived = (arguments, variable) == (nasty, " ".join(nasty)) and down.returncode == 0 and not list(home.rglob("canary"))
    ledger.count(row=41, fault="shell metacharacters in arguments", survived=survived, figure="executed 0")
    assert survived, (up.stderr, down.stderr)


def test_random_bytes_as_arguments_are_told(ledger, home, rng: random.Random, capsys):
    """Any word after any command ends in an exit code of the table, never in a traceback."""
    words = (
        "runs",
        "show",
        "check",
        "plan",
        "evaluate",
        "--run",
        "--set",
        "faults",
        "list",
        "revert",
        "detectors",
        "test",
        "--json",
        "schema",
    )
    for _ in range(40):
        noise = [
            "".join(map(chr, (rng.choice((rng.randrange(1, 128), rng.randrange(128, 0x3000))) for _ in range(rng.randrange(1, 12)))))
            for _ in range(2)
        ]
        argv = [rng.choice(words), *noise] if rng.random() < 0.5 else [*rng.sample(words, 2), *noise]
        if argv[0] in ("detectors",) and "test" in argv:
            continue  # a contract suite, not a question of arguments
        code = main(argv)
        told = capsys.readouterr().err
        survived = code in (0, 2, 3, 6) and "tidegauge: unexpected" not in told and not list(home.rglob("canary"))
        ledger.count(row=41, fault="random arguments", survived=survived, figure="executed 0")
        assert survived, (argv, code, told)
