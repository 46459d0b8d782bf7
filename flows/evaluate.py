"""The flow *evaluate*: everything behind the recordings of a run, again; it never touches a shop or a cluster."""

from dataclasses import replace
from typing import Any

from prefect import flow

from flows.carry import REQUEST, carry_out, current_store
from flows.document import Experiment
from flows.records import require_document
from tasks.artifacts.runs import Runs
from tasks.base.errors import DocumentError
from tasks.base.files import canonical_json
from tasks.evaluation.config import EvaluationConfig


@flow(name="evaluate", validate_parameters=True, persist_result=False)
def evaluate(run: str = "latest", evaluation: EvaluationConfig | None = None) -> Any:
    """Score the recordings of *run* again, with other evaluation settings when they are given."""
    record = Runs(current_store()).read(run)
    require_document(record)
    document = Experiment.model_validate_json(canonical_json(record["document"]))
    if evaluation is not None:
        document = document.model_copy(update={"evaluation": evaluation})
    return again(document, record)


@flow(name="evaluate", validate_parameters=True, persist_result=False)
def evaluate_document(run: str, document: Experiment, refresh: list[str] | None = None) -> Any:
    """Score the recordings of *run* as *document* says; the stages in *refresh* are made anew."""
    return again(document, Runs(current_store()).read(run), frozenset(refresh or ()))


def again(document: Experiment, record: dict[str, Any], refresh: frozenset[str] = frozenset()) -> Any:
    """Run the stages behind the recordings of *record*."""
    recordings = {name.removeprefix("record:"): ref for name, ref in record["artifacts"].items() if name.startswith("record:")}
    missing = [entry.name for entry in document.recordings if entry.name not in recordings]
    if missing:
        raise DocumentError(
            f"run {record['run']} has no recording {', '.join(missing)}", next_step=f"tidegauge resume --run {record['run']}"
        )
    token = REQUEST.set(replace(REQUEST.get(), parent=record["run"], recordings=recordings))
    try:
        return carry_out(document, "again", refresh=refresh)
    finally:
        REQUEST.reset(token)
