"""
The functional test of an app: what a user does, once, before anything is recorded.

The standard library alone is used: the file as it stands also runs in a pod, where nothing else is sure to be. There it is a
program that takes ``{"address", "steps", "timeout_s", "settle_s"}`` as JSON from the environment variable SMOKE, and prints
``{"steps": [...], "planned": N}``.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasks.app.config import SmokeStep

VARIABLE = "SMOKE"
LONGEST_BYTES = 4 << 20
"""So much of an answer is read."""
POLL_S = 0.5


@dataclass(frozen=True)
class StepResult:
    """What one step found: ``problem`` is None when it passed; ``seconds`` is the time to the whole answer."""

    name: str
    problem: str | None
    seconds: float


@dataclass(frozen=True)
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

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SmokeResult:
        """What the program printed."""
        return cls(tuple(StepResult(**one) for one in value["steps"]), int(value["planned"]))


def smoke(address: str, steps: Sequence[SmokeStep], *, timeout_s: float = 5.0) -> SmokeResult:
    """
    Try *steps* in order, sharing cookies, and stop at the first that fails.

    Args:
        address: The entry's public address, as ``http://127.0.0.1:8079``.
        steps: What to try.
        timeout_s: Longest wait for one answer.
    """
    return tried(address, [step.model_dump(mode="json") for step in steps], timeout_s)


def tried(address: str, steps: Sequence[Mapping[str, Any]], timeout_s: float) -> SmokeResult:
    """See :func:`smoke`; *steps* as JSON has them."""
    opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()), _Straight())
    done: list[StepResult] = []
    for step in steps:
        started = time.monotonic()
        problem = _try(opener, address, step, timeout_s)
        done.append(StepResult(step["name"], problem, time.monotonic() - started))
        if problem is not None:
            break
    return SmokeResult(tuple(done), len(steps))


def await_way(address: str, settle_s: float, sleep: Callable[[float], None] = time.sleep) -> bool:
    """
    Whether somebody takes connections at *address* within *settle_s* seconds.

    Pods of a cluster are ready before each node and its names know the way to them.
    """
    place = urlsplit(address)
    until_s = time.monotonic() + settle_s
    while True:
        try:
            socket.create_connection((place.hostname or "", place.port or 80), timeout=POLL_S).close()
        except OSError:
            if time.monotonic() >= until_s:
                return False
            sleep(POLL_S)
        else:
            return True


class _Straight(HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""
        return


def _try(opener: OpenerDirector, address: str, step: Mapping[str, Any], timeout_s: float) -> str | None:
    asked = f"{step['method']} {step['path']}"
    try:
        status, text = _answer(opener, _request(address, step), timeout_s)
    except TimeoutError:
        return f"{asked} was not answered within {timeout_s:g} s"
    except OSError as error:
        cause = getattr(error, "reason", None) or error
        if isinstance(cause, TimeoutError):
            return f"{asked} was not answered within {timeout_s:g} s"
        return f"{asked} got no answer ({type(cause).__name__}: {getattr(cause, 'strerror', None) or cause})"
    if status != step["status"]:
        return f"{asked} answered {status} instead of {step['status']}: {text[:200]!r}"
    if step["contains"] is not None and step["contains"] not in text:
        return f"the answer to {asked} does not contain {step['contains']!r}"
    return None


def _request(address: str, step: Mapping[str, Any]) -> Request:
    headers = {"Accept": "*/*"}
    if step["user"]:
        headers["Authorization"] = "Basic " + base64.b64encode(step["user"].encode()).decode()
    body = None
    if step["body"] is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(step["body"], separators=(",", ":")).encode()
    return Request(address.rstrip("/") + step["path"], data=body, headers=headers, method=step["method"])  # noqa: S310 -- of the user's app


def _answer(opener: OpenerDirector, request: Request, timeout_s: float) -> tuple[int, str]:
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.read(LONGEST_BYTES).decode("utf-8", "replace")
    except HTTPError as error:  # an answer, too
        with error:
            return error.code, error.read(LONGEST_BYTES).decode("utf-8", "replace")


def main() -> None:
    """Try the steps in the environment variable, once there is a way to them; say what they found."""
    wanted = json.loads(os.environ[VARIABLE])
    await_way(wanted["address"], wanted["settle_s"])
    sys.stdout.write(json.dumps(asdict(tried(wanted["address"], wanted["steps"], wanted["timeout_s"]))) + "\n")


if __name__ == "__main__":
    main()
