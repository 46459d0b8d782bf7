"""Which imports somebody means, whether they fit together, and the document that follows from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli import main
from flows.document import Experiment, load_document
from flows.drawing import drawn
from flows.imports import Import, chosen, listed
from flows.records import RunRecord
from flows.stages import Stages
from flows.suitability import looked_at, reasons_against, roles_missing, worth_knowing
from flows.synthesis import experiment_of
from flows.timeline import timeline
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Made, Store
from tasks.base.clock import iso
from tasks.base.errors import DocumentError
from tasks.base.files import canonical_json, write_json
from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.features.config import FeaturesConfig
from tasks.telemetry.chunks import ChunkWriter

T0 = 1_790_000_000.0
HOUR_S = 3600.0
FEATURES = FeaturesConfig(grid_s=5, rate_window_s=20)


def trial(name="f1", start_s=T0 + 2.5 * HOUR_S, **more) -> Trial:
    """A fault of a minute."""
    end_s = start_s + 60
    windows = Windows(start_s, start_s, None, end_s, end_s, end_s)
    return replace(Trial(name, "latency", "carts", 1.0, False, 60.0, windows, Outcome.IMPACT), **more)


def made(name, role=None, hours=(0.0, 1.0), **more) -> Import:
    """An import of that part of the time after T0."""
    span = Interval(T0 + hours[0] * HOUR_S, T0 + hours[1] * HOUR_S)
    digest = f"{abs(hash((name, role, hours))):032x}"[:32]
    found = Import(Ref("recording", digest), name, role or name, span, 5.0, "complete", 0, "http://h:9090", (), "20261126-120000-0001")
    return replace(found, **more)


THREE = (made("training"), made("calibration", hours=(1, 2)), made("faults", hours=(2, 3.5), trials=(trial(),)))


def put(store: Store, one: Import, run: str, metrics: Collection[str] = ("process_cpu_seconds_total",)) -> Import:
    """*one* as the import *run* of *store*; only what is read of it here, and a sample of each of *metrics*."""
    folder = store.stage("recording")
    writer = ChunkWriter(folder)
    numbers = [writer.table.number("service", "carts", name, {"instance": "a"}) for name in metrics]
    writer.add(round(one.span.start_s * 1000), numbers, [1.0] * len(numbers))
    writer.flush()
    writer.close()
    facts = {"name": one.name, "role": one.role, "start": iso(one.span.start_s), "end": iso(one.span.end_s), "status": one.status}
    write_json(
        folder / "recording.json",
        {**facts, "interval_s": one.interval_s, "gaps": one.gaps, "imported": {"access": {"url": one.server}}},
    )
    write_json(folder / "faults.json", [trial.to_json() for trial in one.trials])
    ref = store.commit(folder, "recording", Made(f"record:{one.name}", f"{run}{one.name}"))
    record = RunRecord.begin(store, name=one.name, document={}, profile="", extent="import", parent=None, prefect={})
    record.body |= {"run": run, "started": run, "artifacts": {f"record:{one.name}": str(ref)}}
    record.end("complete", 0)
    return replace(one, ref=ref, run=run)


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty one."""
    return Store(tmp_path / "store").create()


@pytest.fixture
def three(store) -> list[Import]:
    """The imports in it: one of each role."""
    return [put(store, one, f"20261126-12000{place}-0001") for place, one in enumerate(THREE)]


# -- who is meant ---------------------------------------------------------------------------------------------------------------


def test_imports_are_named_by_name_run_reference_or_role(store, three):
    """In the order in which they were named; what was found is said."""
    said: list[str] = []
    training, calibration, faults = three

    assert chosen(store, ["faults", training.run, str(calibration.ref)], said.append) == (faults, training, calibration)
    assert chosen(store, [calibration.ref.digest]) == (calibration,)
    assert said[0] == f"faults (faults), 2026-09-21T16:13:20 to 2026-09-21T17:43:20: run {faults.run}"


