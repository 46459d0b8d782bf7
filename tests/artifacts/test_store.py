"""The store: what is in it is whole, or it is not used."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tasks.artifacts.collect import collect, garbage
from tasks.artifacts.jobs import Job, Partial, make
from tasks.artifacts.refs import Ref, checked_run_id, new_run_id
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Made, Store
from tasks.base.errors import DocumentError, StorageError, TidegaugeError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store").create()


def put(store: Store, text: str, key: str = "k", **made) -> Ref:
    """An artifact with one file."""
    staged = store.stage("thing")
    (staged / "deep").mkdir()
    (staged / "deep" / "a.txt").write_text(text)
    return store.commit(staged, "thing", Made("stage", key, **made))


def test_what_was_put_is_found_by_its_key(store):
    """A key answers with the artifact committed under it."""
    ref = put(store, "x", "k1")

    assert store.find("thing", "k1") == ref
    assert store.open(ref).file("deep/a.txt").read_text() == "x"
    assert store.find("thing", "k2") is None


def test_equal_content_is_kept_once(store):
    """The digest is of the content, so a second commit of the same is the same artifact."""
    assert put(store, "x") == put(store, "x")
    assert len(list(store.refs())) == 1


@pytest.mark.parametrize("name", ["deep/a.txt", "manifest.json"])
def test_every_flipped_byte_is_noticed(store, name):
    """Whichever byte of an artifact is flipped, it is no longer found."""
    ref = put(store, "some content", settings={"a": 1})
    path = store.folder(ref) / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        path.write_bytes(flipped)
        assert store.find("thing", "k") is None or _says_the_same(flipped, whole)
    path.write_bytes(whole)
    assert store.find("thing", "k") == ref


def _says_the_same(flipped: bytes, whole: bytes) -> bool:
    """The last digit of a time may be beyond what a double holds: both texts are then one value."""
    try:
        return json.loads(flipped) == json.loads(whole)
    except ValueError:
        return False


def test_a_damaged_artifact_is_made_anew(store):
    """Committing the same content again replaces what was damaged."""
    ref = put(store, "x")
    (store.folder(ref) / "deep" / "a.txt").write_text("y")

    assert put(store, "x") == ref
    assert store.problems(ref) == ()


def test_a_job_runs_once(store):
    """The second time, the artifact is found and says why."""
    calls = []

    def compute(job, store, staged):
        calls.append(job.stage)
        (staged / "a").write_text("1")

    job = Job(store=str(store.root), stage="stage", kind="thing", settings={"a": 1})
    first, second = make(job, compute), make(job, compute)

    assert (first.outcome, second.outcome, len(calls)) == ("ran", "cached", 1)
    assert first.why == "never made before"
    assert second.why.startswith("same ")
    changed = make(job.model_copy(update={"settings": {"a": 2}}), compute)
    assert changed.why == "settings changed: a"


def test_nothing_is_computed_from_a_damaged_input(store):
    """An input with a flipped byte stops the job before it starts."""
    ref = put(store, "x")
    (store.folder(ref) / "deep" / "a.txt").write_text("y")
    job = Job(store=str(store.root), stage="s", kind="other", inputs={"thing": str(ref)})

    with pytest.raises(StorageError, match="cannot use its input thing"):
        make(job, lambda *_: pytest.fail("computed from damaged bytes"))


def test_a_cancelled_job_keeps_what_it_had(store):
    """A partial result is committed before the cause goes on."""

    def compute(job, store, staged):
        (staged / "a").write_text("half")
        raise Partial(KeyboardInterrupt())

    job = Job(store=str(store.root), stage="s", kind="thing")
    with pytest.raises(KeyboardInterrupt):
        make(job, compute)
    assert store.find("thing", job.key) is not None
    refused = make(job, lambda j, s, folder: (folder / "a").write_text("whole") and None, lambda j, artifact: "it is incomplete")
    assert (refused.outcome, refused.why) == ("ran", "it is incomplete")


BAD_IDS = [
    "../x",
    "a/b",
    "..",
    "a\0b",
    "-a",
    "x" * 65,
    "a\nb",
    "%2e%2e",
    "a\\b",
    "",
    "latest/../x",
    "20261124-213959-1f0c/..",
    "20261124-213959-1F0C ",
]


@pytest.mark.parametrize("name", BAD_IDS)
def test_what_is_no_run_id_is_refused(store, name):
    """One pattern decides, before any path is made."""
    with pytest.raises(DocumentError, match="not a run id"):
        Runs(store).read(name)


def test_a_linked_record_is_refused(store, tmp_path):
    """A link in the place of a record never leads outside."""
    run = new_run_id(time.time())
    (tmp_path / "outside.json").write_text("{}")
    (store.root / "runs" / f"{run}.json").symlink_to(tmp_path / "outside.json")

    with pytest.raises(DocumentError, match="outside the store"):
        Runs(store).read(run)


def test_latest_is_the_newest_run_with_an_evaluation(store):
    """Running, failed and cancelled runs are passed over."""
    ids = [new_run_id(1_700_000_000 + n) for n in range(3)]
    for run, status, artifacts in zip(ids, ["complete", "complete", "failed"], [{"evaluation": "e/" + "0" * 32}, {}, {}], strict=True):
        Runs(store).write({"run": run, "status": status, "artifacts": artifacts})

    assert Runs(store).resolve("latest") == ids[0]


def test_an_edited_record_is_refused(store):
    """A record carries a checksum of its own."""
    run = new_run_id(time.time())
    Runs(store).write({"run": run, "status": "complete", "artifacts": {}})
    path = Runs(store).path(run)
    path.write_text(path.read_text().replace("complete", "failed"))

    with pytest.raises(StorageError):
        Runs(store).read(run)


def test_what_a_run_needs_is_no_garbage(store):
    """Artifacts reachable from a record stay, whatever else goes."""
    base = put(store, "base", "a")
    top = put(store, "top", "b", made_from={"base": base})
    loose = put(store, "loose", "c")
    run = new_run_id(time.time())
    Runs(store).write({"run": run, "status": "complete", "artifacts": {"top": str(top)}})

    found = garbage(store)
    collect(store, found)

    assert found.artifacts == (loose,)
    assert set(store.refs()) == {base, top}
    assert store.find("thing", "c") is None


def test_a_run_id_sorts_by_time():
    """Ids of later runs sort after those of earlier ones, and are ids."""
    early, late = new_run_id(1_700_000_000), new_run_id(1_700_000_001)
    assert checked_run_id(early) < checked_run_id(late)


def test_a_full_disk_is_told_with_exit_code_6(store, monkeypatch):
    """No space while committing is a storage error, and nothing is visible."""
    import resource

    staged = store.stage("thing")
    (staged / "a").write_bytes(b"x" * 1000)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))
    try:
        with pytest.raises(TidegaugeError) as caught:
            store.commit(staged, "thing", Made("s", "k"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, previous)
    assert caught.value.exit_code == 6
    assert list(store.refs()) == []


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_damaged_index_never_leads_astray(store, position):
    """A flipped byte of the index finds the right artifact or none."""
    ref, other = put(store, "x", "k"), put(store, "y", "other")
    entry = store.root / "index" / "thing" / "k.json"
    whole = entry.read_bytes()
    entry.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])

    assert store.find("thing", "k") in (None, ref)
    entry.write_text((store.root / "index" / "thing" / "other.json").read_text())
    assert store.find("thing", "k") is None
    assert store.find("thing", "other") == other


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"digest": 3}', '{"digest": "../../x"}', "[" * 100_000, '{"digest": NaN}', '{"digest": "\\ud800"}']
)
def test_a_nonsensical_index_finds_nothing(store, text):
    """And the job says why it runs."""
    put(store, "x", "k")
    (store.root / "index" / "thing" / "k.json").write_text(text)
    job = Job(store=str(store.root), stage="stage", kind="thing")

    assert store.find("thing", "k") is None
    assert make(job, lambda j, s, folder: (folder / "a").write_text("1") and None).outcome == "ran"


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '{"files": NaN}', '{"digest": "\\ud800"}'])
def test_a_nonsensical_manifest_or_record_is_a_storage_error(store, text):
    """Whatever is written there."""
    ref = put(store, "x", "k")
    run = new_run_id(time.time())
    (store.folder(ref) / "manifest.json").write_text(text)
    (store.root / "runs" / f"{run}.json").write_text(text)

    with pytest.raises(StorageError):
        store.open(ref)
    with pytest.raises(StorageError):
        Runs(store).read(run)


def test_a_planted_file_is_noticed(store, tmp_path):
    """A reader that takes all files of a folder must not find what nobody wrote."""
    ref = put(store, "x", "k")
    (store.folder(ref) / "deep" / "b.txt").write_text("planted")

    assert store.find("thing", "k") is None
    assert "deep/b.txt is no part of what was written" in store.problems(ref)[0]


def test_a_file_replaced_by_a_link_is_noticed(store, tmp_path):
    """Even when the bytes behind it are the same: they could change."""
    ref = put(store, "x", "k")
    (tmp_path / "same").write_text("x")
    path = store.folder(ref) / "deep" / "a.txt"
    path.unlink()
    path.symlink_to(tmp_path / "same")

    assert store.find("thing", "k") is None


def test_garbage_collection_minds_strange_things(store, tmp_path):
    """Links, files and folders that are no artifacts are neither followed nor in the way."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    put(store, "x", "k")
    thing = store.root / "artifacts" / "thing"
    (thing / "notes.txt").write_text("mine")
    (thing / ("0" * 32)).symlink_to(outside)
    (store.root / "artifacts" / "stray.txt").write_text("mine")
    (store.root / "staging" / "old").symlink_to(outside)
    (store.root / "staging" / "file").write_text("x")
    (store.root / "index" / "thing" / "bad.json").write_text("{")

    found = garbage(store, now_s=time.time() + 1e6)
    collect(store, found)

    assert len(found.artifacts) == 1
    assert list(store.refs()) == []
    assert (outside / "precious").read_text() == "1"
    assert sorted(path.name for path in thing.iterdir()) == ["0" * 32, "notes.txt"]
    assert list((store.root / "staging").iterdir()) == []
    assert list((store.root / "index").glob("*/*.json")) == []


