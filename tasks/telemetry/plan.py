"""What a collector is told: schedule, folder and targets, as the JSON file it is started with."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from tasks.base.errors import DocumentError
from tasks.base.files import read_json, write_json
from tasks.telemetry.targets import Target, address_of

if TYPE_CHECKING:
    from tasks.telemetry.config import ScrapeSource


class CollectorPlan(Protocol):
    """What starts a collecting process, whatever it reads from."""

    program: ClassVar[str]
    """Module that is run with the plan's file as its argument."""

    @property
    def out(self) -> Path:
        """The recording's folder."""

    @property
    def flush_s(self) -> float:
        """How often a chunk is committed."""

    def check(self) -> None:
        """Refuse what cannot work, with a DocumentError."""

    def write(self, path: Path) -> None:
        """Write it to *path*, atomically."""


class PlanFile(ABC):
    """A plan as the JSON file that a collecting process is started with."""

    __slots__ = ()

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A JSON object."""

    @classmethod
    @abstractmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; a DocumentError says what is wrong with it."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        The plan in the file *path*.

        Raises:
            StorageError: It is not there, or is not JSON.
            DocumentError: See :meth:`from_json`.
        """
        value = read_json(path)
        if not isinstance(value, dict):
            raise DocumentError(f"{path} holds no JSON object")
        return cls.from_json(value)

    def write(self, path: Path) -> None:
        """Write it to *path*, atomically."""
        write_json(path, self.to_json())


@dataclass(frozen=True, slots=True)
class ScrapePlan(PlanFile):
    """Targets, how often they are scraped, and where the samples go."""

    program: ClassVar[str] = "tasks.telemetry.collect"

    out: Path
    """The recording's folder."""
    targets: tuple[Target, ...]
    interval_s: float = 1.0
    timeout_s: float = 1.0
    flush_s: float = 2.0
    hosts: tuple[str, ...] = ()
    """Hosts besides loopback that may be scraped."""
    body_limit_bytes: int = 16 << 20

    @classmethod
    def of(cls, source: ScrapeSource, flush_s: float, targets: Sequence[Target], out: Path) -> Self:
        """The plan of *source* for *targets*."""
        return cls(out, tuple(targets), source.interval_s, source.timeout_s, flush_s, source.hosts, source.body_limit_bytes)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            DocumentError: A setting is missing, unknown or out of range, or an address is refused.
        """
        known = {"out", "targets", "interval_s", "timeout_s", "flush_s", "hosts", "body_limit_bytes"}
        try:
            if unknown := set(value) - known:
                raise DocumentError(f"the collector knows no setting {', '.join(sorted(unknown))}")
            plan = cls(
                out=Path(value["out"]),
                targets=tuple(Target.from_json(one) for one in value["targets"]),
                interval_s=float(value["interval_s"]),
                timeout_s=float(value["timeout_s"]),
                flush_s=float(value["flush_s"]),
                hosts=tuple(str(host) for host in value.get("hosts", ())),
                body_limit_bytes=int(value.get("body_limit_bytes", 16 << 20)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentError(f"the collector's settings are incomplete or wrong: {error!r}") from error
        plan.check()
        return plan

    def check(self) -> None:
        """
        Refuse what cannot work.

        Raises:
            DocumentError: See :meth:`from_json`.
        """
        times = (self.interval_s, self.timeout_s, self.flush_s)
        if not all(math.isfinite(time) and time > 0 for time in times) or self.timeout_s > self.interval_s:
            raise DocumentError("interval_s, timeout_s and flush_s must be positive, and timeout_s at most interval_s")
        if not self.targets:
            raise DocumentError("there is nothing to scrape: no targets were given")
        names = [(target.name, target.role) for target in self.targets]
        if len(set(names)) < len(names):
            raise DocumentError("two targets have the same name and role; their series could not be told apart")
        for target in self.targets:
            address_of(target.url, self.hosts)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "out": str(self.out),
            "targets": [target.to_json() for target in self.targets],
            "interval_s": self.interval_s,
            "timeout_s": self.timeout_s,
            "flush_s": self.flush_s,
            "hosts": list(self.hosts),
            "body_limit_bytes": self.body_limit_bytes,
        }
