"""Starting a flow from the command line; imported only once the Prefect server is chosen."""

import os
import signal
from collections.abc import Callable
from importlib import import_module
from typing import Any

from prefect.exceptions import TerminationSignal

from flows.carry import REQUEST, Extent, Request
from flows.checks import disk
from flows.document import Experiment
from flows.stages import Stages
from flows.timeline import timeline
from tasks.artifacts.jobs import look_up
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import Cancelled, PreflightError, TidegaugeError
from tasks.base.model import without_descriptions
from tasks.base.stopping import sheltered, stop_if_asked
from tasks.record import acceptance
from tasks.recordings.length import planned_s

DRAIN_S = 10.0
FLOW_OF: dict[Extent, str] = {"record": "record", "train": "train", "everything": "experiment", "again": "evaluate"}


def misses(document: Experiment, store: Store, refresh: frozenset[str] = frozenset()) -> list[tuple[str, str, float]]:
    """Stage, reason and price (seconds of recording) of each recording that would have to be made."""
    stages = Stages(document, store.root, refresh=refresh)
    found = []
    for entry in document.recorded:
        job = stages.record(entry)
        ref, why = look_up(store, job, acceptance(entry))
        if ref is None:
            found.append((job.stage, why, planned_s(entry, document.faults)))
    return found


def launch(
    document: Experiment,
    store: Store,
    *,
    extent: Extent,
    refresh: frozenset[str],
    require_cached: bool,
    request: Request,
    ready: Callable[[], None],
) -> dict[str, Any]:
    """
    Run the flow in this process once the server is *ready*; the run's record.

    Raises:
        TidegaugeError: What a stage raised, or what a signal made of it.
    """
    os.environ["TIDEGAUGE_STORE"] = str(store.root)
    Stages(document, store.root, refresh=refresh)  # a name that is none is refused before anything starts
    if extent != "again":
        _announce(document, store, refresh, require_cached, request.say)
    ready()
    stop_if_asked()
    token = REQUEST.set(request)
    try:
        state = _flow(extent, document, sorted(refresh), require_cached, request)
    except TerminationSignal as error:  # it came while Prefect, not a stage, was at work
        raise Cancelled(error.signal) from error
    finally:
        REQUEST.reset(token)
        with sheltered():
            drain()
    return _record(state, store)


def _flow(extent: Extent, document: Experiment, refresh: list[str], require_cached: bool, request: Request) -> Any:
    """Run the flow of *extent*; its state. Each is imported alone: Prefect makes the form of a flow when it is defined."""
    with without_descriptions():
        module = import_module(f"flows.{FLOW_OF[extent]}")
    if extent == "again":
        return module.evaluate_document(str(request.parent), document, refresh, return_state=True)
    if extent == "record":
        return module.record(document, refresh, return_state=True)
    return getattr(module, FLOW_OF[extent])(document, require_cached, refresh, return_state=True)


def drain() -> None:
    """Send what Prefect still holds of logs and events; a server of ours is about to end."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=DRAIN_S)
    EventsWorker.drain_all(timeout=DRAIN_S)


def _announce(document: Experiment, store: Store, refresh: frozenset[str], require_cached: bool, say: Callable[[str], None]) -> None:
    needed = misses(document, store, refresh)
    for stage, why, seconds in needed:
        say(f"{stage} has to be recorded ({why}): about {seconds:.0f} s of the shop")
    if needed and require_cached:
        raise PreflightError(
            f"--require-cached: {', '.join(stage for stage, _, _ in needed)} would have to be recorded",
            next_step="run without it, or mend the setting that changed",
        )
    if needed and (room := disk(store.root, timeline(document, document.name).disk_bytes)).state == "fail":
        raise PreflightError(room.text, next_step=room.fix)


def _record(state: Any, store: Store) -> dict[str, Any]:
    if state.is_cancelled():
        raise Cancelled(_signal_of(Runs(store)))
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result if isinstance(result, TidegaugeError) else RuntimeError(f"{type(result).__name__}: {result}") from result
    return Runs(store).read(str(result))


def _signal_of(runs: Runs) -> int:
    """The signal that ended this process's run, by its record; SIGTERM when it left none: then Prefect itself was told to stop."""
    for run in reversed(runs.ids()):
        record = runs.read(run)
        if record["process"] and record["process"]["pid"] == os.getpid():
            return int(record["exit_code"] or 128 + signal.SIGTERM) - 128
    return signal.SIGTERM