def test_a_record_under_another_name_is_refused(store):
    """A copy of a record does not become another run."""
    first, second = new_run_id(1_700_000_000), new_run_id(1_700_000_001)
    Runs(store).write({"run": first, "status": "complete", "artifacts": {}})
    (store.root / "runs" / f"{second}.json").write_text(Runs(store).path(first).read_text())

    with pytest.raises(StorageError):
        Runs(store).read(second)


def test_a_store_is_private(store):
    """Every folder is its owner's alone, also when somebody had opened it."""
    (store.root / "runs").chmod(0o755)
    store.root.chmod(0o755)
    store.create()

    assert {path.stat().st_mode & 0o777 for path in (store.root, *store.root.iterdir()) if path.is_dir()} == {0o700}


def test_a_folder_with_other_things_keeps_its_mode(tmp_path):
    """``--store .`` does not lock anybody out of their own folder."""
    (tmp_path / "experiment.yaml").write_text("")
    tmp_path.chmod(0o755)

    Store(tmp_path).create()

    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "artifacts").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["{}", "[]", '{"created_s": "x"}', "{"])
def test_a_store_that_does_not_know_its_age_says_so(store, text):
    """A recording cannot be judged older or younger then."""
    (store.root / "store.json").write_text(text)

    with pytest.raises(StorageError):
        _ = store.created_s
