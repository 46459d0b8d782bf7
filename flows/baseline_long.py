"""The flow *baseline_long*: hours of normal operation, recorded and learnt from; meant for a schedule."""

from typing import Any

from prefect import flow

from flows.carry import carry_out
from flows.document import Experiment
from flows.shipped_documents import ShippedName, resolved


@flow(name="baseline_long", validate_parameters=True, persist_result=False)
def baseline_long(experiment: Experiment | ShippedName = "baseline-long", record_again: bool = True) -> Any:
    """Record the baseline and fit the detectors; a schedule wants a new recording each time."""
    document = resolved(experiment)
    refresh = frozenset(f"recording:{entry.name}" for entry in document.recorded) if record_again else frozenset[str]()
    return carry_out(document, "train", refresh=refresh)
