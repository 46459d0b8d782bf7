"""How Prefect runs a stage: the key of the job is the cache key, the result is a small JSON object."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from prefect import task
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.serializers import JSONSerializer
from prefect.settings import get_current_settings
from prefect.tasks import Task

from tasks.artifacts.jobs import Accept, Compute, Job, Result, anything, make
from tasks.artifacts.store import Store
from tasks.base.stopping import interruptible


def cache_key(job: Job) -> str:
    """The key of *job* in Prefect's cache, and the name of its result file."""
    return f"tidegauge-{job.stage.replace(':', '-')}-{job.key}"


def _key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
    return cache_key(parameters["job"])


def drop_foreign_result(job: Job) -> bool:
    """
    Remove the result file of *job* unless it is what :func:`stage` writes; says whether it did.

    Prefect lets the file choose how it is read: by pickle, or by calling what it names. A cache must not be able to run code.
    """
    path = Path(get_current_settings().results.local_storage_path) / cache_key(job)
    try:
        record = json.loads(path.read_bytes())
        plain = record["metadata"]["serializer"] == JSONSerializer().model_dump(mode="json")
        Result.model_validate_json(record["result"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        plain = False
    if not plain:
        path.unlink()
    return not plain


def later(module: str) -> Compute:
    """The ``compute`` of *module*, which is imported when it is called: what is in the store needs nothing of what computes it."""

    def compute(job: Job, store: Store, folder: Path) -> tuple[str, ...] | None:
        made: tuple[str, ...] | None = import_module(module).compute(job, store, folder)
        return made

    return compute


def stage(name: str, compute: Compute, accept: Accept = anything) -> Task[[Job], dict[str, Any]]:
    """A Prefect task *name* that finds or makes the artifact of its job."""

    @task(
        name=name,
        task_run_name="{job.stage}",
        cache_key_fn=_key,
        persist_result=True,
        result_serializer="json",
        log_prints=False,
    )
    def run_stage(job: Job) -> dict[str, Any]:
        with interruptible():
            result = make(job, compute, accept)
        get_run_logger().info("%s %s %s: %s (%.1f s)", result.stage, result.outcome, result.ref, result.why, result.seconds)
        return result.model_dump(mode="json")

    return run_stage


Stage = Callable[[Job], dict[str, Any]]