def test_a_role_is_meant_where_no_import_is_called_so(store):
    """Those that were imported without ``--name`` are all called alike."""
    first, second = (
        put(store, made("imported", role, (place, place + 1)), f"20261126-12000{place}-0001")
        for place, role in enumerate(["training", "faults"])
    )

    assert chosen(store, ["training", "faults"]) == (first, second)
    with pytest.raises(DocumentError, match=r"imported may mean 2 imports: .*20261126-120001-0001") as refused:
        chosen(store, ["imported"])
    assert refused.value.next_step == "name them by their runs"


def test_of_several_the_newest_counts_and_the_others_are_told(store):
    """The same name and the same role."""
    old, new = (put(store, made("faults", hours=(hour, hour + 1)), f"20261126-1200{9 - hour}0-0001") for hour in (5, 0))
    said: list[str] = []

    assert chosen(store, ["faults"], said.append) == (new,)
    assert said[0] == f"faults: the newest of 2; left out: {old.run}"


def test_an_import_may_be_used_for_another_role(store, three):
    """Without bringing it again."""
    assert chosen(store, [f"hold-out={three[0].run}"]) == (replace(three[0], role="hold-out"),)


def test_the_same_samples_are_listed_once(store, three):
    """An import that was found again is no other recording."""
    again = RunRecord.begin(store, name="faults", document={}, profile="", extent="import", parent=None, prefect={})
    again.body["artifacts"] = {"record:faults": str(three[2].ref)}
    again.end("complete", 0)

    assert [one.ref for one in listed(store)] == [one.ref for one in (three[2], *three[1::-1])]


@pytest.mark.parametrize(
    ("word", "why", "next_step"),
    [
        ("fault", "no import is called 'fault'; did you mean faults?", "one of faults (faults, run "),
        ("test=faults", "'test' is no role", "training, calibration, faults, hold-out"),
        ("20261126-120009-0001", "there is no run", "runs list"),
        ("recording/" + "0" * 32, "is not in the store", "run again"),
        ("../../etc/passwd", "no import is called", "one of"),
    ],
)
def test_a_word_that_means_nothing_is_told_with_what_there_is(store, three, word, why, next_step):
    """With the nearest name."""
    with pytest.raises(Exception, match=why) as refused:
        chosen(store, [word])
    assert next_step in refused.value.next_step


def test_a_store_without_imports_says_how_to_make_one(store):
    """Instead of an empty list."""
    with pytest.raises(DocumentError, match="there is none in this store") as refused:
        chosen(store, ["training"])
    assert refused.value.next_step.startswith("tidegauge import prometheus URL")


def test_one_recording_is_named_once(store, three):
    """By whatever names: it cannot serve two roles."""
    with pytest.raises(DocumentError, match="training is named twice"):
        chosen(store, ["training", f"calibration={three[0].run}"])


@pytest.mark.parametrize(("status", "why"), [("failed", "the import .* is failed: gone"), ("complete", "is no import: it has a document")])
def test_only_imports_that_finished_are_taken(store, status, why):
    """One that was stopped goes on by its own command; a run of an experiment has its own evaluation."""
    extent = "import" if status == "failed" else "everything"
    record = RunRecord.begin(store, name="x", document={"recordings": []}, profile="", extent=extent, parent=None, prefect={})
    record.end(status, 3, "gone")

    with pytest.raises(DocumentError, match=why):
        chosen(store, [record.run])


# -- whether they fit together --------------------------------------------------------------------------------------------------


def named(*imports: Import) -> dict[str, Import]:
    """By name."""
    return {one.name: one for one in imports}


def test_three_roles_fit():
    """Nothing speaks against them, and there is nothing to know."""
    assert roles_missing(THREE) == ()
    assert reasons_against(named(*THREE), FEATURES) == ()
    assert worth_knowing(named(*THREE), FEATURES) == ()


