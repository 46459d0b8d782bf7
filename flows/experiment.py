"""The flow *experiment*: the whole way, from a deployment of the app to the report."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.carry import carry_out
from flows.document import Experiment
from flows.shipped_documents import ShippedName, resolved


@flow(name="experiment", validate_parameters=True, persist_result=False)
def experiment(
    experiment: Experiment | ShippedName = "demo",
    require_cached: bool = False,
    refresh: Annotated[list[str], Field(description="Stages to make anew: evaluate, train:robust_z, recording:training ...")] = [],  # noqa: B006 -- a form's default
) -> Any:
    """Record, break, train, score, evaluate, rank and report; what was made before is reused."""
    return carry_out(resolved(experiment), "everything", require_cached=require_cached, refresh=frozenset(refresh))
