"""Rows 14-16: flipped bytes, stale artifacts, and evaluation that touches nothing but the store."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.commands.runs import verify
from flows.console import Common
from flows.standing import standing
from tasks.artifacts.fingerprint import PROJECT, Fingerprint, fingerprint
from tasks.artifacts.jobs import Job, computed, make
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import StorageError, TidegaugeError
from tests.conftest import ROOT
from tests.stored_run import copied_run

FLIPS = 40
KINDS = ("recording", "matrix", "model", "scores", "evaluation", "ranking", "report")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A complete run."""
    return copied_run(tmp_path / "store")


def flip(path: Path, rng: random.Random) -> Callable[[], None]:
    """Flip one bit of the file; gives what undoes it."""
    good = path.read_bytes()
    bad = bytearray(good)
    bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    path.write_bytes(bad)
    return lambda: path.write_bytes(good) and None


def using(store: Store, ref: Ref) -> Job:
    """A job that would compute something from *ref*."""
    return Job(store=str(store.root), stage="next", kind="derived", inputs={"input": str(ref)})


def fills(*_: Any) -> tuple[str, ...]:
    """A computation that must not be reached."""
    raise AssertionError("something was computed from damaged bytes")


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_of_any_artifact_is_named_and_nothing_is_computed_from_it(ledger, rng, store, kind, capsys):
    """``runs verify --read-data`` names the file and ends with 6; the artifact is not found, and no job accepts it as input."""
    refs = [ref for ref in store.refs() if ref.kind == kind]
    caught = 0
    for _ in range(FLIPS):
        ref = rng.choice(refs)
        files = [path for path in store.folder(ref).rglob("*") if path.is_file() and path.stat().st_size and path.name != "manifest.json"]
        path, key = rng.choice(sorted(files)), store.open(ref).manifest["key"]
        undo = flip(path, rng)
        code = verify("latest", read_data=True, common=Common(store=store.root, quiet=True))
        told = str(path) in capsys.readouterr().out
        unused = store.find(kind, key) is None
        try:
            make(using(store, ref), fills)
            refused = False
        except StorageError as error:
            refused = str(path) in error.message
        undo()
        survived = code == 6 and told and unused and refused
        caught += survived
        ledger.count(row=14, fault="one flipped bit of an artifact", survived=survived, figure=f"caught {caught}/{FLIPS} of {kind}")
    assert caught == FLIPS
    assert verify("latest", read_data=True, common=Common(store=store.root, quiet=True)) == 0


def says(path: Path, value: object) -> bool:
    """Whether *path* still says *value*: 1e-05 and 1E-05, or a digit beyond a double, are one value; nothing was lost."""
    try:
        return bool(json.loads(path.read_bytes()) == value)
    except ValueError:
        return False


def test_one_flipped_bit_of_a_manifest_is_noticed(ledger, rng, store):
    """Wherever in it: names, digests, sizes, lineage, time."""
    refs, caught = sorted(store.refs()), 0
    for _ in range(FLIPS):
        ref = rng.choice(refs)
        key = store.open(ref).manifest["key"]
        whole = json.loads((store.folder(ref) / "manifest.json").read_bytes())
        undo = flip(store.folder(ref) / "manifest.json", rng)
        if says(store.folder(ref) / "manifest.json", whole):
            undo()
            caught += 1
            continue
        try:
            make(using(store, ref), fills)
            refused = False
        except StorageError:
            refused = True
        survived = refused and bool(store.problems(ref)) and store.find(ref.kind, key) is None
        undo()
        caught += survived
        ledger.count(row=14, fault="one flipped bit of a manifest", survived=survived, figure=f"caught {caught}/{FLIPS} of manifests")
    assert caught == FLIPS


