"""From a file to an experiment: what values mean, what ``--set`` does, and where a table of users is found."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.document import load_document, validate
from flows.stages import Stages
from tasks.base.errors import DocumentError, TidegaugeError
from tasks.base.shipped import shipped
from tasks.base.yaml_source import Source, parse_source
from tests.document.conftest import SMALL

BASE = parse_source(SMALL.encode(), "small.yaml").value


def test_a_good_document_is_read(written):
    """The values of the file, and defaults for what it leaves out."""
    found = load_document(written())

    assert (found.name, found.seed, found.load.users.users) == ("small", 5, 4)
    assert found.telemetry.interval_s == 1.0


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=8", lambda found: found.seed == 8),
        ("evaluation.false_alarms_per_day=3", lambda found: found.evaluation.false_alarms_per_day == 3),
        ("load.users={shape: ramp, from_users: 1, to_users: 9, duration_s: 5}", lambda found: found.load.users.to_users == 9),
        ("faults.trials[1].intensity=0.25", lambda found: found.faults.trials[1].intensity == 0.25),
        ("faults.trials.1.intensity=0.25", lambda found: found.faults.trials[1].intensity == 0.25),
        ("telemetry.flush_s=9", lambda found: found.telemetry.flush_s == 9),
        ("evaluation.require=null", lambda found: found.evaluation.require is None),
        ("name=no", lambda found: found.name == "no"),
    ],
)
def test_an_override_replaces_one_setting(written, override, read):
    """The value is YAML; items of a list are counted from 0."""
    assert read(load_document(written(), [override]))


def test_the_last_of_two_overrides_counts(written):
    """They are put in one after the other."""
    assert load_document(written(), ["seed=8", "seed=9"]).seed == 9


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed", "--set 'seed': is not setting=value"),
        ("=3", "is not setting=value"),
        ("seed=-1", "--set seed=-1: seed: must be at least 0, not -1"),
        ("evaluation.budget=3", "--set evaluation.budget=3: evaluation.budget: no such setting"),
        ("evaluation.close_aftr=3", "did you mean close_after?"),
        ("faults.trials[9].kind=pause", "there is no 9 in faults.trials, which is a list of 2 items"),
        ("detectors[0].top=3", "there is no top in detectors[0], which is the text 'robust_z'"),
        ("seed=!!python/object:os.system x", "the tag !!python/object:os.system is not allowed"),
        ("seed=[1", "not YAML"),
        ("seed=.nan", "must be a finite number, not .nan"),
        ("seed=1\nname: other", "not YAML"),
        ("faults.trials[0].target=front-end", "--set faults.trials[0].target=front-end: faults.trials[0].target: front-end is the entry"),
    ],
)
def test_a_wrong_override_is_told_as_such(written, override, told):
    """The message names the option, not a line of the file that is right."""
    path = written()

    with pytest.raises(DocumentError) as caught:
        load_document(path, [override])

    assert told in caught.value.message
    assert f"{path}:" not in caught.value.message.replace(f"{path} is not", "")


def test_all_wrong_overrides_are_told_together(written):
    """Nobody has to try three times."""
    with pytest.raises(DocumentError) as caught:
        load_document(written(), ["seed", "faults.trials[7].kind=pause", "name={"])

    assert len(caught.value.message.splitlines()) == 3


def test_an_override_mends_what_it_replaces(written):
    """A value that could not be read does not matter once another one stands in its place."""
    path = written(("seed: 5", "seed: .nan"))

    assert load_document(path, ["seed=3"]).seed == 3


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    """Both with what to do next."""
    with pytest.raises(DocumentError, match=r"none.yaml is not there\n  next: tidegauge init"):
        load_document(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match="is a folder, not a file"):
        load_document(tmp_path)
    with pytest.raises(DocumentError):
        load_document(tmp_path / "a\0b")


def test_what_cannot_be_read_is_told(tmp_path, written, monkeypatch):
    """A file without permission (as a user sees it) ends in a sentence."""

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = written()
    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.raises(DocumentError, match=r"cannot read .*Permission denied"):
        load_document(path)


TABLE = "time_s,users\n0,3\n10,6\n"


def with_table(written, text=TABLE):
    """A document beside which the table ``shapes/day.csv`` lies."""
    path = written(("{shape: constant, users: 4}", "{shape: csv, file: shapes/day.csv}"))
    (path.parent / "shapes").mkdir(exist_ok=True)
    (path.parent / "shapes" / "day.csv").write_text(text)
    return path


def test_a_table_beside_the_document_travels_with_it(written, tmp_path, monkeypatch):
    """Wherever the command runs, the rows are those of the file beside the document; later nobody needs the file."""
    path = with_table(written)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    found = load_document(path)

    assert found.load.users.points == ((0, 3), (10, 6))
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_a_recordings_key_holds_the_tables_content(written, tmp_path):
    """An edited table is another load; the same rows are the same load, wherever the folder lies."""

    def key(path):
        found = load_document(path)
        return Stages(found, tmp_path).record(found.recordings[0]).key

    path = with_table(written)
    first = key(path)
    shutil.copytree(path.parent / "shapes", path.parent / "copy" / "shapes")
    shutil.copy(path, path.parent / "copy" / "small.yaml")

    assert key(path.parent / "copy" / "small.yaml") == first
    with_table(written, TABLE.replace("6", "7"))
    assert key(path) != first


def test_a_shipped_table_is_found_by_name(written):
    """What is not beside the document may be among the shipped files."""
    path = written(("{shape: constant, users: 4}", "{shape: csv, file: load/steps.csv}"))

    assert load_document(path).load.users.points[0][0] == 0


def test_every_mistake_of_a_table_stands_beside_those_of_the_document(written):
    """Both the line of the document and the line of the table."""
    path = with_table(written, "time_s,users\n0,3\n10,x\n5,1\n")
    path.write_text(path.read_text().replace("seed: 5", "seed: -5"))

    with pytest.raises(DocumentError) as caught:
        load_document(path)

    table = path.parent / "shapes" / "day.csv"
    assert f"{path}:3:1: seed: must be at least 0" in caught.value.message
    assert f"{path}:7:23: load.users.file: {table}:3: users: 'x' is not a number" in caught.value.message
    assert f"{path}:7:23: load.users.file: {table}:4: time_s: 5 does not come after 10" in caught.value.message


def paths_of(value, path=()):
    """Every path in a plain value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_of(item, (*path, key))


