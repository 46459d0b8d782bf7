"""What a reader of a Prometheus is told: server, selectors and folder, as the JSON file it is started with; nothing secret is in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tasks.base.errors import DocumentError
from tasks.telemetry.plan import PlanFile
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.identity import SERVICE_LABELS
from tasks.telemetry.prometheus.selectors import Matcher, parse_selector

if TYPE_CHECKING:
    from tasks.telemetry.config import PrometheusSource


@dataclass(frozen=True, slots=True)
class TailPlan(PlanFile):
    """A server, what is read from it and how often, and where the samples go."""

    program: ClassVar[str] = "tasks.telemetry.prometheus.tail"

    out: Path
    """The recording's folder."""
    access: Access
    begin_s: float
    """Samples before this wall time (of this machine) are not read."""
    match: tuple[str, ...]
    flush_s: float = 2.0
    settle_s: float = 1.0
    overlap_s: float = 60.0
    way: str = "auto"
    service_labels: tuple[str, ...] = SERVICE_LABELS
    beside: Path | None = None
    """Folder of a collector that watches the cluster meanwhile, whose samples come into the same chunks; None: there is none."""

    @classmethod
    def of(cls, source: PrometheusSource, flush_s: float, begin_s: float, out: Path, access: Access | None = None) -> Self:
        """The plan of *source* from *begin_s* on; *access* is how it is reached where it is in a cluster."""
        labels = source.service_labels or SERVICE_LABELS
        return cls(out, access or source.access, begin_s, source.match, flush_s, source.settle_s, source.overlap_s, source.way, labels)

    @property
    def selectors(self) -> tuple[tuple[Matcher, ...], ...]:
        """What is asked for."""
        return tuple(parse_selector(text) for text in self.match)

    def check(self) -> None:
        """
        Refuse what cannot work.

        Raises:
            DocumentError: The message says what.
        """
        times = (self.begin_s, self.flush_s, self.settle_s, self.overlap_s)
        if not all(math.isfinite(time) and time >= 0 for time in times) or self.flush_s == 0:
            raise DocumentError("begin_s, flush_s, settle_s and overlap_s must be numbers of seconds, flush_s above 0")
        if self.way not in ("auto", "remote-read", "range-json") or not self.match:
            raise DocumentError("there must be a selector, and the way must be auto, remote-read or range-json")
        if problems := self.access.problems():
            raise DocumentError("; ".join(problems))
        _ = self.selectors

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        beside = None if self.beside is None else str(self.beside)
        return {**asdict(self), "out": str(self.out), "beside": beside, "access": self.access.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            DocumentError: A setting is missing, unknown or out of range, or the address is refused.
        """
        try:
            lists = {name: tuple(map(str, value[name])) for name in ("match", "service_labels")}
            beside = None if value.get("beside") is None else Path(value["beside"])
            paths = {"out": Path(value["out"]), "beside": beside}
            plan = cls(**{**value, **lists, **paths, "access": Access.from_json(value["access"])})
            plan.check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DocumentError(f"the settings are incomplete or wrong: {error!r}") from error
        return plan
