"""What every flow does: open the store, keep the record, run the stages, and end honestly whatever happens."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.states import Cancelled as CancelledState

from flows.aftermath import aftermath
from flows.document import Experiment
from flows.pipeline import Pipeline
from flows.records import RunRecord, complete, numbers_of
from flows.server import without_login
from flows.stages import Stages
from flows.suitability import looked_at
from flows.trust import require_served_trust
from tasks.artifacts.jobs import look_up
from tasks.artifacts.store import Store
from tasks.base.errors import Cancelled, DocumentError, IncompleteError, RequirementError, TidegaugeError
from tasks.base.stopping import stoppable
from tasks.cluster.config import LocalCluster
from tasks.record import acceptance

Extent = Literal["record", "train", "everything", "again"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line adds to a flow's parameters."""

    parent: str | None = None
    recordings: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False
    """Whether somebody said that programs of the document may be started."""
    server: str | None = None
    """What to call the Prefect server in the record; None: by its address."""
    say: Callable[[str], None] = lambda _: None


REQUEST: ContextVar[Request] = ContextVar("request", default=Request())


def current_store() -> Store:
    """The store that ``TIDEGAUGE_STORE`` names; ``tidegauge-data`` in the working directory otherwise."""
    return Store(Path(os.environ.get("TIDEGAUGE_STORE") or "tidegauge-data")).create()


def carry_out(document: Experiment, extent: Extent, *, require_cached: bool = False, refresh: frozenset[str] = frozenset()) -> Any:
    """
    Run the stages of *document* up to *extent*, inside a flow.

    Returns:
        The run's id, or a cancelled state of Prefect.

    Raises:
        TidegaugeError: A stage failed; the record says so and what was finished is kept. A document that brings programs of its own
            is refused before anything starts, unless it came through the command line or trust was given where flows are served.
    """
    request, store = REQUEST.get(), current_store()
    if extent != "again" and not request.trusted:
        require_served_trust(document)
    for sentence in aftermath(store, request.say):
        request.say(sentence)
    stages = Stages(document, store.root, refresh=refresh)
    _see_rights(stages, store, may_record=extent != "again" and not require_cached, say=request.say)
    record = RunRecord.begin(
        store,
        name=document.name,
        document=document.to_json(),
        profile=document.features.profile,
        extent=extent,
        parent=request.parent,
        prefect=_prefect(),
    )
    pipeline = Pipeline(stages, record, require_cached)
    try:
        with stoppable():
            if extent == "again" and not scorable(document):
                raise DocumentError(
                    f"{document.name} has no recording of role faults or hold-out to score, or no calibration",
                    next_step="add one to its recordings, then: tidegauge run FILE",
                )
            if extent != "again":
                looked_at(document, store)
            if extent == "again":
                pipeline.judge_again(request.recordings)
            elif extent == "record":
                pipeline.recordings()
            else:
                pipeline.run(evaluate_too=extent == "everything" and scorable(document))
    except Cancelled as error:
        record.end("cancelled", error.exit_code, error.message, **_numbers(store, record))
        return CancelledState(message=error.message, data=record.run)
    except TidegaugeError as error:
        record.end("failed", error.exit_code, error.message, **_numbers(store, record))
        raise
    except BaseException as error:
        record.end("failed", 1, f"{type(error).__name__}: {error}", **_numbers(store, record))
        raise
    finally:
        for sentence in _released(document, store, record.run, request.say):
            request.say(sentence)
    return close(store, record)


def _released(document: Experiment, store: Store, run: str, say: Callable[[str], None]) -> Iterable[str]:
    """Remove the cluster that *run* had made for *document*; what is still there of it, a sentence each."""
    if isinstance(document.cluster, LocalCluster):
        return ()
    from tasks.recordings.place import released  # only now, as in the next one

    return released(document.cluster, store.root, run, say)


def _see_rights(stages: Stages, store: Store, *, may_record: bool, say: Callable[[str], None]) -> None:
    """Where something will be recorded in a cluster, see that everything planned there is allowed, before anything is made."""
    local = isinstance(stages.experiment.cluster, LocalCluster)
    entries = stages.experiment.recorded if may_record and not local else ()
    if any(look_up(store, stages.record(entry), acceptance(entry))[0] is None for entry in entries):
        from flows.cluster_checks import require_rights  # only now: it brings along all that is known of clusters

        require_rights(stages.experiment, store.root, say)


def scorable(document: Experiment) -> bool:
    """Whether there is something to score: a calibration, and a recording that no detector was trained or calibrated on."""
    roles = {entry.role for entry in document.recordings}
    return "calibration" in roles and bool(roles & {"faults", "hold-out"})


def close(store: Store, record: RunRecord) -> str:
    """End the record with the run's tables and exit code, and show them in Prefect; the run's id."""
    numbers = numbers_of(store, record.body["artifacts"], roles_of(record.body))
    whole = complete(store, record.body["artifacts"])
    why = f"a recording is incomplete; `tidegauge runs show {record.run} --gaps` says why"
    code, error = (0, None) if whole else (IncompleteError.exit_code, why)
    missed = numbers["shortfall"]
    if whole and missed:
        code, error = RequirementError.exit_code, missed
    record.end("complete" if whole else "incomplete", code, error, **numbers)
    _publish(record.body)
    return record.run


def _numbers(store: Store, record: RunRecord) -> dict[str, Any]:
    try:
        return numbers_of(store, record.body["artifacts"], roles_of(record.body))
    except TidegaugeError:
        return {}


def roles_of(body: Mapping[str, Any]) -> dict[str, str]:
    """What each recording of a run is used for, as its document says."""
    return {entry["name"]: entry["role"] for entry in body["document"]["recordings"]}


def _prefect() -> dict[str, Any]:
    from prefect.settings import get_current_settings

    context = FlowRunContext.get()
    flow_run = None if context is None or context.flow_run is None else str(context.flow_run.id)
    return {"flow_run": flow_run, "server": REQUEST.get().server or without_login(get_current_settings().api.url) or "ephemeral"}


def _publish(body: Mapping[str, Any]) -> None:
    """Put the tables where the Prefect UI shows them."""
    from tasks.reporting.markdown import summary

    create_markdown_artifact(key="run", markdown=summary(body), description=f"run {body['run']}")
    if body["detectors"]:
        rows = [{name: value for name, value in row.items() if not isinstance(value, list)} for row in body["detectors"]]
        create_table_artifact(key="detectors", table=rows, description=f"detectors of run {body['run']}")
