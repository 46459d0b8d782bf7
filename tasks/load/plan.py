"""What a load generator is told, as one JSON file; the generator itself reads it with :mod:`tasks.load.script`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tasks.base.errors import StorageError
from tasks.base.files import write_atomically
from tasks.base.model import Strict
from tasks.load.config import JourneySet, LoadConfig
from tasks.load.shapes import Curve

Moment = Annotated[float, Field(strict=False)]
Points = Annotated[tuple[Moment, ...], Field(strict=False, min_length=1)]


class Line(Strict):
    """A :class:`~tasks.load.shapes.Curve` in JSON."""

    times_s: Points
    users: Points
    held: bool
    period_s: Moment | None = None

    @classmethod
    def of(cls, curve: Curve) -> Line:
        """From *curve*."""
        return cls(times_s=curve.times_s, users=curve.users, held=curve.held, period_s=curve.period_s)

    def curve(self) -> Curve:
        """As a curve."""
        return Curve(self.times_s, self.users, self.held, self.period_s)


class GeneratorPlan(Strict):
    """All that one generator process needs to know."""

    host: str
    """Base address of the application's entry, ``http://127.0.0.1:8079``."""
    seed: int
    """Seed of phases and choices."""
    line: Line
    """Users over time."""
    rate_per_user_per_s: Moment
    """Journeys per second of one user."""
    journeys: JourneySet
    """What users do."""
    timeout_s: Moment
    """Longest wait for a reply, in seconds."""
    offset_s: Moment = 0.0
    """Seconds into the users' curve at which the load begins."""
    duration_s: Moment | None = None
    """Length of the load in seconds; None: until it is told to stop."""
    origin_monotonic_s: Moment | None = None
    """``CLOCK_MONOTONIC`` at the beginning of the load; None: the next whole second."""
    origin_wall_s: Moment | None = None
    """Seconds since 1970 at the beginning of the load, for a generator that comes later; None: not known yet, or not needed."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Generators that share the users: number k of N has the users k, k + N, k + 2 N and so on."""
    raw: str | None
    """The log that it appends to; None: standard output, with every line numbered."""
    cpu_limit_ratio: Moment
    """Share of a core above which the generator is the bottleneck."""
    memory_limit_bytes: int
    """Resident size above which it is in trouble."""
    stop_grace_s: Moment = 3.0
    """How long journeys under way may take to end when users leave, in seconds."""


def plan_of(settings: LoadConfig, *, curve: Curve, journeys: JourneySet, host: str, seed: int, raw: Path | None) -> GeneratorPlan:
    """The plan of *settings* with its *curve* and *journeys* resolved."""
    return GeneratorPlan(
        host=host,
        seed=seed,
        line=Line.of(curve),
        rate_per_user_per_s=settings.journeys_per_user_per_s,
        journeys=journeys,
        timeout_s=settings.timeout_s,
        cpu_limit_ratio=settings.generator_cpu_limit_ratio,
        memory_limit_bytes=settings.generator_memory_limit_bytes,
        raw=None if raw is None else str(raw),
        workers=settings.workers,
    )


def write_plan(path: Path, plan: GeneratorPlan) -> None:
    """Write *plan* as JSON, atomically."""
    write_atomically(path, plan.model_dump_json(indent=1) + "\n")


def read_plan(path: Path) -> GeneratorPlan:
    """
    The plan at *path*.

    Raises:
        StorageError: It is not there, or is not a plan.
    """
    try:
        return GeneratorPlan.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read the load plan {path}: {error}") from error