def test_one_flipped_bit_of_a_run_record_is_noticed(ledger, rng, store):
    """No command shows or starts from such a record."""
    runs, caught = Runs(store), 0
    path = runs.path(runs.resolve("latest"))
    for _ in range(FLIPS):
        whole = json.loads(path.read_bytes())
        undo = flip(path, rng)
        if says(path, whole):
            undo()
            caught += 1
            continue
        try:
            runs.read(path.stem)
            survived = False
        except StorageError as error:
            survived = str(path) in error.message
        undo()
        caught += survived
        ledger.count(row=14, fault="one flipped bit of a run record", survived=survived, figure=f"caught {caught}/{FLIPS} of records")
    assert caught == FLIPS


def test_one_flipped_bit_of_the_index_never_gives_a_wrong_artifact(ledger, rng, store):
    """The right artifact or none, whatever the entry says."""
    entries, right = sorted((store.root / "index").glob("*/*.json")), 0
    for _ in range(FLIPS):
        entry = rng.choice(entries)
        expected = store.find(entry.parent.name, entry.stem)
        undo = flip(entry, rng)
        survived = store.find(entry.parent.name, entry.stem) in (None, expected)
        undo()
        right += survived
        ledger.count(row=14, fault="one flipped bit of the index", survived=survived, figure=f"caught {right}/{FLIPS} of the index")
    assert right == FLIPS


# -- row 15: what was edited, deleted, or made by other code ------------------------------------------------------------


def compute(job: Job, _: Store, folder: Path) -> tuple[str, ...]:
    """Two files that say what they were made from."""
    (folder / "deep").mkdir()
    (folder / "a.json").write_text(json.dumps(job.settings))
    (folder / "deep" / "b.txt").write_text("b" * 100)
    return ()


def edited(store: Store, ref: Ref) -> None:
    """Same size, same times, other content."""
    path = store.folder(ref) / "deep" / "b.txt"
    before = path.stat()
    path.write_text("c" * 100)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(store: Store, ref: Ref) -> None:
    """The end is missing."""
    (store.folder(ref) / "deep" / "b.txt").write_text("b" * 99)


def file_deleted(store: Store, ref: Ref) -> None:
    """One file is gone."""
    (store.folder(ref) / "a.json").unlink()


def folder_deleted(store: Store, ref: Ref) -> None:
    """The index says it is there, and it is not."""
    shutil.rmtree(store.folder(ref))


def manifest_deleted(store: Store, ref: Ref) -> None:
    """Files that nobody vouches for."""
    (store.folder(ref) / "manifest.json").unlink()


def planted(store: Store, ref: Ref) -> None:
    """One file more."""
    (store.folder(ref) / "deep" / "c.txt").write_text("c")


def linked(store: Store, ref: Ref) -> None:
    """A link to the same bytes, which could change."""
    path = store.folder(ref) / "a.json"
    shutil.move(path, store.root / "a.json")
    path.symlink_to(store.root / "a.json")


def manifest_edited(store: Store, ref: Ref) -> None:
    """The manifest vouches for the edited file, under the old name."""
    from tasks.artifacts.store import sealed
    from tasks.base.files import sha256_file

    edited(store, ref)
    path = store.folder(ref) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["deep/b.txt"]["sha256"] = sha256_file(store.folder(ref) / "deep" / "b.txt")
    path.write_text(json.dumps(sealed(manifest)))


def exchanged(store: Store, ref: Ref) -> None:
    """Another artifact's folder stands in its place."""
    other = make(Job(store=str(store.root), stage="s", kind=ref.kind, settings={"a": "other"}), compute).ref
    shutil.rmtree(store.folder(ref))
    shutil.copytree(store.folder(Ref.parse(other)), store.folder(ref))


def redirected(store: Store, ref: Ref) -> None:
    """The index names another artifact of the kind, itself whole."""
    other = Ref.parse(make(Job(store=str(store.root), stage="s", kind=ref.kind, settings={"a": "other"}), compute).ref)
    entry = store.root / "index" / ref.kind / f"{store.open(ref).manifest['key']}.json"
    entry.write_text(json.dumps({"digest": other.digest}))


