"""The functional test of an app: what a user does, once, before anything is recorded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tasks.app.config import SmokeStep


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step found: ``problem`` is None when it passed; ``seconds`` is the time to the whole answer."""

    name: str
    problem: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """The steps that were tried; the first one that fails is the last."""

    steps: tuple[StepResult, ...]
    planned: int

    @property
    def passed(self) -> bool:
        """Whether every planned step was tried and passed."""
        return len(self.steps) == self.planned and all(step.problem is None for step in self.steps)

    @property
    def sentence(self) -> str:
        """One sentence on the first failing step, or on the success."""
        failed = next((step for step in self.steps if step.problem is not None), None)
        if failed is not None:
            return f"step {self.steps.index(failed) + 1} of {self.planned} ({failed.name}) failed: {failed.problem}"
        return f"all {self.planned} steps passed in {sum(step.seconds for step in self.steps):.2f} s"


def smoke(address: str, steps: Sequence[SmokeStep], *, timeout_s: float = 5.0) -> SmokeResult:
    """
    Try *steps* in order, sharing cookies, and stop at the first that fails.

    Args:
        address: The entry's public address, as ``http://127.0.0.1:8079``.
        steps: What to try.
        timeout_s: Longest wait for one answer.
    """
    done: list[StepResult] = []
    with httpx.Client(base_url=address, timeout=timeout_s, trust_env=False, follow_redirects=False) as client:
        for step in steps:
            started = time.monotonic()
            problem = _try(client, step, timeout_s)
            done.append(StepResult(step.name, problem, time.monotonic() - started))
            if problem is not None:
                break
    return SmokeResult(tuple(done), len(steps))


def _try(client: httpx.Client, step: SmokeStep, timeout_s: float) -> str | None:
    asked = f"{step.method} {step.path}"
    name, _, password = (step.user or "").partition(":")
    auth = httpx.BasicAuth(name, password) if step.user else None
    try:
        answer = client.request(step.method, step.path, json=step.body, auth=auth)
    except httpx.TimeoutException:
        return f"{asked} was not answered within {timeout_s:g} s"
    except httpx.HTTPError as error:
        return f"{asked} got no answer ({type(error).__name__}: {error})"
    if answer.status_code != step.status:
        return f"{asked} answered {answer.status_code} instead of {step.status}: {answer.text[:200]!r}"
    if step.contains is not None and step.contains not in answer.text:
        return f"the answer to {asked} does not contain {step.contains!r}"
    return None