@pytest.mark.parametrize(
    ("roles", "lacking"),
    [
        (["training", "faults"], ["calibration: thresholds come from one"]),
        (["calibration", "hold-out"], ["training: detectors learn"]),
        (["training", "calibration"], ["faults or hold-out: there is nothing to score"]),
        (["faults"], ["training: ", "calibration: "]),
    ],
)
def test_a_missing_role_is_told_with_the_command_that_brings_it(roles, lacking):
    """All of them."""
    found = roles_missing([made(role) for role in roles])

    assert [words in reason.text for words, reason in zip(lacking, found, strict=True)] == [True] * len(lacking)
    assert all("tidegauge import prometheus" in reason.next_step and "--imports" in reason.next_step for reason in found)


AGAINST = {
    "no labels": (lambda: replace(THREE[2], trials=()), "faults has the role faults and no labels", "--labels FAULTS.csv"),
    "same ids": (
        lambda: made("more", "faults", (4, 5), trials=(trial(start_s=T0 + 4.5 * HOUR_S),)),
        "2 faults are called f1: in faults and more",
        "another fault_id",
    ),
    "faults in training": (
        lambda: replace(THREE[0], trials=(trial("g", T0 + 60), trial("p", T0 + 90, placebo=True))),
        "training has 1 labelled faults, and its role training is to show what is normal",
        "import a stretch without them",
    ),
    "overlap": (
        lambda: made("calibration", hours=(1, 2.25)),
        "calibration and faults overlap from 2026-09-21T16:13:20.000Z to 2026-09-21T16:28:20.000Z",
        "their times differ",
    ),
    "too short": (
        lambda: made("calibration", hours=(1, 1 + 59 / 3600)),
        "calibration is 59 s long: fewer than 8 rows of 5 s",
        "at least 60 s",
    ),
    "scored twice": (
        lambda: made("other", "hold-out", (3, 4), server="http://elsewhere"),
        "faults and other overlap from 2026-09-21T17:13:20.000Z to 2026-09-21T17:43:20.000Z: one row would be scored twice",
        "their times differ",
    ),
}


@pytest.mark.parametrize("case", AGAINST)
def test_what_speaks_against_them_is_one_sentence_with_the_next_step(case):
    """Of labels, names, times and lengths."""
    other, text, next_step = AGAINST[case]
    (reason,) = reasons_against(named(*THREE) | named(other()), FEATURES)

    assert reason.text.startswith(text)
    assert next_step in reason.next_step


def test_two_servers_may_have_been_watched_at_the_same_time():
    """Learning from one while the other is tested tells nothing beforehand."""
    assert reasons_against(named(replace(THREE[0], span=THREE[2].span, server="http://other"), *THREE[1:]), FEATURES) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"interval_s": 15.0}, "different intervals (training every 5 s, calibration every 5 s, faults every 15 s)"),
        ({"interval_s": None}, "faults tells of no scrapes"),
        ({"status": "incomplete", "gaps": 3}, "faults is incomplete (3 gaps)"),
    ],
)
def test_what_has_to_be_known_is_said(change, text):
    """It does not stop anybody."""
    imports = named(*THREE[:2], replace(THREE[2], **change))

    assert reasons_against(imports, FEATURES) == ()
    assert [text in sentence for sentence in worth_knowing(imports, FEATURES)] == [True]


# -- the document ---------------------------------------------------------------------------------------------------------------


def test_the_document_follows_from_the_recordings():
    """Rows as far apart as scrapes, rates over four of them, windows of enough rows; nothing on how to record, which nobody did."""
    found = experiment_of([replace(one, interval_s=15.002) for one in THREE], None, [])

    assert (found.features.grid_s, found.features.rate_window_s, found.features.profile) == (15, 60, "long")
    assert (found.evaluation.profile, found.evaluation.false_alarms_per_day) == ("long", 1)
    assert (found.evaluation.block_length_s, found.evaluation.buffer_s) == (150, 120)
    assert (found.ranking.reference_length_s, found.ranking.effect_length_s) == (300, 120)
    assert {one.name: one.window_s for one in found.detectors if hasattr(one, "window_s")} == {"kmeans": 120}
    assert found.imported == {one.name: str(one.ref) for one in THREE}
    kept = found.to_json()
    assert set(kept) == {"version", "name", "seed", "recordings", "features", "detectors", "evaluation", "ranking"}
    assert Experiment.model_validate_json(canonical_json(kept)) == found