TOUCHES = (
    edited,
    cut,
    file_deleted,
    folder_deleted,
    manifest_deleted,
    planted,
    linked,
    manifest_edited,
    exchanged,
    redirected,
)


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
def test_what_was_touched_is_made_anew(ledger, tmp_path, touch):
    """Never used; the second time it is whole again, and what is in it is right."""
    store = Store(tmp_path / "store").create()
    job = Job(store=str(store.root), stage="s", kind="thing", settings={"a": "right"})
    ref = Ref.parse(make(job, compute).ref)
    touch(store, ref)

    again = make(job, compute)

    found = store.open(Ref.parse(again.ref))
    right = json.loads(found.file("a.json").read_text()) == {"a": "right"} and found.file("deep/b.txt").read_text() == "b" * 100
    survived = again.outcome == "ran" and right and not store.problems(found.ref) and make(job, compute).outcome == "cached"
    ledger.count(row=15, fault=f"cached artifact {touch.__name__.replace('_', ' ')}", survived=survived, figure="stale reuse 0")
    assert survived


OTHERS = {
    "other settings": {"settings": {"a": 2}},
    "another input": {"inputs": {"x": "thing/" + "0" * 32}},
    "other code": {"modules": {"tasks/evaluation/alarms.py": "0" * 64}},
    "one module more": {"modules": {"tasks/evaluation/alarms.py": "1" * 64, "tasks/new.py": "0" * 64}},
    "another numpy": {"versions": {"numpy": "0.1"}},
    "another stage": {"stage": "other"},
    "asked to refresh": {"refresh": True},
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_question_gets_another_answer(ledger, tmp_path, what):
    """The key holds all that made the thing; nothing else answers to it, and the reason is told."""
    store = Store(tmp_path / "store").create()
    job = Job(
        store=str(store.root),
        stage="s",
        kind="thing",
        settings={"a": 1},
        modules={"tasks/evaluation/alarms.py": "1" * 64},
        versions={"numpy": "2.0"},
    )
    make(job, compute)
    other = job.model_copy(update=OTHERS[what])
    try:
        outcome, why = (found := make(other, compute)).outcome, found.why
    except StorageError as error:  # the input does not exist
        outcome, why = "refused", error.message

    survived = outcome in ("ran", "refused") and bool(why)
    ledger.count(row=15, fault=f"cached artifact, {what}", survived=survived, figure="stale reuse 0")
    assert survived


def test_every_module_that_an_evaluation_depends_on_counts(ledger, rng, store, tmp_path):
    """One byte more in any of them: the stage's key is another one, and the run's evaluation does not stand."""
    root = tmp_path / "project"
    for package in ("tasks", "flows"):
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    record = Runs(store).read("latest")
    modules = store.open(Ref.parse(record["artifacts"]["evaluation"])).manifest["modules"]
    before = fingerprint(("tasks.stages.evaluate", "tasks.evaluation"), root).digest
    assert Fingerprint(modules).changed(root) == ()
    for name in rng.sample(sorted(modules), 20):
        path = root / name
        good = path.read_bytes()
        path.write_bytes(good + b"#")
        changed = Fingerprint(modules).changed(root)
        survived = changed == (name,) and fingerprint(("tasks.stages.evaluate", "tasks.evaluation"), root).digest != before
        path.write_bytes(good)
        ledger.count(row=15, fault="a module that the evaluation depends on was changed", survived=survived, figure="stale reuse 0")
        assert survived, name


def test_a_runs_evaluation_stands_only_while_nothing_changed(ledger, rng, store):
    """Any file of any of its artifacts: there is a reason to compute again, or, for a recording, a refusal."""
    record = Runs(store).read("latest")
    assert standing(store, record).stands
    for text in sorted(set(record["artifacts"].values())):
        ref = Ref.parse(text)
        path = rng.choice(sorted(path for path in store.folder(ref).rglob("*") if path.is_file() and path.stat().st_size))
        undo = flip(path, rng)
        try:
            survived = not standing(store, record).stands
        except TidegaugeError as error:
            survived = ref.kind == "recording" and error.exit_code == 6
        undo()
        ledger.count(row=15, fault="a file behind an evaluation was changed", survived=survived, figure="stale reuse 0")
        assert survived, path
    assert standing(store, record).stands


def test_the_code_of_a_stage_is_in_its_key():
    """What computes an evaluation, and the libraries that do its arithmetic, are part of the question."""
    job = computed(("tasks.evaluation",), store="/none", stage="s", kind="k")

    assert "tasks/evaluation/alarms.py" in job.modules
    assert "tasks/base/intervals.py" in job.modules
    assert {"numpy", "scipy", "scikit-learn", "pyarrow"} <= set(job.versions)


# -- row 16: evaluation again -------------------------------------------------------------------------------------------

WATCH = """
import json, os, sys
def watch(event, args, log=os.environ["WATCHED"]):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "socket.connect", "socket.bind"):
        text = [str(part) for part in args[1]] if event == "subprocess.Popen" else str(args[1:])
        with open(log, "a") as file:
            file.write(json.dumps([event, text]) + "\\n")
sys.addaudithook(watch)
"""


def watched(tmp_path: Path, *argv: str) -> tuple[subprocess.CompletedProcess[str], list[Any], float]:
    """Run the command line under a hook that writes down every process it starts and every socket it opens."""
    folder = tmp_path / "hook"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "watched.jsonl"
    log.write_text("")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    environment = kept | {"PYTHONPATH": f"{folder}:{ROOT}", "WATCHED": str(log), "HOME": str(tmp_path)}
    begun = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "flows.cli", *argv], capture_output=True, text=True, env=environment, timeout=110, check=False
    )
    return ran, [json.loads(line) for line in log.read_text().splitlines()], time.monotonic() - begun


