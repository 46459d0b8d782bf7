"""How Prefect runs a stage: the key of the job is the cache key, the result is a small JSON object."""

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.tasks import Task

from tasks.artifacts.jobs import Accept, Compute, Job, anything, make
from tasks.base.stopping import interruptible


def _key(_: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"tidegauge-{parameters['job'].stage.replace(':', '-')}-{parameters['job'].key}"


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