def test_less_than_an_hour_is_judged_in_short_windows():
    """Those of the shipped demo where a row is a second."""
    short = [replace(one, interval_s=1.0) for one in (*THREE[:2], replace(THREE[2], span=Interval(T0 + 2 * HOUR_S, T0 + 2.9 * HOUR_S)))]
    found = experiment_of(short, None, [])

    assert (found.features.profile, found.features.grid_s, found.features.rate_window_s) == ("short", 1, 5)
    assert (found.evaluation.false_alarms_per_day, found.evaluation.block_length_s, found.ranking.reference_length_s) == (24, 10, 15)


def test_what_is_stated_stays(tmp_path):
    """In a document, of which only what is about evaluating is used, and by ``--set``, which wins."""
    file = tmp_path / "ours.yaml"
    file.write_text(
        "name: ours\nseed: 7\nload: {users: {shape: none}}\nrecordings: []\nfeatures: {grid_s: 30}\n"
        "detectors: [robust_z, kmeans, {name: ewma, weight: 0.1}]\nevaluation: {false_alarms_per_day: 5, block_s: 7}\n"
    )
    found = experiment_of(THREE, file, ["evaluation.false_alarms_per_day=6", "ranking.effect_s=9"])

    assert (found.name, found.seed, found.features.grid_s, found.features.rate_window_s) == ("ours", 7, 30, 120)
    assert (found.evaluation.false_alarms_per_day, found.evaluation.block_s, found.ranking.effect_s) == (6, 7, 9)
    assert [(one.name, getattr(one, "window_s", None)) for one in found.detectors] == [("robust_z", None), ("kmeans", 240), ("ewma", None)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("features: 5\n", ":1:1: features: must be a mapping"),
        ("a: 1\nevalution: {}\n", ":2:1: evalution: no such setting; did you mean evaluation?"),
        ("\nfeatures: {grid_s: -1}\n", ":2:12: features.grid_s: must be greater than 0"),
    ],
)
def test_a_mistake_in_the_document_is_told_with_its_place(tmp_path, text, place):
    """As everywhere."""
    (tmp_path / "ours.yaml").write_text(text)

    with pytest.raises(DocumentError) as refused:
        experiment_of(THREE, tmp_path / "ours.yaml", [])
    assert f"ours.yaml{place}" in refused.value.message


def test_rows_need_an_interval_that_somebody_knows():
    """Samples that tell of no scrapes: it has to be said, and then it is used."""
    blind = [replace(one, interval_s=None) for one in THREE]

    with pytest.raises(DocumentError, match="no series `up` tells how often") as refused:
        experiment_of(blind, None, [])
    assert "--set features.grid_s=SECONDS" in refused.value.next_step
    assert experiment_of(blind, None, ["features.grid_s=10"]).features.rate_window_s == 40


def test_recordings_of_one_name_are_called_by_their_roles():
    """Numbered where there are several of a role."""
    alike = [made("imported", role, (hour, hour + 1)) for hour, role in enumerate(["training", "calibration", "hold-out", "hold-out"])]

    assert [one.name for one in experiment_of(alike, None, []).recordings] == ["training", "calibration", "hold-out-1", "hold-out-2"]


def test_a_document_of_imports_can_be_planned_and_records_nothing():
    """No load is asked for; a name to refresh is one of what is computed."""
    found = experiment_of(THREE, None, [])

    assert timeline(found, "x").recordings == ()
    assert "recording:faults" not in Stages(found, Path("x")).names()
    assert "featurize:faults" in Stages(found, Path("x")).names()


BY_HAND = """\
version: 1
name: mixed
recordings:
  - {name: training, role: training, imported: recording/0123456789abcdef0123456789abcdef}
  - {name: calibration, role: calibration, imported: recording/1123456789abcdef0123456789abcdef}
  - {name: faults, role: faults, imported: recording/2123456789abcdef0123456789abcdef}
"""