@pytest.mark.timeout(240)
def test_an_evaluation_with_nothing_changed_touches_nothing(ledger, store, tmp_path):
    """No process is started, no socket opened; the numbers are those of the run."""
    record = Runs(store).read("latest")

    ran, events, seconds = watched(tmp_path, "evaluate", "--run", "latest", "--json", "--store", str(store.root))

    told = json.loads(ran.stdout)
    survived = ran.returncode == 0 and events == [] and told["detectors"] == record["detectors"] and len(Runs(store).ids()) == 1
    ledger.count(row=16, fault="evaluation again, nothing changed", survived=survived, figure=f"calls {len(events)}; {seconds:.1f} s")
    assert survived, (ran.returncode, events, ran.stderr)


@pytest.mark.timeout(240)
def test_an_evaluation_made_anew_starts_no_shop_no_load_and_no_scraper(ledger, store, tmp_path):
    """Prefect's own server is the only process, its socket the only peer; the numbers are the same."""
    record = Runs(store).read("latest")

    ran, events, seconds = watched(tmp_path, "evaluate", "--refresh", "evaluate", "--json", "--store", str(store.root))

    told = json.loads(ran.stdout)
    started = [event for event in events if event[0] != "socket.connect" and event[0] != "socket.bind"]
    touching = [one for one in started if any(word in str(one) for word in ("locust", "supervisor", "tasks.", "kubectl", "prometheus"))]
    peers = {str(event[1]) for event in events if event[0] == "socket.connect"}
    outside = [peer for peer in peers if "127.0.0.1" not in peer and "::1" not in peer and "/" not in peer]
    same = told["detectors"] == record["detectors"] and told["ranking"] == record["ranking"]
    ran_stages = {stage["name"] for stage in told["stages"] if stage["outcome"] == "ran"}
    survived = ran.returncode == 0 and not touching and not outside and same and "evaluate" in ran_stages
    survived = survived and not any(name.startswith(("record:", "featurize:", "train:", "score:")) for name in ran_stages)
    ledger.count(row=16, fault="evaluation made anew", survived=survived, figure=f"calls {len(touching) + len(outside)}; {seconds:.1f} s")
    assert survived, (ran.returncode, touching, outside, same, ran_stages, ran.stderr)