PATHS = list(paths_of(BASE))[1:]
STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), STRANGE), min_size=1, max_size=4))
def test_whatever_stands_anywhere_is_accepted_or_refused_in_sentences(changes):
    """Any value in any place gives an experiment or a refusal; never another error."""
    value = copy.deepcopy(BASE)
    for path, strange in changes:
        holder = value
        try:
            for part in path[:-1]:
                holder = holder[part]
            holder[path[-1]] = strange
        except (LookupError, TypeError):
            continue
    refusal = None
    try:
        validate(Source("fuzz.yaml", value, {}), to_record=True)
    except TidegaugeError as error:
        refusal = error
    assert refusal is None or refusal.exit_code == 2
    assert refusal is None or refusal.message.startswith("fuzz.yaml is not a valid experiment:\n  fuzz.yaml:")


def test_every_shipped_document_is_valid():
    """All of configs/, tables and names included."""
    documents = sorted(shipped("").glob("*.yaml"))

    assert {path.stem for path in documents} >= {"demo", "quick", "baseline-long"}
    assert all(load_document(path).name == path.stem for path in documents)


@pytest.mark.parametrize("name", ["evaluat", "recording:none", "train:kmeans", "record:", ""])
def test_what_is_no_stage_cannot_be_made_anew(written, tmp_path, name):
    """A slip in ``--refresh`` is refused before anything starts, with the names that there are."""
    with pytest.raises(DocumentError, match=r"there is no stage .*\n  next: one of evaluate, "):
        Stages(load_document(written()), tmp_path, refresh=frozenset({name}))


@pytest.mark.parametrize("name", ["evaluate", "recording:training", "record:faults", "train:robust_z", "score", "report"])
def test_a_stage_can_be_made_anew(written, tmp_path, name):
    """By its own name, or by that of its group."""
    assert Stages(load_document(written()), tmp_path, refresh=frozenset({name})).refresh == {name}
