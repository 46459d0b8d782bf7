"""``run``, ``record``, ``train``, ``resume``, ``cancel``: what goes through Prefect and may touch the shop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from flows.console import Common
from tasks.base.errors import DocumentError

if TYPE_CHECKING:
    from flows.document import Experiment

Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Refresh = Annotated[list[str] | None, Parameter(name="--refresh", negative="")]
RequireCached = Annotated[bool, Parameter(name="--require-cached", negative="")]
Trust = Annotated[bool, Parameter(name="--trust", negative="")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative="")]
RunId = Annotated[str, Parameter(name="--run")]


def register(app: App) -> None:
    """Add the commands to *app*."""
    for command in (run, record, train, resume, cancel):
        app.command(command)


def run(
    file: Path,
    *,
    set_: Set = None,
    refresh: Refresh = None,
    require_cached: RequireCached = False,
    trust: Trust = False,
    dry_run: DryRun = False,
    common: Common = Common(),
) -> int:
    """Do everything: cluster, app, load, recordings, training, evaluation, report. What was made before is reused.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting: `--set evaluation.false_alarms_per_day=24`; may be repeated.
    refresh
        Make a stage anew though it is cached: `evaluate`, `train:robust_z`, `recording:training`; may be repeated.
    require_cached
        Refuse to record anything.
    trust
        Let a document from elsewhere start programs of its own.
    dry_run
        Write nothing: show the plan and the rights that it needs, and have the cluster say of each object whether it would take it.
    """
    document = _trusted(file, set_ or [], trust)
    if dry_run:
        from flows.rehearsing import dry_run as rehearse

        return rehearse(document, str(file), common)
    return execute(document, "everything", refresh or [], common, require_cached=require_cached)


def record(
    file: Path,
    *,
    set_: Set = None,
    refresh: Refresh = None,
    trust: Trust = False,
    common: Common = Common(),
) -> int:
    """Record what the document asks for, and nothing more.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting; may be repeated.
    refresh
        Redo one: `recording:NAME`; may be repeated.
    trust
        Let a document from elsewhere start programs of its own.
    """
    return execute(_trusted(file, set_ or [], trust), "record", refresh or [], common)


def train(
    file: Path,
    *,
    set_: Set = None,
    refresh: Refresh = None,
    require_cached: RequireCached = False,
    trust: Trust = False,
    common: Common = Common(),
) -> int:
    """Record what is missing and fit the detectors.

    Parameters
    ----------
    file
        The experiment document.
    set_
        Override a setting; may be repeated.
    refresh
        Make a stage anew; may be repeated.
    require_cached
        Refuse to record anything.
    trust
        Let a document from elsewhere start programs of its own.
    """
    return execute(_trusted(file, set_ or [], trust), "train", refresh or [], common, require_cached=require_cached)


def resume(run: RunId, *, trust: Trust = False, common: Common = Common()) -> int:
    """Go on with a run that was cancelled, failed or killed: finished stages are reused, the others run.

    Parameters
    ----------
    run
        Its id.
    trust
        Let the run's document, which may have come with a store from elsewhere, start programs of its own.
    """
    from flows.document import Experiment
    from flows.trust import require_trust
    from tasks.artifacts.runs import Runs

    runs = Runs(common.open_store())
    found = runs.read(run)
    if found.get("extent") == "import":
        raise DocumentError(f"{found['run']} is an import", next_step="the command that began it goes on where it stopped")
    document = Experiment.model_validate_json(_json(found["document"]))
    require_trust(document, runs.path(found["run"]), trusted=trust)
    extent = found.get("extent", "everything")
    if extent == "again":
        raise DocumentError(f"{found['run']} only evaluated again", next_step=f"tidegauge evaluate --run {found['parent']}")
    return execute(document, extent, [], common, parent=found["run"])


def cancel(run: RunId, *, common: Common = Common()) -> int:
    """Ask a running run to stop: faults are reverted, the shop is taken down, what was recorded stays.

    Parameters
    ----------
    run
        Its id.
    """
    import signal

    from tasks.artifacts.runs import Runs
    from tasks.base.process import ProcessId

    runs = Runs(common.open_store())
    found = runs.look(run)
    if found["status"] != "running" or not ProcessId(**found["process"]).signal(signal.SIGTERM):
        status = runs.look(found["run"])["status"]  # it may have ended just now
        raise DocumentError(f"run {found['run']} is not running; it is {status}", next_step="tidegauge runs list")
    common.show({"run": found["run"], "asked": True}, f"run {found['run']} was asked to stop")
    return 0


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def _trusted(file: Path, overrides: list[str], trust: bool) -> "Experiment":
    from flows.document import load_document
    from flows.trust import require_trust

    document = load_document(file, overrides)
    require_trust(document, file, trusted=trust)
    return document


def execute(
    document: "Experiment",
    extent: Literal["record", "train", "everything", "again"],
    refresh: list[str],
    common: Common,
    *,
    require_cached: bool = False,
    parent: str | None = None,
    recordings: dict[str, str] | None = None,
) -> int:
    """Run a flow in this process, show its table, and give the run's exit code."""
    from flows.server import enter_server, server_of, without_login
    from flows.show import show_run
    from flows.suitability import looked_at
    from tasks.base.progress import reporting_to
    from tasks.base.stopping import stoppable

    store = common.open_store()
    for sentence in looked_at(document, store) if extent != "again" else ():
        common.say(sentence)
    choice = enter_server(store.root, console=common.verbose)
    common.detail(f"Prefect server: {without_login(choice.url) or 'ephemeral'} ({choice.why})")
    with stoppable(), reporting_to(common.progress()), server_of(choice, store.root) as ready:
        from flows.carry import Request
        from flows.launch import launch

        server = None if choice.url else "ephemeral"
        record = launch(
            document,
            store,
            extent=extent,
            refresh=frozenset(refresh),
            require_cached=require_cached,
            request=Request(parent=parent, recordings=recordings or {}, trusted=True, server=server, say=common.say),
            ready=ready,
        )
    show_run(record, common)
    return int(record["exit_code"])
