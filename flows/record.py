"""The flow *record*: the recordings of a document, and nothing more."""

from typing import Any

from prefect import flow

from flows.carry import carry_out
from flows.document import Experiment
from flows.shipped_documents import ShippedName, resolved


@flow(name="record", validate_parameters=True, persist_result=False)
def record(experiment: Experiment | ShippedName = "demo", refresh: list[str] = []) -> Any:  # noqa: B006 -- a form's default
    """Record what is not recorded yet."""
    return carry_out(resolved(experiment), "record", refresh=frozenset(refresh))
