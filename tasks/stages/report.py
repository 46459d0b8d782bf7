"""Stage *report*: everything that a run's artifacts say, gathered and drawn as one offline page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.artifacts.jobs import Job
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.base.clock import from_iso
from tasks.base.files import read_json, write_atomically
from tasks.base.intervals import Interval
from tasks.base.parquet import read_table
from tasks.base.trials import Trial
from tasks.features import matrix as matrices
from tasks.reporting import model
from tasks.reporting.cluster_facts import ClusterFacts
from tasks.reporting.load_view import load_view
from tasks.reporting.outcomes import event_results
from tasks.reporting.page import render
from tasks.telemetry.causes import gap_note
from tasks.telemetry.kube.journal import read_journal

UNDER_FAULT = "inside a fault's window"


@dataclass(frozen=True, slots=True)
class Gathering:
    """Reads the inputs of a report job."""

    job: Job
    store: Store

    def folder(self, name: str) -> Path:
        """The folder of the input *name*."""
        return self.store.open(self.job.ref(name)).folder

    def digest(self, name: str) -> str:
        """The digest of the input *name*."""
        return self.job.ref(name).digest

    @property
    def recordings(self) -> list[str]:
        """Recording names in the document's order."""
        return [name for name in self.job.settings["roles"] if f"recording:{name}" in self.job.inputs]

    @property
    def detectors(self) -> list[str]:
        """Detector names in the table's order."""
        return [row["name"] for row in self.evaluation["detectors"]]

    @property
    def evaluation(self) -> dict[str, Any]:
        """The evaluation."""
        return dict(read_json(self.folder("evaluation") / "evaluation.json"))

    def facts(self, recording: str) -> dict[str, Any]:
        """What was written down about a recording, with the name and the role that it has here."""
        facts = read_json(self.folder(f"recording:{recording}") / "recording.json")
        return {**facts, "name": recording, "role": self.job.settings["roles"][recording]}

    def trials(self, recording: str) -> tuple[Trial, ...]:
        """Its trials."""
        return tuple(Trial.from_json(item) for item in read_json(self.folder(f"recording:{recording}") / "faults.json"))


def recording_view(found: Gathering, name: str) -> model.RecordingView:
    """One recording: load, metrics, trials, gaps."""
    facts, folder = found.facts(name), found.folder(f"recording:{name}")
    made = matrices.load(found.folder(f"matrix:{name}"))
    columns = tuple(model.MetricColumn(column.name, column.service, column.metric, column.unit) for column in made.columns)
    degraded = read_json(folder / "degraded.json")
    return model.RecordingView(
        name=name,
        role=facts["role"],
        span=Interval(from_iso(facts["start"]), from_iso(facts["end"])),
        trials=found.trials(name),
        load=load_view(folder / "load") if (folder / "load").is_dir() else None,
        imported_from=facts.get("imported", {}).get("access", {}).get("url", "elsewhere") if "imported" in facts else None,
        metrics=model.MetricHistory(made.time_s, columns, made.values, made.valid),
        gaps=tuple(gap_view(gap) for gap in read_json(folder / "gaps.json")["gaps"]),
        degraded=stretches(degraded),
        note=facts["status"],
        certificate=facts["certificate"],
        cluster=ClusterFacts.of(facts.get("processes") or {}, read_journal(folder)),
    )


def stretches(degraded: list[dict[str, Any]]) -> tuple[model.Degraded, ...]:
    """Degraded seconds in succession and for the same reasons as one stretch each."""
    found: list[model.Degraded] = []
    for entry in degraded:
        second, reason = float(entry["second"]), ", ".join(entry["reasons"])
        if found and found[-1].reason == reason and found[-1].end_s == second - 1:
            found[-1] = model.Degraded(found[-1].start_s, second, reason)
        else:
            found.append(model.Degraded(second, second, reason))
    return tuple(found)


def gap_view(gap: dict[str, Any]) -> model.Gap:
    """A line of the gap ledger; without a target nothing was scraped at all."""
    return model.Gap(gap["target"] or "all targets", from_iso(gap["start"]), from_iso(gap["end"]), gap_note(gap))


def score_views(found: Gathering) -> tuple[model.ScoreHistory, ...]:
    """Scores, threshold and alarms of each detector on each recording that it was not trained on."""
    evaluation = found.evaluation
    thresholds = {row["name"]: row["threshold"] for row in evaluation["results"]}
    views = []
    for detector in found.detectors:
        folder = found.folder(f"scores:{detector}")
        for path in sorted(folder.glob("*.parquet")):
            table = read_table(path, ["time_s", "score"])
            threshold = thresholds[detector]
            raised = tuple(Interval(*span) for span in evaluation["alarms"][detector].get(path.stem, []))
            times, scores = (np.asarray(table.column(name).to_numpy()) for name in ("time_s", "score"))
            views.append(model.ScoreHistory(detector, path.stem, times, scores, threshold and threshold["value"], raised))
    return tuple(views)


