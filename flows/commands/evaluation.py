"""``evaluate``, ``rank``, ``report``: from what was recorded or imported; none of them touches a shop or a cluster."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from flows.console import Common

RunId = Annotated[str, Parameter(name="--run")]
Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Refresh = Annotated[list[str] | None, Parameter(name="--refresh", negative="")]
Imports = Annotated[list[str] | None, Parameter(name="--imports", negative="", consume_multiple=True)]


def register(app: App) -> None:
    """Add the commands to *app*."""
    for command in (evaluate, rank, report):
        app.command(command)


def evaluate(
    run: RunId = "latest",
    *,
    imports: Imports = None,
    document: Path | None = None,
    set_: Set = None,
    refresh: Refresh = None,
    common: Common = Common(),
) -> int:
    """Score the recordings of a run, again if anything changed; with nothing changed the answer is immediate.

    With `--imports` a new run scores what was imported: detectors learn from the imports of role training, thresholds come from those of
    role calibration, and those of role faults or hold-out are scored.

    Parameters
    ----------
    run
        Whose recordings; `latest` is the newest run with an evaluation.
    imports
        Imports to score, each by its run, reference, name or role; `ROLE=RUN` uses one for another role.
    document
        With `--imports`: a document whose sections features, detectors, evaluation and ranking are used.
    set_
        Override a setting: `--set evaluation.false_alarms_per_day=24`; may be repeated.
    refresh
        Make a stage anew though nothing changed: `evaluate`, `train:robust_z`; may be repeated.
    """
    from tasks.base.errors import DocumentError

    if imports is not None:
        if run != "latest":
            raise DocumentError("--run and --imports are two ways to say what is scored", next_step="leave one of them out")
        return _imported(imports, document, set_ or [], refresh or [], common)
    if document is not None:
        raise DocumentError("--document says how imports are scored", next_step="add --imports, or: tidegauge run FILE")
    return _run(run, set_ or [], refresh or [], common)


def _run(run: str, overrides: list[str], refresh: list[str], common: Common) -> int:
    from flows.records import require_document
    from flows.standing import standing
    from tasks.artifacts.runs import EVALUATED, Runs
    from tasks.base.errors import DocumentError

    store = common.open_store()
    record = Runs(store).look(run)
    if run == "latest":
        common.say(f"latest is run {record['run']}")
    require_document(record)
    if record["status"] == "running":
        raise DocumentError(
            f"run {record['run']} is still running", next_step=f"tidegauge status, or: tidegauge cancel --run {record['run']}"
        )
    finished = record["status"] in EVALUATED and all(name in record["artifacts"] for name in ("evaluation", "ranking", "report"))
    if not overrides and not refresh and finished:
        found = standing(store, record)
        if found.stands:
            from flows.show import show_run

            cached = [{**stage, "outcome": "cached", "seconds": 0.0, "why": "nothing changed"} for stage in record["stages"]]
            common.detail("nothing changed: answered from the run's record; no flow run was made")
            show_run({**record, "stages": cached}, common)
            return int(record["exit_code"])
        for reason in found.reasons[:5]:
            common.say(f"has to be computed again: {reason}")
    return _again(record, overrides, refresh, common)


def rank(run: RunId = "latest", *, set_: Set = None, common: Common = Common()) -> int:
    """Rank root causes of a run's faults again, for example with other windows.

    Parameters
    ----------
    run
        Whose faults; `latest` is the newest run with an evaluation.
    set_
        Override a setting of `ranking`; may be repeated.
    """
    return evaluate(run, set_=set_, common=common)


def report(run: RunId = "latest", *, common: Common = Common()) -> int:
    """Say where a run's page is, and draw it again if it is missing or its code changed.

    Parameters
    ----------
    run
        Which run; `latest` is the newest one with an evaluation.
    """
    return evaluate(run, common=common)


def _imported(words: list[str], file: Path | None, overrides: list[str], refresh: list[str], common: Common) -> int:
    from flows.commands.running import execute
    from flows.imports import chosen
    from flows.synthesis import experiment_of

    found = chosen(common.open_store(), words, common.say)
    return execute(experiment_of(found, file, overrides), "everything", refresh, common)


def _again(record: dict[str, object], overrides: list[str], refresh: list[str], common: Common) -> int:
    from flows.commands.running import execute
    from flows.document import validate, with_overrides
    from tasks.base.yaml_source import Source

    source = Source(f"the document of run {record['run']}", record["document"], {})
    document = validate(with_overrides(source, overrides))
    recordings = {
        name.removeprefix("record:"): str(ref)
        for name, ref in dict(record["artifacts"]).items()  # type: ignore[call-overload]
        if name.startswith("record:")
    }
    return execute(document, "again", refresh, common, parent=str(record["run"]), recordings=recordings)
