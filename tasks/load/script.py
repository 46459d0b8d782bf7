"""
The plan as a load generator reads it, with nothing but the standard library: it also runs where only Locust is installed.

What stands in the file was validated when it was written, as :class:`tasks.load.plan.GeneratorPlan`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tasks.load.curve import Curve

VARIABLE = "TIDEGAUGE_LOAD_PLAN"
"""Environment variable with the path of the plan."""


@dataclass(frozen=True, slots=True)
class Account:
    """A login of the application."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Learn:
    """A variable that is drawn from a JSON reply."""

    name: str
    field: str


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request of a journey."""

    method: str
    path: str
    login: bool
    body: Mapping[str, Any] | None
    learn: Learn | None
    declined: tuple[int, ...]
    pause_s: float | None

    @property
    def endpoint(self) -> str:
        """Method and path template."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Journey:
    """Requests, sent one after the other."""

    name: str
    weight: float
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """All that one generator needs to know; see :class:`tasks.load.plan.GeneratorPlan` for what each means."""

    host: str
    seed: int
    rate_per_user_per_s: float
    timeout_s: float
    offset_s: float
    duration_s: float | None
    origin_monotonic_s: float | None
    origin_wall_s: float | None
    raw: str | None
    stop_grace_s: float
    workers: int
    curve: Curve
    accounts: tuple[Account, ...]
    journeys: tuple[Journey, ...]


def read_script(path: Path) -> Script:
    """The script in the plan at *path*."""
    told = json.loads(path.read_bytes())
    line, journeys = told["line"], told["journeys"]
    plain = {one.name: told[one.name] for one in fields(Script) if one.name not in ("curve", "accounts", "journeys")}
    return Script(
        **plain,
        curve=Curve(tuple(line["times_s"]), tuple(line["users"]), line["held"], line["period_s"]),
        accounts=tuple(Account(**account) for account in journeys["accounts"]),
        journeys=tuple(_journey(journey) for journey in journeys["journeys"]),
    )


def _journey(told: Mapping[str, Any]) -> Journey:
    return Journey(told["name"], told["weight"], tuple(_request(request) for request in told["requests"]))


def _request(told: Mapping[str, Any]) -> Request:
    learn = None if told["learn"] is None else Learn(**told["learn"])
    return Request(**{**told, "learn": learn, "declined": tuple(told["declined"])})