def false_alarms(found: Gathering, trials: tuple[Trial, ...]) -> tuple[model.FalseAlarm, ...]:
    """Alarms outside the spans of faults, with what drove them; those on a benign change say so."""
    evaluation = found.evaluation
    spans = [Interval(*span) for span in evaluation["spans"]]
    changes = {name: Interval(*span) for name, span in evaluation.get("changes", {}).items()}
    placebos = [trial for trial in trials if trial.placebo and trial.windows.acknowledged is not None]
    made = []
    for detector, by_recording in evaluation["alarms"].items():
        for recording, raised in by_recording.items():
            if found.job.settings["roles"].get(recording) not in ("faults", "hold-out"):
                continue
            for open_s, close_s in raised:
                if any(open_s in span for span in spans):
                    continue
                inside = [t.id for t in placebos if t.windows.requested <= open_s <= (t.windows.reverted or open_s) + evaluation["grace_s"]]
                note = f"during placebo {inside[0]}" if inside else ""
                if changed := [name for name, span in changes.items() if open_s in span]:
                    note = f"during benign change {changed[0]}: counted there, not in the rate a day"
                parts = contributors(found, detector, recording, open_s)
                made.append(model.FalseAlarm(detector, recording, open_s, close_s, parts, note))
    return tuple(made)


def contributors(found: Gathering, detector: str, recording: str, open_s: float) -> tuple[model.Contribution, ...]:
    """The columns that contributed most to the score at *open_s*; none where the detector cannot say."""
    table = read_table(found.folder(f"scores:{detector}") / f"{recording}.parquet")
    if "top_1" not in table.column_names:
        return ()
    row = int(np.argmin(np.abs(np.asarray(table.column("time_s").to_numpy()) - open_s)))
    names = matrices.load(found.folder(f"matrix:{recording}")).names
    ranks = range(1, 1 + sum(name.startswith("top_") for name in table.column_names))
    return tuple(
        model.Contribution(names[table.column(f"top_{rank}")[row].as_py()], float(table.column(f"share_{rank}")[row].as_py()))
        for rank in ranks
    )


def lineage(found: Gathering) -> tuple[model.LineageStage, ...]:
    """Every artifact behind the page, at any depth."""
    waiting, done = sorted({found.job.ref(name) for name in found.job.inputs}), dict[Ref, model.LineageStage]()
    while waiting:
        ref = waiting.pop(0)
        if ref in done:
            continue
        manifest = found.store.open(ref).manifest
        behind = [Ref.parse(text) for text in manifest["made_from"].values()]
        done[ref] = model.LineageStage(
            stage=manifest["stage"],
            kind=ref.kind,
            digest=ref.digest,
            made_from=tuple(one.digest for one in behind),
            fingerprint=_fingerprint(manifest["modules"]),
            settings=manifest["settings"],
            versions=manifest["versions"],
        )
        waiting.extend(behind)
    return tuple(sorted(done.values(), key=lambda one: (one.kind, one.stage)))


def _fingerprint(modules: dict[str, str]) -> str | None:
    from tasks.artifacts.fingerprint import Fingerprint

    return Fingerprint(modules).digest if modules else None


def run_object(found: Gathering) -> dict[str, Any]:
    """The public object of the run, without what differs from run to run of the same artifacts."""
    from tasks.base.files import read_json as read

    document = found.job.settings["document"]
    facts = [found.facts(name) for name in found.recordings]
    names = ("name", "role", "samples", "series", "gaps", "degraded_s")
    trials = [trial for name in found.recordings for trial in found.trials(name)]
    return {
        "run": document["name"],
        "parent": None,
        "status": "complete" if all(one["status"] == "complete" for one in facts) else "incomplete",
        "report": None,
        "profile": document["features"]["profile"],
        "recordings": [{"id": found.digest(f"recording:{one['name']}"), **{name: one[name] for name in names}} for one in facts],
        "faults": [trial.to_json() for trial in trials],
        "detectors": found.evaluation["detectors"],
        "ranking": read(found.folder("ranking") / "ranking.json")["ranking"],
        "stages": [],
        "prefect": {"flow_run": None, "server": None},
    }


def recording_notes(found: Gathering) -> list[str]:
    """What each recorder had to say: faults that were not tried, a generator that was started again."""
    return [f"recording {name}: {note}" for name in found.recordings for note in found.facts(name)["notes"]]


def gather(job: Job, store: Store) -> model.ReportData:
    """Everything on the page."""
    found = Gathering(job, store)
    document, evaluation = job.settings["document"], found.evaluation
    ranking = read_json(found.folder("ranking") / "ranking.json")
    trials = tuple(trial for name in found.recordings for trial in found.trials(name))
    first = found.facts(found.recordings[0])
    sources = {"detectors": found.digest("evaluation"), "events": found.digest("evaluation"), "ranking": found.digest("ranking")}
    sources |= {name: found.digest(name) for name in job.inputs if ":" in name}
    return model.ReportData(
        run=run_object(found),
        name=document["name"],
        recordings=tuple(recording_view(found, name) for name in found.recordings),
        scores=score_views(found),
        events=event_results(evaluation["results"], trials),
        false_alarms=false_alarms(found, trials),
        lineage=lineage(found),
        sources=sources,
        notes=tuple(model.Note(text) for text in (*evaluation["notes"][1:], *ranking.get("notes", ()), *recording_notes(found))),
        power=evaluation["power"]["line"],
        budget_per_day=evaluation["budget_per_day"],
        edges=tuple((caller, callee) for caller, callee in first["edges"]),
        seed=document["seed"],
        versions=first["versions"],
        machine={name: str(value) for name, value in first["machine"].items()},
        commands=(
            model.Command("tidegauge runs show latest --gaps", "the tables of this run, and its gaps"),
            model.Command("tidegauge evaluate --run latest --set evaluation.false_alarms_per_day=24", "score again with another budget"),
            model.Command("tidegauge runs verify latest --read-data", "read every byte again"),
        ),
        document=_yaml(document),
    )


def _yaml(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, indent=1, ensure_ascii=False)


def compute(job: Job, store: Store, folder: Path) -> None:
    """Write ``report.html``."""
    write_atomically(folder / "report.html", render(gather(job, store)))