def test_a_document_may_name_imports_by_hand(tmp_path):
    """All of them, or some beside what is recorded, for which there has to be a load."""
    path = tmp_path / "mixed.yaml"
    path.write_text(BY_HAND)
    alone = load_document(path)
    path.write_text(
        BY_HAND.replace("imported: recording/1123456789abcdef0123456789abcdef", "duration_s: 60")
        + "load: {users: {shape: constant, users: 2}}\n"
    )
    mixed = load_document(path)

    assert list(alone.imported) == ["training", "calibration", "faults"]
    assert "training (training): imported, recording/0123456789abcdef0123456789abcdef" in drawn(alone, timeline(alone, str(path)))
    assert [one.name for one in timeline(mixed, str(path)).recordings] == ["calibration"]
    assert Experiment.model_validate_json(canonical_json(mixed.to_json())) == mixed


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("imported: recording/1123456789abcdef0123456789abcdef", "duration_s: 60", ":1:1: load: is missing"),
        ("role: training,", "role: training, duration_s: 5,", ":4:5: recordings[0]: an imported recording has a length of its own"),
        (
            "recording/0123456789abcdef0123456789abcdef",
            "matrix/0123456789abcdef0123456789abcdef",
            ":4:38: recordings[0].imported: must be the reference of",
        ),
        ("name: mixed", "name: mixed\nfaults: {trials: [{kind: pause, target: carts}]}", ":3:1: faults: no recording has the role faults"),
    ],
)
def test_a_document_of_imports_is_as_strict_as_any(tmp_path, old, new, mistake):
    """What is missing, and what makes no sense, has its place."""
    path = tmp_path / "mixed.yaml"
    path.write_text(BY_HAND.replace(old, new))

    with pytest.raises(DocumentError) as refused:
        load_document(path)
    assert f"mixed.yaml{mistake}" in refused.value.message


UNKNOWN = {f"our_metric_{number:02d}": {} for number in range(14)}


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"process_cpu_seconds_total": {}, "up": {}, **UNKNOWN}, "training: 2 columns from 2 of its 16 metric names"),
        ({"up": {}, **UNKNOWN}, "only an outage can show"),
        (UNKNOWN, "the catalogue default does not know our_metric_00, "),
    ],
)
def test_what_the_catalogue_knows_is_told(store, metrics, said):
    """Before anything is computed: how many names become columns; where none does, it is refused."""
    imports = [put(store, one, f"20261126-12000{place}-0001", metrics) for place, one in enumerate(THREE)]
    found = experiment_of(imports, None, [])

    try:
        told = "\n".join(looked_at(found, store))
    except DocumentError as error:
        told = str(error)
    assert said in told
    assert ("features.catalogue=NAME" in told) == ("process_cpu_seconds_total" not in metrics)
    assert len(told) < 700


# -- the command ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--imports", "training", "faults"], "no import has the role calibration"),
        (["--imports", "training", "calibration", "hold-out=faults", "--set", "features.grid_s=600"], "fewer than 8 rows"),
        (["--imports", "nobody"], "no import is called 'nobody'"),
        (["--imports", "training", "--run", "20261126-120000-0001"], "two ways to say what is scored"),
        (["--document", "x.yaml"], "--document says how imports are scored"),
        (["--run", "20261126-120000-0001"], "is an import: one recording"),
        ([], "is an import: one recording"),
    ],
)
def test_a_wrong_command_ends_before_anything_is_started(store, three, capsys, argv, why):
    """Exit 2, and no new run."""
    before = sorted(store.root.rglob("*"))

    assert main(["evaluate", *argv, "--store", str(store.root)]) == 2
    assert why in capsys.readouterr().err
    assert sorted(store.root.rglob("*")) == before


def test_latest_is_an_import_where_nothing_was_evaluated(store, three, capsys):
    """What errors of storage suggest to type has something to look at."""
    assert main(["runs", "verify", "latest", "--store", str(store.root)]) == 0
    assert main(["resume", "--run", three[0].run, "--store", str(store.root)]) == 2
    assert "the command that began it" in capsys.readouterr().err
