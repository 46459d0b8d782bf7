"""What a collector in a cluster is told: API server, namespace, schedule; as the JSON file it is started with. Nothing in it is secret."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tasks.base.errors import DocumentError
from tasks.telemetry.kube.pods import page_of
from tasks.telemetry.plan import PlanFile
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.targets import api_server

if TYPE_CHECKING:
    from tasks.telemetry.config import KubeletSource, PrometheusSource

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
CONTAINERS = ("cadvisor", "resource", "none")
WATCH_S = 5.0
"""How often it is told at least how pods and workloads are, where nothing else is: a look costs one small request."""


@dataclass(frozen=True, slots=True)
class KubeletPlan(PlanFile):
    """A namespace that is watched and scraped through the API server, how often, and where the samples go."""

    program: ClassVar[str] = "tasks.telemetry.kube.collect"

    out: Path
    """The recording's folder."""
    access: Access
    """The API server; secrets by name of a file."""
    namespace: str
    begin_s: float
    """Kubernetes' events from before this wall time are not recorded."""
    selector: str = ""
    """Label selector of the pods; empty: all in the namespace that are not our own load, telemetry or faults."""
    interval_s: float = 5.0
    timeout_s: float = 4.0
    kubelet_interval_s: float = 10.0
    flush_s: float = 2.0
    containers: str = "cadvisor"
    """Which page of the kubelets tells of containers; ``none``: their pages are not asked for."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """``PORT/PATH`` of the metrics page of a workload's pods, where their annotations do not say it."""
    body_limit_bytes: int = 16 << 20
    watch_alone: bool = False
    """Nobody is scraped: how pods and workloads are is all that is recorded, beside a source that cannot tell it."""

    @classmethod
    def of(cls, source: KubeletSource, flush_s: float, access: Access, namespace: str, begin_s: float, out: Path) -> Self:
        """The plan of *source* for the app in *namespace*."""
        return cls(
            out=out,
            access=access,
            namespace=namespace,
            begin_s=begin_s,
            selector=source.selector,
            interval_s=source.interval_s,
            timeout_s=source.timeout_s,
            kubelet_interval_s=source.kubelet_interval_s,
            flush_s=flush_s,
            containers=source.containers,
            pages=dict(source.pages),
            body_limit_bytes=source.body_limit_bytes,
        )

    @classmethod
    def beside(cls, source: PrometheusSource, flush_s: float, access: Access, namespace: str, begin_s: float, out: Path) -> Self:
        """The plan of what is watched of the app in *namespace* while *source* tells the metrics; no kubelet and no pod is asked."""
        interval_s = min(source.interval_s, WATCH_S)
        return cls(
            out=out,
            access=access,
            namespace=namespace,
            begin_s=begin_s,
            interval_s=interval_s,
            timeout_s=min(4.0, interval_s),
            flush_s=min(flush_s, interval_s),
            containers="none",
            watch_alone=True,
        )

    @property
    def kubelet_ticks(self) -> int:
        """The kubelets are scraped at every so many ticks."""
        return max(1, round(self.kubelet_interval_s / self.interval_s))

    def check(self) -> None:
        """
        Refuse what cannot work.

        Raises:
            DocumentError: The message says what.
        """
        times = (self.interval_s, self.timeout_s, self.kubelet_interval_s, self.flush_s, self.begin_s)
        if not all(math.isfinite(time) and time > 0 for time in times) or self.timeout_s > self.interval_s:
            raise DocumentError("the intervals, timeout_s and flush_s must be positive, and timeout_s at most interval_s")
        if not _NAMESPACE.fullmatch(self.namespace):
            raise DocumentError(f"{self.namespace!r} is not a namespace")
        if self.containers not in CONTAINERS:
            raise DocumentError(f"containers must be one of {', '.join(CONTAINERS)}")
        if wrong := [f"{name}: {page!r}" for name, page in self.pages.items() if page_of(page) is None]:
            raise DocumentError(f"a metrics page is PORT/PATH, not {'; '.join(wrong)}")
        if problems := self.access.problems():
            raise DocumentError("; ".join(problems))
        api_server(self.access.url)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "out": str(self.out), "access": self.access.to_json(), "pages": dict(self.pages)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            DocumentError: A setting is missing, unknown or out of range, or the address is refused.
        """
        try:
            plan = cls(**{**value, "out": Path(value["out"]), "access": Access.from_json(value["access"])})
            plan.check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DocumentError(f"the settings are incomplete or wrong: {error!r}") from error
        return plan
