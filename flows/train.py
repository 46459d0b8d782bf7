"""The flow *train*: record what is missing, and fit the detectors."""

from typing import Any

from prefect import flow

from flows.carry import carry_out
from flows.document import Experiment
from flows.shipped_documents import ShippedName, resolved


@flow(name="train", validate_parameters=True, persist_result=False)
def train(experiment: Experiment | ShippedName = "demo", require_cached: bool = False, refresh: list[str] = []) -> Any:  # noqa: B006
    """Fit the detectors on the training recordings."""
    return carry_out(resolved(experiment), "train", require_cached=require_cached, refresh=frozenset(refresh))
